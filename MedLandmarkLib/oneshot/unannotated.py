"""The images that a teaching learns from without their landmarks.

Of such an image nothing but its own file is opened: no reading of it in a dataset folder is ever looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..dataset.folder import CASES, DESCRIPTION, LANDMARKS, read_rows
from ..errors import DatasetError
from ..image.finding import gather_images
from .request import SetAside, Template

TRAIN = "train"


def unannotated_images(places: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The image files at some places, each once, and remarks on what was passed over.

    A place is a file, a folder of images, or a dataset folder, of which the cases of split "train" are taken. Raises
    DatasetError where no image is found at the places.
    """
    found: list[Path] = []
    remarks: list[str] = []
    for place in places:
        if place.is_dir() and is_dataset_folder(place):
            found += train_images(place).values()
            continue
        images, passed_over = gather_images([place])
        found += images
        remarks += passed_over
    unique = {path.resolve(): path for path in found}
    if places and not unique:
        raise DatasetError(f"There is no unannotated image to learn from in {', '.join(map(str, places))}.")
    return tuple(unique.values()), tuple(remarks)


def require_enough(templates: Sequence[Template], image_paths: Sequence[Path]) -> None:
    """Raises DatasetError for a single annotated image with no other beside it: nothing could be learned from it."""
    annotated = {template.image_path.resolve() for template in templates}
    if len(templates) < 2 and not any(path.resolve() not in annotated for path in image_paths):
        raise DatasetError(
            "There is no unannotated image to learn from: name files or folders of images of the same kind, or give "
            "more annotated ones."
        )


def plain_reason(item: SetAside) -> str:
    """Why a file was not learned from, without the file's own path in front."""
    return item.reason.removeprefix(f"{item.path}: ")


def train_images(folder: Path) -> dict[str, Path]:
    """Image file by case, of the cases of split "train" of a dataset folder (all where it has no splits).

    Only cases.csv is opened. Raises DatasetError.
    """
    rows = read_rows(folder / CASES, ("case", "file"))
    is_split = any(row.get("split") for row in rows)
    found = {row["case"]: folder / row["file"] for row in rows if not is_split or row.get("split") == TRAIN}
    if not found:
        raise DatasetError(f"{folder}: no case is in split '{TRAIN}', which alone is learned from.")
    return found


def is_dataset_folder(path: Path) -> bool:
    """Whether a folder has the tables of a dataset."""
    return all((path / name).is_file() for name in (DESCRIPTION, CASES, LANDMARKS))
