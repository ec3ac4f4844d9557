"""The first directory of a TIFF: what must be known of its colours before its pixels are believed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError

# TIFF 6.0, PhotometricInterpretation; the ones that can be read
_GREY, _RGB, _PALETTE, _YBR = (0, 1), 2, 3, 6
_PHOTOMETRIC_NAMES = {4: "a transparency mask", 5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 32803: "raw sensor data"}
_UNITS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8
_ALPHA = (1, 2)  # ExtraSamples: associated, unassociated


@dataclass(frozen=True)
class TiffHeader:
    """Colour and orientation of a TIFF's first page."""

    photometric: int
    samples: int
    extra_samples: tuple[int, ...]
    orientation: int

    @property
    def is_white_zero(self) -> bool:
        """Whether grey value 0 means white (MINISWHITE)."""
        return self.photometric == 0


def parse_header(path: Path) -> TiffHeader:
    """Raises ImageError when the directory is damaged or cut."""
    try:
        with open(path, "rb") as file:
            tags = _first_directory(file)
    except (struct.error, OverflowError, ValueError) as error:
        raise ImageError(f"its TIFF directory is damaged or cut ({error}). Copy or export it again.") from None
    if 256 not in tags or 257 not in tags:
        raise ImageError("its TIFF directory states no size: it is damaged. Copy or export it again.")
    return TiffHeader(
        photometric=tags.get(262, (1,))[0],
        samples=tags.get(277, (1,))[0],
        extra_samples=tags.get(338, ()),
        orientation=tags.get(274, (1,))[0],
    )


def check_colours(header: TiffHeader) -> None:
    """Raises ImageError unless the page is grey, palette, RGB, or RGB with a declared alpha."""
    known = (*_GREY, _RGB, _PALETTE, _YBR)
    if header.photometric not in known:
        name = _PHOTOMETRIC_NAMES.get(header.photometric, f"of photometric interpretation {header.photometric}")
        raise ImageError(f"its TIFF is {name}; grey, palette and RGB are read. Save it as RGB or grey.")
    colours = 3 if header.photometric in (_RGB, _YBR) else 1
    with_alpha = colours == 3 and header.samples == 4 and header.extra_samples[:1] and header.extra_samples[0] in _ALPHA
    if header.samples != colours and not with_alpha:
        raise ImageError(
            f"its TIFF has {header.samples} channels where {colours} are expected; only RGB may have a fourth, "
            "declared as alpha. Save it as grey or RGB."
        )


def _first_directory(file) -> dict[int, tuple[int, ...]]:
    """The whole-number tags of the first directory, of classic TIFF and BigTIFF."""
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    file.seek(struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0])
    count_format, entry_format, inline = ("Q", "HHQ8s", 8) if big else ("H", "HHI4s", 4)
    (count,) = struct.unpack(order + count_format, file.read(struct.calcsize(order + count_format)))
    if not 0 < count <= 4096:
        raise ValueError(f"{count} entries")
    entry_size = struct.calcsize(order + entry_format)
    entries = [struct.unpack(order + entry_format, file.read(entry_size)) for _ in range(count)]
    tags: dict[int, tuple[int, ...]] = {}
    for tag, kind, number, value in entries:
        unit = _UNITS.get(kind)
        if unit is None or not 0 < number <= 16:
            continue
        size = struct.calcsize(order + unit) * number
        if size > inline:
            file.seek(struct.unpack(order + ("Q" if big else "I"), value)[0])
            value = file.read(size)
        tags[tag] = struct.unpack(order + unit * number, value[:size])
    return tags
