"""From the arguments of a command to image files, each with a name of its own for its outputs."""

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


def image_stem(path: Path) -> str:
    """The file's name without its image extension; other dots, as in DICOM identifiers, belong to the name."""
    name = path.name
    extension = next((end for end in EXTENSIONS if name.lower().endswith(end) and len(name) > len(end)), "")
    return name[: len(name) - len(extension)]


def output_stems(images: Sequence[Path]) -> dict[Path, str]:
    """A different stem for each image, also where letter case does not count.

    Usually that of the file. Files that would collide are told apart by their extension (`a_png`, `a_dcm`) and then by
    as many of their folders as it takes (`patient1_a_png`).
    """
    stems = {path: image_stem(path) for path in images}
    depth = 1
    while colliding := _colliding(stems):
        for path in colliding:
            stems[path] = _long_stem(path, depth, images.index(path))
        depth += 1
    return stems


def _colliding(stems: dict[Path, str]) -> list[Path]:
    by_stem: dict[str, list[Path]] = {}
    for path, stem in stems.items():
        by_stem.setdefault(stem.casefold(), []).append(path)
    return [path for paths in by_stem.values() if len(paths) > 1 for path in paths]


def _long_stem(path: Path, depth: int, position: int) -> str:
    """The last `depth` parts of the path as one name; where even the whole path is not enough, with its position."""
    parts = [part.replace(".", "_") for part in path.resolve().parts[1:]]
    return "_".join(parts[-depth:]) + (f"_{position + 1}" if depth > len(parts) else "")
