"""One file in, one image out, whatever its name says."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ImageError
from .dicom import read_dicom
from .image import Image
from .pictures import read_bmp, read_jpeg_picture, read_png, read_tiff
from .sniffing import sniff
from .volumes import read_metaimage, read_nifti, read_nrrd

_READERS: dict[str, Callable[[Path], Image]] = {
    "png": read_png,
    "jpeg": read_jpeg_picture,
    "tiff": read_tiff,
    "bmp": read_bmp,
    "dicom": read_dicom,
    "nrrd": read_nrrd,
    "metaimage": read_metaimage,
    "nifti": lambda path: read_nifti(path, compressed=False),
    "nifti-gz": lambda path: read_nifti(path, compressed=True),
}


def read_image(
    path: str | os.PathLike[str],
    *,
    spacing_mm: float | Sequence[float] | None = None,
    ruler: Sequence[float] | None = None,
) -> Image:
    """Read a PNG, JPEG, TIFF, BMP, DICOM, NRRD, NIfTI or MetaImage file; the content decides, not the name.

    `spacing_mm`, one number or (x, y), or `ruler`, (x1, y1, x2, y2, mm), calibrates by hand in place of the header.
    Raises ImageError, with the file named in one line, when the file is no such image, is damaged, is larger than the
    limits, or states a geometry that cannot be; also when spacing and ruler are both given or make no sense.
    """
    path = Path(path)
    try:
        return _calibrated(_read(path), spacing_mm, ruler)
    except ImageError as error:
        raise ImageError(f"{path}: {' '.join(str(error).split())}") from error.__cause__
    except OSError as error:
        raise ImageError(f"{path}: the file cannot be opened ({error.strerror or error}).") from error
    except MemoryError as error:
        raise ImageError(f"{path}: there is not enough memory for this image. Cut or reduce it.") from error


def _read(path: Path) -> Image:
    if path.is_dir():
        raise ImageError("it is a folder; give one image file.")
    if not path.exists():
        raise ImageError("there is no such file.")
    return _READERS[sniff(path)](path)


def _calibrated(image: Image, spacing_mm: float | Sequence[float] | None, ruler: Sequence[float] | None) -> Image:
    if spacing_mm is not None and ruler is not None:
        raise ImageError("both a spacing and a ruler were given; one of them calibrates the image.")
    if spacing_mm is not None:
        return image.calibrated_by_spacing(spacing_mm)
    if ruler is None:
        return image
    if isinstance(ruler, str) or len(ruler) != 5:
        raise ImageError(f"a ruler is five numbers (X1, Y1, X2, Y2, MM), not {ruler!r}.")
    return image.calibrated_by_ruler(*ruler)
