"""A clip: pictures of one plane through time, decoded a few at a time, so that its length costs no memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import ImageError
from .image import Calibration, Image
from .limits import check_ijk_to_ras

LIKE_A_PICTURE = np.diag((-1.0, -1.0, 1.0, 1.0))  # as Slicer lays 2D images: columns to the left, rows to the back
_NO_TIMES = "the file states no frame times"


class NotAClip(ImageError):
    """A readable image that does not change with time: one picture, or a volume."""


class FrameSource(Protocol):
    """Where the pictures of a clip come from."""

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        """The pictures (rows, columns, 3) uint8, RGB, of `frames`, which rise. Raises ImageError for a damaged one."""
        ...


@dataclass(frozen=True, eq=False)
class Clip:
    """A cine, as it stands in one file.

    size_wh: (columns, rows). ijk_to_ras, calibration: as of an Image. times_s: seconds since the first frame, rising;
    None where the file does not tell, or tells what cannot be. time_source: the header field, or why there is none.
    heart_rate_bpm: what the scanner wrote beside the pictures. warnings: sentences for the user.
    """

    source: FrameSource
    size_wh: tuple[int, int]
    frame_count: int
    ijk_to_ras: np.ndarray
    calibration: Calibration
    times_s: tuple[float, ...] | None = None
    time_source: str = _NO_TIMES
    path: Path | None = None
    modality: str = ""
    heart_rate_bpm: float | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.frame_count < 2:
            raise NotAClip("it has one frame, and a clip needs more: detect in it as in a single image.")
        object.__setattr__(self, "ijk_to_ras", check_ijk_to_ras(self.ijk_to_ras))
        if self.times_s is None:
            return
        if len(self.times_s) != self.frame_count:
            raise ImageError(f"{len(self.times_s)} frame times were given for {self.frame_count} frames.")
        if not (np.all(np.isfinite(self.times_s)) and np.all(np.diff(self.times_s) > 0)):
            object.__setattr__(self, "times_s", None)
            object.__setattr__(self, "time_source", f"the times stated ({self.time_source}) do not rise")

    @property
    def frame_rate_hz(self) -> float | None:
        """Frames in a second, by the median step; None without times."""
        return None if self.times_s is None else float(1 / np.median(np.diff(self.times_s)))

    def pictures(self, frames: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """The pictures (rows, columns, 3) uint8, RGB, one after another: all, or `frames`, which rise from 0.

        Raises ImageError for a frame that does not exist or cannot be decoded.
        """
        wanted = range(self.frame_count) if frames is None else frames
        for before, frame in zip((-1, *wanted), wanted, strict=False):
            if not before < frame < self.frame_count:
                raise ImageError(
                    f"there is no frame {frame}: the clip has frames 0 to {self.frame_count - 1}, in order."
                )
        columns, rows = self.size_wh
        try:
            for frame, picture in zip(wanted, self.source.pictures(wanted), strict=True):
                if picture.shape != (rows, columns, 3):
                    raise ImageError(
                        f"frame {frame} has {picture.shape[1]} x {picture.shape[0]} px, the file announces {columns} x "
                        f"{rows}: the picture changes its size. Cut the clip there, or export it with one size."
                    )
                yield picture
        except ImageError as error:
            named = f"{self.path}: " if self.path is not None and str(self.path) not in str(error) else ""
            raise ImageError(f"{named}{error}") from error.__cause__

    def picture(self, frame: int) -> np.ndarray:
        """One picture: (rows, columns, 3) uint8, RGB. Raises ImageError."""
        return next(self.pictures((frame,)))

    def ras_from_ijk(self, ijk: np.ndarray) -> np.ndarray | None:
        """Continuous (column, row, slice), shape (..., 3), in patient space, mm; None where there is no calibration."""
        if self.calibration.kind == "none":
            return None
        return np.asarray(ijk, float) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def header_image(self) -> Image:
        """The clip as an image of one blank frame: its size, place and calibration, for those who need no pixels."""
        columns, rows = self.size_wh
        blank = np.zeros((1, 1, rows, columns, 1), np.uint8)
        return Image(
            blank, self.ijk_to_ras, self.calibration, path=self.path, modality=self.modality, warnings=self.warnings
        )

    def calibrated(self, spacing_mm: float | Sequence[float] | None, ruler: Sequence[float] | None) -> Clip:
        """This clip with a pixel size that the user knows (see `Image`). Raises ImageError."""
        if spacing_mm is not None and ruler is not None:
            raise ImageError("both a spacing and a ruler were given; one of them calibrates the clip.")
        if spacing_mm is None and ruler is None:
            return self
        image = self.header_image()
        if spacing_mm is not None:
            image = image.calibrated_by_spacing(spacing_mm)
        elif isinstance(ruler, str) or len(ruler) != 5:
            raise ImageError(f"a ruler is five numbers (X1, Y1, X2, Y2, MM), not {ruler!r}.")
        else:
            image = image.calibrated_by_ruler(*ruler)
        return replace(self, ijk_to_ras=image.ijk_to_ras, calibration=image.calibration, warnings=image.warnings)


@dataclass(frozen=True, eq=False)
class ArrayFrames:
    """Pictures in an array, which may be a memory map: (frames, rows, columns) or (frames, rows, columns, 3) uint8."""

    pixels: np.ndarray

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        for frame in frames:
            yield as_rgb(np.asarray(self.pixels[frame]))


@dataclass(frozen=True, eq=False)
class ImageFrames:
    """Pictures of an image that was read whole."""

    image: Image

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        for frame in frames:
            yield self.image.display_rgb(frame)


def as_rgb(picture: np.ndarray) -> np.ndarray:
    """(rows, columns), (rows, columns, 1) or (rows, columns, 3) as (rows, columns, 3)."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def clip_from_pixels(
    pixels: np.ndarray,
    *,
    ijk_to_ras: np.ndarray | None = None,
    calibration: Calibration | None = None,
    times_s: Sequence[float] | None = None,
    time_source: str = _NO_TIMES,
    path: Path | None = None,
    heart_rate_bpm: float | None = None,
) -> Clip:
    """A clip of pictures in memory or in a memory map: (frames, rows, columns) or (..., 3) uint8. Raises ImageError."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] != 3):
        raise ImageError(f"{pixels.dtype} of shape {pixels.shape} is not uint8 (frames, rows, columns) or (..., 3).")
    return Clip(
        ArrayFrames(pixels),
        (pixels.shape[2], pixels.shape[1]),
        len(pixels),
        LIKE_A_PICTURE if ijk_to_ras is None else ijk_to_ras,
        calibration or Calibration("none", "pictures in memory have no pixel size"),
        times_s=None if times_s is None else tuple(float(time) for time in times_s),
        time_source=time_source,
        path=path,
        heart_rate_bpm=heart_rate_bpm,
    )


def clip_from_image(image: Image) -> Clip:
    """The frames of an image that was read whole. Raises ImageError where it is a volume or has one frame."""
    columns, rows, slices = image.size
    if slices > 1:
        raise NotAClip(f"it is a volume of {slices} slices, and no clip. Detect in one of its slices.")
    return Clip(
        ImageFrames(image),
        (columns, rows),
        image.frame_count,
        image.ijk_to_ras,
        image.calibration,
        times_s=image.frame_times_s,
        time_source="the file's time axis" if image.frame_times_s else _NO_TIMES,
        path=image.path,
        modality=image.modality,
        warnings=image.warnings,
    )
