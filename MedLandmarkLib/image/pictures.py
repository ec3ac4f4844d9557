"""PNG, TIFF, BMP and JPEG: pictures without a patient, hence without millimetres."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import ImageError
from . import tiff
from .display import Display, HighByte, robust_window
from .image import Calibration, Image
from .itk import read_volume
from .jpeg import exif_orientation, read_jpeg
from .limits import check_size

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UPRIGHT = 1  # the EXIF orientation that needs no turning


def read_png(path: Path) -> Image:
    """PNG of any kind: 1 to 16 bits, grey, palette or RGB; alpha is dropped, not blended. Raises ImageError."""
    chunks = list(_png_chunks(path.read_bytes()))
    columns, rows, bits, colour = struct.unpack(">IIBB", chunks[0][1][:10])
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour)
    if channels is None:
        raise ImageError(f"its PNG header is damaged (colour type {colour}). Copy or export it again.")
    check_size((columns, rows), bytes_per_pixel=channels * max(bits // 8, 1), stored_bytes=path.stat().st_size)
    kinds = {kind for kind, _ in chunks}
    orientation = next((exif_orientation(body) for kind, body in chunks if kind == b"eXIf"), _UPRIGHT)
    if colour != 4 and b"tRNS" not in kinds:
        pixels = read_volume(path, "PNGImageIO").pixels
    else:
        pixels = _read_png_without_alpha(chunks)
    return _picture(path, "PNG", pixels[..., :3] if pixels.shape[-1] == 4 else pixels, orientation)


def read_tiff(path: Path) -> Image:
    """TIFF: grey, palette or RGB, 1 to 16 bits or float; alpha is dropped; several pages become slices."""
    header = tiff.parse_header(path)
    tiff.check_colours(header)
    pixels = read_volume(path, "TIFFImageIO").pixels
    if pixels.shape[-1] == 4:  # alpha; or a bilevel or YCbCr file, which ITK delivers as RGBA
        pixels = pixels[..., :3]
    inverted = header.is_white_zero and pixels.shape[-1] == 1  # ITK leaves these as stored
    return _picture(path, "TIFF", pixels, header.orientation, inverted=inverted)


def read_bmp(path: Path) -> Image:
    """BMP with 8, 24 or 32 bits per pixel (the last 8 of 32 are dropped)."""
    _check_bmp(path)
    pixels = read_volume(path, "BMPImageIO").pixels
    return _picture(path, "BMP", pixels[..., :3] if pixels.shape[-1] == 4 else pixels, _UPRIGHT)


def read_jpeg_picture(path: Path) -> Image:
    """JPEG, grey or colour, 8 bits."""
    pixels, header = read_jpeg(path)
    return _picture(path, "JPEG", pixels[np.newaxis, np.newaxis], header.orientation)


def _picture(path: Path, name: str, pixels: np.ndarray, orientation: int, *, inverted: bool = False) -> Image:
    """The image of a picture file: no calibration, Slicer's axes for 2D (column to the left, row to the back)."""
    if pixels.shape[-1] not in (1, 3):
        raise ImageError(f"it has {pixels.shape[-1]} channels; grey, RGB, and RGB with alpha are read.")
    warnings = []
    if orientation != _UPRIGHT:
        warnings.append(
            f"The file has EXIF orientation {orientation}; pixels are used as stored, so the picture may lie on its "
            "side or be mirrored. Save it upright if the landmarks look wrong."
        )
    if pixels.dtype == np.uint8:
        display = Display(HighByte(), inverted)
    elif pixels.dtype == np.uint16:
        display = Display(HighByte(8), inverted)
        if (top := int(pixels.max())) < 65536 // 16:
            warnings.append(
                f"The 16-bit values end at {top}, below 1/16 of their range: the picture will look dark, and landmarks "
                "may be missed. Spread the values over 0 to 65535, or save it with 8 bits."
            )
    else:
        if not np.isfinite(pixels).all():
            raise ImageError("some of its pixels are not finite numbers (NaN or infinite). Replace them first.")
        display = Display(robust_window(pixels), inverted)
        warnings.append(f"Pixels of type {pixels.dtype} are shown from their 0.5th to their 99.5th percentile.")
    return Image(
        pixels,
        np.diag((-1.0, -1.0, 1.0, 1.0)),
        Calibration("none", f"a {name} file says nothing of the patient's size (its resolution is for printing)"),
        path=path,
        warnings=tuple(warnings),
        display=display,
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each chunk, IHDR to IEND, their checksums verified (PNG specification, section 5.3)."""
    position, first = len(_PNG_SIGNATURE), True
    while position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body, crc = data[position + 8 : position + 8 + length], data[position + 8 + length : position + 12 + length]
        if len(body) < length or len(crc) < 4:
            break
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(crc, "big") or (first and kind != b"IHDR"):
            raise ImageError(f"its PNG data is damaged (chunk {kind!r} at byte {position}). Copy or export it again.")
        yield kind, body
        if kind == b"IEND":
            return
        position, first = position + 12 + length, False
    raise ImageError(f"its PNG data ends too early, at {len(data)} bytes: it was cut. Copy or export it again.")


def _read_png_without_alpha(chunks: list[tuple[bytes, bytes]]) -> np.ndarray:
    """Pixels of a PNG with a transparency chunk, or of grey with alpha, which SimpleITK cannot hold.

    PNG filters work on bytes, and on whole pixels only through their number of bytes. So 2 x 8 bits of grey and alpha
    are decoded as one 16-bit grey, and 2 x 16 bits as 8-bit RGBA, and are taken apart afterwards.
    """
    header = bytearray(chunks[0][1])
    bits, colour = header[8], header[9]
    if colour == 4:
        header[8], header[9] = (16, 0) if bits == 8 else (8, 6)
    parts = [(b"IHDR", bytes(header)), *((kind, body) for kind, body in chunks if kind in (b"PLTE", b"IDAT", b"IEND"))]
    with tempfile.TemporaryDirectory(prefix="medlandmark-") as folder:
        plain = Path(folder) / "plain.png"
        with open(plain, "wb") as file:
            file.write(_PNG_SIGNATURE)
            for kind, body in parts:
                crc = zlib.crc32(body, zlib.crc32(kind))
                file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc))
        pixels = read_volume(plain, "PNGImageIO").pixels
    if colour != 4:
        return pixels
    if bits == 8:
        return (pixels >> 8).astype(np.uint8)
    return (pixels[..., :1].astype(np.uint16) << 8) | pixels[..., 1:2]


def _check_bmp(path: Path) -> None:
    """Refuse BMP files whose header ITK would believe: odd depths, impossible sizes, rows that are not there."""
    length = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(54).ljust(54, b"\0")
    start, dib = struct.unpack("<II", head[10:18])
    if dib < 40:
        raise ImageError("it is a BMP of the OS/2 kind. Save it as PNG.")
    columns, rows, _, bits, compression = struct.unpack("<iiHHI", head[18:34])
    if bits not in (8, 24, 32) or compression not in (0, 1, 3):
        raise ImageError(
            f"its BMP has {bits} bits per pixel, compression {compression}; 8, 24 and 32 bits are read. Save it as PNG."
        )
    check_size((columns, abs(rows)), bytes_per_pixel=bits // 8, stored_bytes=length)
    needed = start + (bits * columns + 31) // 32 * 4 * abs(rows)
    if compression != 1 and length < needed:
        raise ImageError(f"it has {length} bytes of the {needed} its BMP header announces: it was cut.")
