"""What a file is, told from its content: names lie, and a mistake named .png must be called by its right name."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

from ..errors import ImageError

HEAD_BYTES = 4096
GZIP_SLACK_BYTES = 64 << 20  # what may follow the pixels in a gzip file
READABLE = "PNG, JPEG, TIFF, BMP, DICOM, NRRD, NIfTI and MetaImage"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"NRRD0", "nrrd"),
)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive (unpack it first)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"%PDF", "a PDF document"),
    (b"GIF8", "a GIF picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture outside DICOM"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"{\\rtf", "a text document"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office document"),
)


def sniff(path: Path) -> str:
    """The format of a file: png, jpeg, tiff, bmp, dicom, nrrd, nifti, nifti-gz or metaimage.

    Raises ImageError, saying what the file seems to be, when it is none of these.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise ImageError("the file is empty (0 bytes). Copy or export it again.")
    kind = _kind(head)
    if kind is None:
        raise ImageError(f"it is not a picture that can be read: it looks like {_guess(head)}. Read are {READABLE}.")
    return kind


def _kind(head: bytes) -> str | None:
    if head[128:132] == b"DICM":  # before the others: a DICOM preamble may hold a TIFF header (PS3.10 section 7.1)
        return "dicom"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:2] == b"BM" and head[14:18] in (struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124)):
        return "bmp"
    if head[:2] == b"\x1f\x8b" and _is_nifti(inflated_head(head)):
        return "nifti-gz"
    if _is_nifti(head):
        return "nifti"
    if b"NDims" in head and b"ElementType" in head and head.lstrip()[:1].isalpha():
        return "metaimage"
    if _starts_with_dicom_element(head):
        return "dicom"
    return None


def inflated_head(head: bytes) -> bytes:
    """The first bytes of what a gzip file holds; empty when they cannot be inflated."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 1024)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 has 348 in its first four bytes and its magic at 344; NIfTI-2 has 540, and its magic at 4."""
    if head[344:347] in (b"n+1", b"ni1"):
        return 348 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    if head[4:7] in (b"n+2", b"ni2"):
        return 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    return False


def _starts_with_dicom_element(head: bytes) -> bool:
    """Old DICOM files lack preamble and prefix: they begin with an element of group 0002 or 0008, in either order."""
    if len(head) < 16:
        return False
    for order in "<>":
        group, element = struct.unpack(order + "HH", head[:4])
        length = struct.unpack(order + "I", head[4:8])[0]
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if group in (2, 8) and element < 0x100 and (explicit or length < 256):
            return True
    return False


def _guess(head: bytes) -> str:
    """A few words for a file that is no image."""
    for magic, words in _FOREIGN:
        if head.startswith(magic):
            return words
    if head[:2] == b"\x1f\x8b":
        return "a gzip archive of something else than NIfTI"
    if head[:4] == b"RIFF":
        return "a WebP picture" if head[8:12] == b"WEBP" else "an AVI video or a sound file"
    if head[4:8] == b"ftyp":
        return "an MP4 video or a HEIC/AVIF picture"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "a Python pickle (it was not opened)"
    return _guess_text(head) if _is_text(head) else f"unknown binary data (first bytes {head[:8].hex(' ')})"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return True
    printable = sum(9 <= byte <= 13 or 32 <= byte < 127 for byte in head)
    return not any(byte < 9 or 13 < byte < 27 for byte in head) and printable > len(head) / 2


def _guess_text(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    start = text[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start:
        return "a web page (HTML), perhaps a log-in or error page saved in place of a download"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (fetch the file itself with git lfs pull)"
    if start.startswith(b"<?xml") or start.startswith(b"<"):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "a JSON document"
    return "plain text"


def check_gzip(path: Path, expected_bytes: int, skip_bytes: int = 0) -> None:
    """Read a gzip file through, so that its own checksum proves it whole.

    Raises ImageError when it is damaged, cut, holds less than `expected_bytes`, or much more (a bomb). The image
    library does not look: it fills what is missing with zeros.
    """
    found = 0
    try:
        with open(path, "rb") as file:
            file.seek(skip_bytes)
            with gzip.GzipFile(fileobj=file) as stream:
                while chunk := stream.read(1 << 20):
                    found += len(chunk)
                    if found > 2 * expected_bytes + GZIP_SLACK_BYTES:
                        raise ImageError(f"it unfolds to far more than the {expected_bytes} bytes it announces.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImageError(f"its compressed data is damaged or cut ({error}). Copy or export it again.") from None
    if found < expected_bytes:
        raise ImageError(f"it holds {found} bytes of the {expected_bytes} its header announces: it was cut.")
