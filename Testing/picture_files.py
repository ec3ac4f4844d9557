"""Small pictures and volumes made on the fly."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PICTURES = Path(__file__).parent / "Data" / "pictures"
RNG = np.random.default_rng(5)
GREY8 = RNG.integers(0, 256, (40, 60), np.uint8)
GREY16 = RNG.integers(0, 65536, (40, 60), np.uint16)
RGB8 = RNG.integers(0, 256, (40, 60, 3), np.uint8)
RGB16 = RNG.integers(0, 65536, (40, 60, 3), np.uint16)
VOLUME = RNG.integers(-1000, 1000, (20, 40, 60)).astype(np.int16)


def write(path: Path, pixels: np.ndarray, *, colour: bool = False, compress: bool = False) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=colour), str(path), compress)
    return path


def png(
    columns: int, rows: int, bits: int, colour: int, rows_of_bytes: list[bytes], *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG made by hand, without filters."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)),
            *(chunk(kind, body) for kind, body in extra),
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows_of_bytes))),
            chunk(b"IEND", b""),
        )
    )


def set_tiff_tag(path: Path, tag: int, value: int) -> None:
    """Overwrite a SHORT in the first directory of a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    start = struct.unpack("<I", data[4:8])[0]
    for offset in range(start + 2, start + 2 + 12 * struct.unpack("<H", data[start : start + 2])[0], 12):
        if struct.unpack("<H", data[offset : offset + 2])[0] == tag:
            data[offset + 8 : offset + 10] = struct.pack("<H", value)
            path.write_bytes(data)
            return
    raise AssertionError(f"{path} has no tag {tag}")
