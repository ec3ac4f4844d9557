"""NRRD files with an axis of kind "list": the image sequences that Slicer writes (.seq.nrrd).

The list axis is the last one, so that frames follow each other in the file, or the first, as older versions wrote it.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .clip import Clip, as_rgb
from .display import Display
from .image import Calibration
from .itk import ras_matrix
from .limits import check_size, check_spacing
from .sniffing import check_gzip
from .volumes import header_lines

_TYPES = {
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("char", "signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    "float": "f4",
}
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6}
_LPS_SIGNS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip


def is_sequence(path: Path) -> bool:
    """Whether a NRRD file has a list axis."""
    return "list" in _fields(path).get("kinds", "").lower().split()


def read_nrrd_sequence(path: Path) -> Clip:
    """A sequence of 2D pictures, grey or RGB. Raises ImageError."""
    fields = _fields(path)
    kinds = fields["kinds"].lower().split()
    sizes = _whole(fields.get("sizes", ""))
    if len(sizes) != len(kinds) or kinds.count("list") != 1:
        raise ImageError(f"its NRRD header has sizes {sizes} for axes of kinds {kinds}: it is damaged.")
    axis = kinds.index("list")
    spatial = [number for number, kind in enumerate(kinds) if kind in ("domain", "space")]
    colours = [number for number in range(len(kinds)) if number not in spatial and number != axis]
    if axis not in (0, len(kinds) - 1) or len(spatial) not in (2, 3) or len(colours) > 1:
        raise ImageError(f"its NRRD axes are {kinds}; sequences of 2D pictures have the list first or last.")
    columns, rows, slices = (*(sizes[number] for number in spatial), 1)[:3]
    channels = sizes[colours[0]] if colours else 1
    if slices != 1 or channels not in (1, 3):
        raise ImageError(f"its frames are {columns} x {rows} x {slices} with {channels} channel(s); pictures are read.")
    kind = _TYPES.get(fields.get("type", "").lower())
    if kind is None:
        raise ImageError(f"its NRRD type is '{fields.get('type')}'; 8-bit, 16-bit and float pictures are read.")
    dtype = np.dtype(("<" if fields.get("endian", "little").lower() == "little" else ">") + kind)
    check_size((columns, rows), bytes_per_pixel=channels * dtype.itemsize)
    data, start = _data_file(path, fields)
    source = NrrdFrames(
        data, start, fields.get("encoding", "raw").lower(), dtype, (rows, columns, channels), sizes[axis], axis == 0
    )
    source.check()
    calibration, matrix = _place(fields, spatial)
    times_s, time_source = _times(fields, axis, sizes[axis])
    first = next(source.values((0,)))
    return Clip(
        NrrdPictures(source, Display.for_pixels(first[None])),
        (columns, rows),
        sizes[axis],
        matrix,
        calibration,
        times_s=times_s,
        time_source=time_source,
        path=path,
    )


@dataclass(frozen=True)
class NrrdFrames:
    """Stored values of a sequence. `shape`: (rows, columns, channels) of a frame."""

    path: Path
    start: int
    encoding: str
    dtype: np.dtype
    shape: tuple[int, int, int]
    count: int
    list_is_first: bool

    @property
    def frame_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self) -> None:
        """Raises ImageError where the encoding is unknown or the data are cut."""
        needed = self.frame_bytes * self.count
        if self.list_is_first:
            check_size(self.shape[1::-1], count=self.count, bytes_per_pixel=self.shape[2] * self.dtype.itemsize)
        if self.encoding in ("gz", "gzip"):
            check_gzip(self.path, needed, self.start)
        elif self.encoding != "raw":
            raise ImageError(f"its NRRD encoding is '{self.encoding}'; raw and gzip sequences are read.")
        elif (length := self.path.stat().st_size - self.start) < needed:
            found = length // self.frame_bytes
            raise ImageError(f"it has {found} of the {self.count} frames its header announces: it was cut.")

    def values(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        """(rows, columns, channels) of each of `frames`, which rise."""
        with open(self.path, "rb") as raw:
            raw.seek(self.start)
            file = gzip.GzipFile(fileobj=raw) if self.encoding != "raw" else raw
            if self.list_is_first:  # all frames are woven into each other: there is no reading one of them
                woven = np.frombuffer(file.read(self.frame_bytes * self.count), self.dtype)
                rows, columns, channels = self.shape
                woven = woven.reshape(rows, columns, channels, self.count)
                yield from (np.ascontiguousarray(woven[..., frame]) for frame in frames)
                return
            before = -1
            for frame in frames:
                skip = (frame - before - 1) * self.frame_bytes
                if self.encoding == "raw":
                    file.seek(skip, 1)
                else:
                    for _ in range(frame - before - 1):
                        file.read(self.frame_bytes)
                yield np.frombuffer(file.read(self.frame_bytes), self.dtype).reshape(self.shape)
                before = frame


@dataclass(frozen=True)
class NrrdPictures:
    """A sequence as it is shown."""

    frames: NrrdFrames
    display: Display

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        for values in self.frames.values(frames):
            yield as_rgb(self.display.to_uint8(values))


def _fields(path: Path) -> dict[str, str]:
    """Fields and key-value pairs of the header by lower-case name."""
    fields = header_lines(path, r"^([^:#=\n]+):\s(.*)$", end=b"\n\n")
    return {**header_lines(path, r"^([^:#\n]+):=(.*)$", end=b"\n\n"), **fields}


def _data_file(path: Path, fields: dict[str, str]) -> tuple[Path, int]:
    """The file that holds the data and where they begin in it."""
    name = fields.get("data file", fields.get("datafile"))
    if name:
        from .volumes import check_data_file

        check_data_file(path, name)
        return path.resolve().parent / name, 0
    with open(path, "rb") as file:
        head = file.read(1 << 20)
    ends = [match.end() for match in re.finditer(rb"\n\r?\n", head)]
    if not ends:
        raise ImageError("its NRRD header does not end: it was cut.")
    return path, ends[0]


def _place(fields: dict[str, str], spatial: list[int]) -> tuple[Calibration, np.ndarray]:
    vectors = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
    signs = _LPS_SIGNS.get(fields.get("space", "").lower().replace(" ", "-"))
    if len(vectors) <= max(spatial) or signs is None:
        return Calibration("none", "the NRRD header states no spacing"), np.diag((-1.0, -1.0, 1.0, 1.0))
    axes = np.array([_numbers(vectors[number]) for number in spatial]).T * np.array(signs)[:, None]  # (3, 2 or 3)
    if axes.shape[1] == 2:
        axes = np.column_stack((axes, np.cross(axes[:, 0], axes[:, 1])))
    origin = np.array(_numbers(fields.get("space origin", "(0,0,0)"))) * signs
    spacing = tuple(
        check_spacing(np.linalg.norm(axes[:, number]), "the NRRD field 'space directions'") for number in (0, 1)
    )
    return Calibration("calibrated", "NRRD header field 'space directions'", spacing), ras_matrix(axes, origin)


def _times(fields: dict[str, str], axis: int, count: int) -> tuple[tuple[float, ...] | None, str]:
    """Seconds since the first frame, from the index values of a list axis that is labelled as time, or its step."""
    label = _quoted(fields.get("labels", ""), axis).lower()
    unit = _quoted(fields.get("units", ""), axis).lower()
    factor = _SECONDS.get(unit, 1.0 if label == "time" and not unit else None)
    values = fields.get(f"axis {axis} index values", "").split()
    if factor is not None and len(values) == count:
        try:
            times = np.array([float(value) for value in values]) * factor
        except ValueError:
            return None, f"the index values of the NRRD sequence are no numbers ('{values[0]}')"
        return tuple((times - times[0]).tolist()), f"NRRD index values of the axis '{label or 'list'}' in {unit or 's'}"
    steps = fields.get("spacings", "").split()
    if factor is not None and axis < len(steps) and (step := float(steps[axis]) * factor) > 0:
        return tuple(frame * step for frame in range(count)), f"NRRD spacing of the axis '{label or 'list'}'"
    return None, "the NRRD sequence is not labelled as time"


def _quoted(text: str, number: int) -> str:
    found = re.findall(r'"([^"]*)"', text)
    return found[number] if number < len(found) else ""


def _whole(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split()]
    except ValueError:
        raise ImageError(f"its NRRD field 'sizes' is '{text[:60]}': the header is damaged.") from None


def _numbers(text: str) -> list[float]:
    try:
        values = [float(word) for word in text.strip("()").split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ImageError(f"its NRRD header holds '{text[:60]}' where three numbers are expected.")
    return values
