"""A multi-frame DICOM file as a clip: its header is read, its frames stay on the disk until they are asked for."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ..errors import ImageError
from .calibration import dicom_calibration
from .clip import Clip, NotAClip, as_rgb, clip_from_image
from .dicom import DAMAGE, read_dicom
from .dicom_fields import number, whole_number
from .dicom_geometry import frame_layout, frame_timing
from .dicom_pixels import PixelLayout, decoded_pixels, pixel_layout
from .dicom_values import grey_display, modality_values
from .display import Display, HighByte

_AT_A_TIME = 8  # frames decoded together
_DEFER_BYTES = 1 << 16  # values above stay in the file


def read_dicom_clip(path: Path) -> Clip:
    """The clip, with frame times, calibration and the heart rate that the scanner wrote. Raises ImageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values that do not follow the standard
        try:
            return _clip(path)
        except (*DAMAGE, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise
            raise _damaged(error) from error


def _clip(path: Path) -> Clip:
    dataset = pydicom.dcmread(path, defer_size=_DEFER_BYTES, force=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax is None or syntax == DeflatedExplicitVRLittleEndian or "PixelData" not in dataset:
        return clip_from_image(read_dicom(path))  # too old, too rare or too broken to be read piece by piece
    count = max(whole_number(dataset, "NumberOfFrames", 1), 1)
    # One frame at a time is in memory, so one frame is what the limits are about.
    layout = pixel_layout(_first_frames(dataset, 0, 1), path.stat().st_size)
    source = DicomFrames.of(path, dataset, layout, count)
    calibration = dicom_calibration(dataset, layout.columns, layout.rows)
    frames = frame_layout(dataset, count, calibration.spacing_mm or (1.0, 1.0))
    if not frames.is_cine:
        raise NotAClip("its frames are slices of a volume, and no clip. Detect in one of its slices.")
    times_s, time_source = frame_timing(dataset, count)
    heart_rate = number(dataset, "HeartRate")
    return Clip(
        source,
        (layout.columns, layout.rows),
        count,
        frames.ijk_to_ras,
        calibration,
        times_s=times_s,
        time_source=time_source,
        path=path,
        modality=str(dataset.get("Modality") or ""),
        heart_rate_bpm=heart_rate if heart_rate and math.isfinite(heart_rate) and 20 <= heart_rate <= 300 else None,
        warnings=(*frames.warnings, *source.warnings),
    )


@dataclass(frozen=True, eq=False)
class DicomFrames:
    """The frames of one file. `start` is where the pixel data begin in it."""

    path: Path
    dataset: Dataset  # without pixels
    layout: PixelLayout  # of one frame
    count: int
    start: int
    display: Display | None = None  # of grey pictures, chosen from the first frames
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, dataset: Dataset, layout: PixelLayout, count: int) -> DicomFrames:
        """The source of a file whose header was read with its pixels deferred. Raises ImageError where it is cut."""
        element = dataset.get_item("PixelData", keep_deferred=True)
        start = element.value_tell
        if not layout.transfer_syntax.is_encapsulated:
            length, frame = path.stat().st_size - start, _frame_bytes(layout)
            if length < frame * count:
                raise ImageError(f"it has {length // frame} of the {count} frames its header announces: it was cut.")
        header = copy.copy(dataset)
        del header["PixelData"]
        source = cls(path, header, layout, count, start)
        if not layout.is_grey:
            return source
        frames = range(min(count, _AT_A_TIME))
        stored = decoded_pixels(*source._part(frames, next(source._packed(frames))[1]))
        part = _first_frames(header, 0, len(frames))
        values = modality_values(part, stored)
        display, notes = grey_display(part, values, stored, inverted=layout.photometric == "MONOCHROME1")
        return replace(source, display=display, warnings=notes)

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for numbers, packed in self._packed(frames):
                    yield from self._decoded(numbers, packed)
            except DAMAGE as error:
                raise _damaged(error) from error

    def _decoded(self, frames: Sequence[int], packed: list[bytes]) -> Iterator[np.ndarray]:
        part, layout = self._part(frames, packed)
        pixels = decoded_pixels(part, layout)
        if self.display is not None:
            pixels = self.display.to_uint8(modality_values(part, pixels))
        elif pixels.dtype != np.uint8:
            bits = layout.bits_stored if layout.samples == 3 else pixels.dtype.itemsize * 8
            pixels = HighByte(max(bits - 8, 0)).to_uint8(pixels)
        for picture in pixels:
            yield as_rgb(picture)

    def _part(self, frames: Sequence[int], packed: list[bytes]) -> tuple[Dataset, PixelLayout]:
        """A dataset of a few frames, for those who decode whole ones."""
        part = _first_frames(self.dataset, frames[0], len(frames))
        encapsulated = self.layout.transfer_syntax.is_encapsulated
        part.PixelData = encapsulate(packed, has_bot=False) if encapsulated else b"".join(packed)
        part["PixelData"].is_undefined_length = encapsulated
        if not encapsulated:
            part["PixelData"].VR = "OB" if self.layout.bits_allocated == 8 else "OW"
        return part, replace(self.layout, frames=len(frames))

    def _packed(self, frames: Sequence[int]) -> Iterator[tuple[list[int], list[bytes]]]:
        """Frame numbers and their bytes as they stand in the file, a few at a time."""
        numbers: list[int] = []
        packed: list[bytes] = []
        with open(self.path, "rb") as file:
            for frame, content in self._contents(file, frames):
                # frames that are decoded together must follow each other: their header entries do
                if numbers and (len(numbers) == _AT_A_TIME or frame != numbers[-1] + 1):
                    yield numbers, packed
                    numbers, packed = [], []
                numbers.append(frame)
                packed.append(content)
        if numbers:
            yield numbers, packed

    def _contents(self, file: object, frames: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        file.seek(self.start)
        if not self.layout.transfer_syntax.is_encapsulated:
            length = _frame_bytes(self.layout)
            for frame in frames:
                file.seek(self.start + frame * length)
                yield frame, file.read(length)
            return
        wanted, last = set(frames), max(frames)
        found = -1
        for found, stream in enumerate(generate_frames(file, number_of_frames=self.count)):
            if found in wanted:
                yield found, stream
            if found == last:
                return
        raise ImageError(f"it has {found + 1} of the {self.count} frames its header announces: it was cut.")


def _first_frames(dataset: Dataset, start: int, count: int) -> Dataset:
    """The header as if the file held `count` frames from `start`."""
    part = copy.copy(dataset)
    part.NumberOfFrames = count
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups:
        part.PerFrameFunctionalGroupsSequence = groups[start : start + count]
    return part


def _frame_bytes(layout: PixelLayout) -> int:
    """Of one frame that is not compressed. YBR_FULL_422 keeps two samples per pixel (PS3.3 C.7.6.3.1.2)."""
    samples = 2 if layout.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else layout.samples
    return layout.rows * layout.columns * samples * layout.bits_allocated // 8


def _damaged(error: Exception) -> ImageError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ImageError(f"its DICOM data is damaged or cut ({reason}). Export it again.")
