"""Which files of a folder are meant as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".ima", ".nrrd", ".nhdr", ".nii.gz", ".nii",
    ".mha", ".mhd", ".avi", ".mp4",
)  # fmt: skip

_DICOM_PREAMBLE = 128


def gather_images(arguments: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The image files among `arguments`, each once, and remarks on what was skipped.

    A folder stands for the image files directly in it, sorted by name; a file is taken as it is, whatever its name, so
    that one which cannot be read is reported and not passed over.
    """
    images: dict[Path, Path] = {}  # by resolved path, so that nothing is done twice
    remarks = []
    for argument in arguments:
        if not argument.is_dir():
            images.setdefault(argument.resolve(), argument)
            continue
        files = sorted(path for path in argument.iterdir() if path.is_file() and not path.name.startswith("."))
        found = [path for path in files if is_image_file(path)]
        for path in found:
            images.setdefault(path.resolve(), path)
        skipped = [path.name for path in files if path not in set(found)]
        if skipped:
            more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
            remarks.append(f"{argument}: skipped {', '.join(skipped[:3])}{more}: not image files")
        if not found:
            remarks.append(f"{argument}: holds no image file")
    return list(images.values()), remarks


def is_image_file(path: Path) -> bool:
    """Whether a file in a folder is meant as an image: by its extension, else as DICOM by its preamble."""
    if path.name.lower().endswith(EXTENSIONS):
        return True
    try:
        with path.open("rb") as file:
            return file.read(_DICOM_PREAMBLE + 4)[_DICOM_PREAMBLE:] == b"DICM"
    except OSError:
        return False
