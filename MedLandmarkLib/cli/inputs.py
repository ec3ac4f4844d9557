"""From image files to a name of its own for the outputs of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..image.finding import EXTENSIONS


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
