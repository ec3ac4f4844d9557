"""Reading through SimpleITK: the format is named by us, sizes are checked first, and its noise becomes one error."""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK

from ..errors import ImageError
from .limits import check_size, check_spacing

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

_stderr_lock = threading.Lock()

# What the C libraries below ITK print, and carry on, when data does not decode.
_DAMAGE = re.compile(
    r"corrupt|premature|uncompress failed|not read completely|decoding error|extraneous|crc error|bad huffman"
    r"|not enough data",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are read. Lengths and axes are ITK's: mm, LPS."""

    size: tuple[int, ...]
    components: int
    pixel_type: str
    bytes_per_component: int


@dataclass(frozen=True)
class Volume:
    """Pixels (frames, slices, rows, columns, components) and their place in patient space (RAS, mm)."""

    pixels: np.ndarray
    ijk_to_ras: np.ndarray
    spacing: tuple[float, ...]


def read_header(path: Path, image_io: str) -> Header:
    """Raises ImageError when the file is damaged or of a kind ITK cannot hold."""
    with quiet_libraries() as messages:
        try:
            reader = _reader(path, image_io)
            reader.ReadImageInformation()
            pixel_id = reader.GetPixelID()
        except RuntimeError as error:
            failure: Exception | None = error
        else:
            failure = None
    if failure is not None:
        raise ImageError(f"its header cannot be read: {plain_message(failure)}{_last(messages)}") from None
    name = SimpleITK.GetPixelIDValueAsString(pixel_id)
    bits = re.search(r"(\d+)-bit", name)
    if "complex" in name or bits is None:
        raise ImageError(f"its pixels are of type '{name}'; whole numbers or floats are needed.")
    return Header(tuple(reader.GetSize()), reader.GetNumberOfComponents(), name, int(bits.group(1)) // 8)


def read_volume(path: Path, image_io: str) -> Volume:
    """All pixels of a 2D, 3D or 4D (time last) file. Sizes are checked against the limits before pixels are read.

    Raises ImageError.
    """
    header = read_header(path, image_io)
    if len(header.size) not in (2, 3, 4):
        raise ImageError(f"it has {len(header.size)} dimensions; 2, 3 or 4 (with time) can be read.")
    check_size(
        header.size[:3],
        count=math.prod(header.size[3:]),
        bytes_per_pixel=header.components * header.bytes_per_component,
        stored_bytes=_stored_bytes(path),
    )
    return volume_of(execute(path, image_io), header.components)


def execute(path: Path, image_io: str) -> SimpleITK.Image:
    """Decode a file. Raises ImageError when anything was wrong, also where the library only prints a warning."""
    failure: Exception | None = None
    with quiet_libraries() as messages:
        try:
            image = _reader(path, image_io).Execute()
        except RuntimeError as error:
            failure = error
    if failure is not None:
        reason = f"{plain_message(failure)}{_last(messages)}"
        raise ImageError(f"its pixels cannot be decoded: {reason} Copy or export it again.") from None
    for message in messages:
        if _DAMAGE.search(message):
            raise ImageError(f"its pixel data is damaged ({message}). Copy or export it again.")
    return image


def volume_of(image: SimpleITK.Image, components: int) -> Volume:
    """Pixels and geometry of an ITK image."""
    pixels = SimpleITK.GetArrayFromImage(image)
    if components == 1:
        pixels = pixels[..., np.newaxis]
    while pixels.ndim < 5:  # (rows, columns, c) -> (slices, rows, columns, c) -> (frames, slices, rows, columns, c)
        pixels = pixels[np.newaxis]
    dimension = image.GetDimension()
    spatial = min(dimension, 3)
    spacing, origin = np.ones(3), np.zeros(3)
    spacing[:spatial] = [check_spacing(value, "its header's pixel spacing") for value in image.GetSpacing()[:spatial]]
    origin[:spatial] = image.GetOrigin()[:spatial]
    direction = np.eye(3)
    direction[:spatial, :spatial] = np.array(image.GetDirection()).reshape(dimension, dimension)[:spatial, :spatial]
    return Volume(pixels, ras_matrix(direction * spacing, origin), tuple(spacing))


def ras_matrix(axes_lps: np.ndarray, origin_lps: np.ndarray) -> np.ndarray:
    """(4, 4) pixel-to-RAS from LPS axes, (3, 3) with one column per pixel step in mm, and the LPS origin (3,)."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes_lps
    matrix[:3, 3] = origin_lps
    return np.diag((-1.0, -1.0, 1.0, 1.0)) @ matrix


@contextmanager
def quiet_libraries() -> Iterator[list[str]]:
    """Keep what C libraries print on stderr off the user's terminal; the list holds its lines afterwards.

    libtiff, libpng, libjpeg and MetaIO print by themselves, at the level of the file descriptor. The descriptor is
    the process's, so other threads' stderr in these moments lands here too; stdout is left alone.
    """
    messages: list[str] = []
    with _stderr_lock, tempfile.TemporaryFile() as sink:
        try:
            sys.stderr.flush()
            saved = os.dup(2)
        except (OSError, ValueError, AttributeError):  # a windowed program may have no stderr to keep clean
            yield messages
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield messages
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            text = sink.read(65_536).decode("utf-8", "replace")
            messages.extend(line.strip() for line in text.splitlines() if line.strip())


def plain_message(error: Exception) -> str:
    """The last sentence of an ITK exception, without file names, line numbers and addresses."""
    text = str(error)
    for mark in ("ITK ERROR:", "sitk::ERROR:"):
        if mark in text:
            text = text.rsplit(mark, 1)[1]
            break
    text = re.sub(r"\w+\(0x[0-9a-f]+\):", "", text)
    text = text.replace("Failed to change to Implicit Transfer Syntax", "the compressed data is damaged")  # GDCM
    text = re.sub(r"Reason: Inappropriate ioctl for device", "", text)  # a stale errno of the C library
    return " ".join(text.split()).rstrip(".")[:200] + "."


def _reader(path: Path, image_io: str) -> SimpleITK.ImageFileReader:
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    return reader


def _stored_bytes(path: Path) -> int | None:
    """A file's length; None for a header whose pixels are in another file."""
    return None if path.suffix.lower() in (".mhd", ".nhdr") else path.stat().st_size


def _last(messages: list[str]) -> str:
    return f" ({messages[-1][:120]})" if messages else ""
