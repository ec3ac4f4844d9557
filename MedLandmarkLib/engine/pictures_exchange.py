"""Several images on their way from the client to the worker: their pixels one after another in one file.

The worker writes each as an image file of its own, so that what learns from files learns from a scene as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, EngineError, ImageError
from .image_exchange import append_pixels, image_fields, image_from_fields

if TYPE_CHECKING:
    from ..image import Image


def pictures_fields(images: Sequence[tuple[str, Image]], pixel_file: Path) -> list[dict[str, Any]]:
    """All of some named images but their pixels; they are to be written to `pixel_file` in the same order."""
    return [image_fields(image, pixel_file) | {"name": name} for name, image in images]


def write_all_pixels(images: Sequence[tuple[str, Image]], path: Path, is_dropped: Callable[[], bool]) -> None:
    """Write the pixels of some images one after another; give up when `is_dropped`. Raises OSError."""
    with path.open("wb") as file:
        for _name, image in images:
            append_pixels(image.pixels, file, is_dropped)


def write_pictures(fields: Sequence[Mapping[str, Any]], folder: Path) -> dict[int, Path]:
    """Write each image of `pictures_fields` as a file into `folder`; the file by the place of its fields.

    A file that is there already with the same content is left alone, so that a run goes on with what it knows. Raises
    EngineError for malformed fields, ImageError for a bad file of pixels, DatasetError for a volume or a clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    written = {}
    for number, (name, image) in enumerate(_images(fields)):
        stem = _stem(name, taken)
        written[number] = _write_picture(image, folder / stem, name)
    return written


def _images(fields: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Image]]:
    from numpy.lib import format as npy

    if not fields:
        return
    path = str(fields[0].get("pixels"))
    try:
        with Path(path).open("rb") as file:
            for one in fields:
                if one.get("pixels") != path:
                    raise EngineError("The images of one request must have their pixels in one file.")
                yield str(one.get("name") or "image"), image_from_fields(one, npy.read_array(file, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"The pixels that were handed over in {path} cannot be read: {error}.") from error


def _write_picture(image: Image, stem: Path, name: str) -> Path:
    """The picture that a reader would see, 8 bits: .nrrd with its pixel size, .png where it has none."""
    import SimpleITK

    from ..image.itk import quiet_libraries

    if image.size[2] > 1 or image.frame_count > 1:
        raise DatasetError(f"'{name}' is a volume or a clip; teaching learns from pictures.")
    picture = image.display_rgb()  # (rows, columns, 3)
    is_grey = image.pixels.shape[-1] == 1
    written = SimpleITK.GetImageFromArray(picture[..., 0] if is_grey else picture, isVector=not is_grey)
    spacing_mm = image.calibration.spacing_mm
    if spacing_mm is not None:
        written.SetSpacing(spacing_mm)
    path = stem.with_name(stem.name + (".png" if spacing_mm is None else ".nrrd"))
    temporary = stem.with_name(f".{stem.name}.{os.getpid()}{path.suffix}")
    try:
        with quiet_libraries():
            SimpleITK.WriteImage(written, str(temporary))
        if not path.is_file() or path.read_bytes() != temporary.read_bytes():
            os.replace(temporary, path)
    except RuntimeError as error:
        raise ImageError(f"'{name}' cannot be written to {path.parent}: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _stem(name: str, taken: set[str]) -> str:
    """A file name that any system takes, another for each image."""
    plain = re.sub(r"[^\w-]+", "_", name).strip("_")[:80] or "image"
    stem, number = plain, 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{plain}_{number}"
    taken.add(stem.casefold())
    return stem
