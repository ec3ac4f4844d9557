"""JPEG: what its markers say (size, components, colour, orientation), and its pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import JPEGBaseline8Bit

from ..errors import ImageError
from .colour import rgb_from_ybr_full
from .gdcm import decode_streams
from .limits import check_size

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_DCT = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive; the rest is lossless, arithmetic or layered


@dataclass(frozen=True)
class JpegHeader:
    """The facts in the markers of one JPEG stream."""

    columns: int
    rows: int
    bits: int
    components: tuple[int, ...]  # component identifiers
    process: int  # the frame marker, 0xC0 to 0xCF
    has_jfif: bool = False
    adobe_transform: int | None = None
    orientation: int = 1

    @property
    def is_ybr(self) -> bool:
        """Whether three components are luminance and chrominance: libjpeg's rule, from markers and identifiers."""
        if len(self.components) != 3:
            return False
        if self.has_jfif:
            return True
        if self.adobe_transform is not None:
            return self.adobe_transform == 1
        return self.components != tuple(b"RGB")


def read_jpeg(path: Path) -> tuple[np.ndarray, JpegHeader]:
    """Pixels (rows, columns, 1 or 3) uint8, as stored (the EXIF orientation is not applied). Raises ImageError."""
    data = path.read_bytes()
    header = parse_jpeg(data)
    if header.process not in _HUFFMAN_DCT or header.bits != 8:
        raise ImageError(
            f"its JPEG process (marker FF{header.process:02X}, {header.bits} bits) is not read outside DICOM. "
            "Save it as PNG."
        )
    if len(header.components) not in (1, 3):
        raise ImageError(
            f"its JPEG has {len(header.components)} colour components (CMYK?); grey and RGB are read. Save it as RGB."
        )
    check_size((header.columns, header.rows), bytes_per_pixel=len(header.components), stored_bytes=len(data))
    end = data.rfind(b"\xff\xd9")
    if end < 0:
        raise ImageError("its JPEG data ends too early (no end-of-image marker): it was cut. Copy or export it again.")
    stream = data[: end + 2]
    pixels = decode_streams(
        [stream + b"\0" * (len(stream) % 2)],
        JPEGBaseline8Bit,
        rows=header.rows,
        columns=header.columns,
        samples=len(header.components),
    )[0]
    return (rgb_from_ybr_full(pixels) if header.is_ybr else pixels), header


def parse_jpeg(data: bytes) -> JpegHeader:
    """The header of a JPEG stream. Raises ImageError when there is none."""
    has_jfif, adobe_transform, orientation = False, None, 1
    for marker, body in _segments(data):
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            has_jfif = True
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body[6:])
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe_transform = body[11]
        elif marker in _FRAME_MARKERS and len(body) >= 6:
            bits, rows, columns, count = struct.unpack(">BHHB", body[:6])
            identifiers = tuple(body[6 : 6 + 3 * count : 3])
            if len(identifiers) != count:
                break
            return JpegHeader(columns, rows, bits, identifiers, marker, has_jfif, adobe_transform, orientation)
    raise ImageError("its JPEG header is damaged or cut (no frame header). Copy or export it again.")


def exif_orientation(tiff: bytes) -> int:
    """The orientation tag (0112h, 1 to 8) of an EXIF block; 1 where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    start = struct.unpack(order + "I", tiff[4:8])[0]
    count = int.from_bytes(tiff[start : start + 2], "little" if order == "<" else "big")
    for offset in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack(order + "HHIH", tiff[offset : offset + 10])
        if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
            return value
    return 1


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the entropy-coded data."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a body
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xD9 or length < 2:
            return
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length
