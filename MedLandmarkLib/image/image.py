"""The value every later step works on: pixels that know where they lie and how their millimetres were earned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .display import Display
from .limits import check_ijk_to_ras, check_spacing

CALIBRATION_KINDS = ("calibrated", "detector-plane", "none")
SHORT_RULER_PX = 50.0  # a click is good to about half a pixel at each end: 2 % of this length


@dataclass(frozen=True)
class Calibration:
    """What one pixel measures, and who says so.

    kind: "calibrated" (mm in the patient), "detector-plane" (mm on the detector or film; the patient is smaller by an
    unknown magnification) or "none" (no millimetres at all: lengths are in px).
    source: the DICOM attribute, the header field, "ruler" or "user"; for "none" the reason.
    spacing_mm: (x, y) = (between columns, between rows), mm per pixel; None exactly where kind is "none".
    """

    kind: str
    source: str
    spacing_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in CALIBRATION_KINDS:
            raise ValueError(f"Calibration kind {self.kind!r} is not one of {', '.join(CALIBRATION_KINDS)}.")
        if (self.spacing_mm is None) != (self.kind == "none"):
            raise ValueError(f"A calibration of kind {self.kind!r} cannot have spacing {self.spacing_mm}.")
        if self.spacing_mm is not None:
            x, y = self.spacing_mm
            spacing = (check_spacing(x, "the spacing between columns"), check_spacing(y, "the spacing between rows"))
            object.__setattr__(self, "spacing_mm", spacing)


@dataclass(frozen=True, eq=False)
class Image:
    """A radiograph, a volume or a cine, as read from one file.

    pixels: (frames, slices, rows, columns, channels), channels 1 (grey) or 3 (RGB): stored values after the modality
    LUT. ijk_to_ras: (4, 4) float64, from continuous (column, row, slice) to patient space, RAS mm. Where the
    calibration is "none" its in-plane scale is 1 and means nothing.
    frame_times_s: seconds since the first frame, one per frame, or None where the file does not tell.
    warnings: sentences for the user. display: how pixel values become the 8-bit picture of `display_rgb`; chosen from
    the pixels where it is not given.
    """

    pixels: np.ndarray
    ijk_to_ras: np.ndarray
    calibration: Calibration
    path: Path | None = None
    modality: str = ""
    frame_times_s: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    display: Display | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 5 or self.pixels.shape[-1] not in (1, 3) or 0 in self.pixels.shape:
            raise ImageError(
                f"pixels of shape {self.pixels.shape} are not (frames, slices, rows, columns, 1 or 3 channels)."
            )
        if self.frame_times_s is not None and len(self.frame_times_s) != self.frame_count:
            raise ImageError(f"{len(self.frame_times_s)} frame times were given for {self.frame_count} frames.")
        object.__setattr__(self, "ijk_to_ras", check_ijk_to_ras(self.ijk_to_ras))
        if self.display is None:
            object.__setattr__(self, "display", Display.for_pixels(self.pixels))

    @property
    def size(self) -> tuple[int, int, int]:
        """(columns, rows, slices)."""
        slices, rows, columns = self.pixels.shape[1:4]
        return columns, rows, slices

    @property
    def frame_count(self) -> int:
        return self.pixels.shape[0]

    def display_rgb(self, frame: int = 0, slice_index: int = 0) -> np.ndarray:
        """The 8-bit picture a reader would see: (rows, columns, 3) uint8, RGB. Raises ImageError outside the image."""
        if not 0 <= frame < self.frame_count:
            raise ImageError(f"there is no frame {frame}: the image has frames 0 to {self.frame_count - 1}.")
        if not 0 <= slice_index < self.size[2]:
            raise ImageError(f"there is no slice {slice_index}: the image has slices 0 to {self.size[2] - 1}.")
        picture = self.display.to_uint8(self.pixels[frame, slice_index])  # (rows, columns, channels)
        return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))

    def ras_from_ijk(self, ijk: np.ndarray | Sequence[float]) -> np.ndarray | None:
        """Continuous (column, row, slice), shape (..., 3), in patient space, mm; None where there is no calibration."""
        if self.calibration.kind == "none":
            return None
        return np.asarray(ijk, np.float64) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def calibrated_by_spacing(self, mm: float | Sequence[float]) -> Image:
        """This image with a pixel spacing that the user knows: one number, or (x, y), in mm. Raises ImageError."""
        values = tuple(mm) if isinstance(mm, (Sequence, np.ndarray)) and not isinstance(mm, str) else (mm, mm)
        if len(values) != 2:
            raise ImageError(f"a spacing is one number or two (x, y), not {len(values)}: {values}.")
        x, y = check_spacing(values[0], "the given spacing"), check_spacing(values[1], "the given spacing")
        return self._with_calibration(Calibration("calibrated", "user: pixel spacing given by hand", (x, y)))

    def calibrated_by_ruler(self, x1: float, y1: float, x2: float, y2: float, mm: float) -> Image:
        """This image calibrated by a line from (x1, y1) to (x2, y2), in pixels, that is `mm` long in the patient.

        The line lies at the depth of the anatomy that it calibrates. The ratio of row and column spacing is kept where
        the file states one. Raises ImageError when a point lies outside the picture, or the line or `mm` has no length.
        """
        try:
            ends_xy, length_mm = np.array([(x1, y1), (x2, y2)], np.float64), float(mm)
        except (TypeError, ValueError):
            raise ImageError(f"a ruler is five numbers (X1, Y1, X2, Y2, MM), not {(x1, y1, x2, y2, mm)}.") from None
        columns, rows, _ = self.size
        inside = (ends_xy >= -0.5) & (ends_xy <= (columns - 0.5, rows - 0.5))  # False for NaN as well
        if not inside.all():
            raise ImageError(
                f"the ruler from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) leaves the picture of {columns} x {rows} px."
            )
        if not math.isfinite(length_mm) or length_mm <= 0:
            raise ImageError(f"the ruler is said to be {length_mm:g} mm long; a length above 0 is needed.")
        length_px = float(np.linalg.norm(ends_xy[1] - ends_xy[0]))
        if length_px < 1:
            raise ImageError(f"the ruler's ends are {length_px:g} px apart; mark a line as long as you can.")
        stated_xy = np.array(self.calibration.spacing_mm or (1.0, 1.0))
        x, y = stated_xy * length_mm / np.linalg.norm((ends_xy[1] - ends_xy[0]) * stated_xy)
        image = self._with_calibration(
            Calibration("calibrated", f"ruler: {length_px:.1f} px = {length_mm:g} mm", (float(x), float(y)))
        )
        if length_px >= SHORT_RULER_PX:
            return image
        warning = f"The ruler is only {length_px:.1f} px long: each end misplaced by 0.5 px changes every length by "
        return replace(image, warnings=(*image.warnings, f"{warning}{50 / length_px:.0f} %."))

    def _with_calibration(self, calibration: Calibration) -> Image:
        """A copy whose in-plane axes have the calibration's spacing; origin, directions and slices stay."""
        matrix = self.ijk_to_ras.copy()
        matrix[:3, :2] *= np.array(calibration.spacing_mm) / np.linalg.norm(matrix[:3, :2], axis=0)
        return replace(self, ijk_to_ras=matrix, calibration=calibration)
