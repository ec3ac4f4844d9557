"""A dataset folder from images and the landmarks that people set in them."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..image import Image
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .folder import AXES, CASES, DESCRIPTION, LANDMARKS, SIZE_COLUMNS, spacing_columns

# What a person has looked at. A prediction that nobody checked teaches a model its own mistakes.
CHECKED = frozenset({Status.ACCEPTED, Status.EDITED})
_IMAGES = "images"
_DETACHED = (".mhd", ".nhdr")
_OFF_PLANE_PX = 0.5


@dataclass(frozen=True)
class AnnotatedImage:
    """One image with the landmarks that somebody set in it.

    image: as read from its file, calibrated as it was when the landmarks were set. landmarks: with ijk, or with ras in
    the image's own patient space. subject: whose image it is, where that is known; case: its name in the dataset, else
    that of its file.
    """

    image: Image
    landmarks: LandmarkSet
    subject: str = ""
    case: str = ""
    rater: str = "annotated"

    @property
    def id(self) -> str:
        return self.case or _stem(self.image.path)

    def points(self, statuses: frozenset[Status]) -> dict[str, np.ndarray]:
        """(i, j, k) by name, in pixels of the stored image, of the landmarks with one of `statuses`."""
        positions = {item.name: self._ijk(item) for item in self.landmarks if item.status in statuses}
        return {name: ijk for name, ijk in positions.items() if ijk is not None}

    def _ijk(self, landmark: Landmark) -> np.ndarray | None:
        if landmark.ijk is not None:
            return np.array(landmark.ijk, float)
        if landmark.ras is None:
            return None
        return (np.linalg.inv(self.image.ijk_to_ras) @ [*landmark.ras, 1.0])[:3]


def write_dataset(
    folder: Path | str,
    annotated: Sequence[AnnotatedImage],
    *,
    landmark_names: Sequence[str] | None = None,
    scheme: Scheme | None = None,
    name: str = "",
    validation_share: float = 0.2,
    seed: int = 0,
    statuses: frozenset[Status] = CHECKED,
) -> Path:
    """Write a dataset folder that `read_dataset` reads; the images are copied as they are, with all their files say.

    landmark_names: in order; else the scheme's, else those that occur. validation_share: the share of the subjects that
    goes to split "val", drawn with `seed`; the rest is "train". statuses: which landmarks count.

    The folder is made whole or not at all and must not be there yet. Raises DatasetError that lists every image which
    has no landmark to give, has one off its plane, is of another dimension, has several frames, or whose file is more
    than one file.
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError(f"{folder}: is already there; name a new folder, or remove it first.")
    if not annotated:
        raise DatasetError(f"{folder}: there is no image with landmarks to write.")
    if not 0 <= validation_share < 1:
        raise DatasetError(f"The share of validation is {validation_share:g}; it must be from 0 to below 1.")
    points = {item.id: item.points(statuses) for item in annotated}
    used = [item.name for one in annotated for item in one.landmarks if item.name in points[one.id]]
    names = tuple(landmark_names or (scheme.names if scheme is not None else dict.fromkeys(used)))
    dimension = 3 if annotated[0].image.size[2] > 1 else 2
    _refuse_faults(folder, annotated, points, names, dimension)
    splits = split_by_subject([item.subject or item.id for item in annotated], validation_share, seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".medlandmark-", dir=folder.parent) as temporary:
        made = Path(temporary, "dataset")
        (made / _IMAGES).mkdir(parents=True)
        for item in annotated:
            shutil.copyfile(item.image.path, made / _image_file(item))
        _write_rows(made / CASES, [_case_row(item, dimension, splits) for item in annotated])
        _write_rows(made / LANDMARKS, _landmark_rows(annotated, points, names, dimension))
        description = _description(name or folder.name, names, dimension, scheme, annotated, splits)
        text = json.dumps(description, indent=1, ensure_ascii=False)
        (made / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        made.rename(folder)
    return folder


def split_by_subject(subjects: Sequence[str], share: float, seed: int) -> dict[str, str]:
    """Subject -> "train" or "val": a random `share` of the subjects is "val", at least one where there are two.

    The same subjects, share and seed give the same splits, in whatever order they come.
    """
    known = sorted(set(subjects))
    count = min(max(round(share * len(known)), 1), len(known) - 1) if share > 0 else 0
    drawn = np.random.default_rng(seed).permutation(len(known))[:count]
    validation = {known[number] for number in drawn}
    return {subject: "val" if subject in validation else "train" for subject in known}


def _refuse_faults(
    folder: Path,
    annotated: Sequence[AnnotatedImage],
    points: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
    dimension: int,
) -> None:
    faults = []
    ids = [item.id for item in annotated]
    for item in annotated:
        image = item.image
        own = {name: ijk for name, ijk in points[item.id].items() if name in names}
        outside = [name for name, ijk in own.items() if not _is_inside(ijk, image.size)]
        if ids.count(item.id) > 1:
            faults.append(f"{image.path}: another image has the name '{item.id}', too; rename one")
        elif image.path is None or image.path.name.lower().endswith(_DETACHED):
            faults.append(f"{image.path}: its pixels are in another file; save it as one file (.nrrd, .mha)")
        elif image.frame_count > 1:
            faults.append(f"{image.path}: has {image.frame_count} frames; save the annotated ones as images")
        elif (3 if image.size[2] > 1 else 2) != dimension:
            faults.append(f"{image.path}: a dataset holds pictures or volumes, not both")
        elif not own:
            faults.append(f"{image.path}: none of its landmarks was placed, accepted or edited by a person")
        elif outside:
            place = ", ".join(f"{value:.1f}" for value in own[outside[0]])
            size = " x ".join(map(str, image.size[:dimension]))
            faults.append(
                f"{image.path}: '{outside[0]}' lies at pixel ({place}), outside the image of {size} px; were the "
                "landmarks set on this image, and with this pixel spacing?"
            )
    if faults:
        raise DatasetError(f"{folder}: {len(faults)} images cannot be used:\n  " + "\n  ".join(faults))


def _is_inside(ijk: np.ndarray, size: tuple[int, int, int]) -> bool:
    return bool(
        np.isfinite(ijk).all() and (ijk >= -_OFF_PLANE_PX - 1e-3).all() and (ijk <= np.array(size) - 0.499).all()
    )


def _case_row(item: AnnotatedImage, dimension: int, splits: Mapping[str, str]) -> dict[str, Any]:
    image, subject = item.image, item.subject or item.id
    spacing = np.linalg.norm(image.ijk_to_ras[:3, :dimension], axis=0) if image.calibration.kind != "none" else None
    sizes = zip(SIZE_COLUMNS[dimension], image.size[:dimension], strict=True)
    lengths = [""] * dimension if spacing is None else [f"{value:.9g}" for value in spacing]
    return {
        "case": item.id,
        "file": _image_file(item).as_posix(),
        **dict(sizes),
        **dict(zip(spacing_columns(dimension), lengths, strict=True)),
        "subject": subject,
        "split": splits[subject],
        "calibration": image.calibration.kind,
    }


def _landmark_rows(
    annotated: Sequence[AnnotatedImage],
    points: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
    dimension: int,
) -> list[dict[str, Any]]:
    rows = []
    for item in annotated:
        status_of = {landmark.name: landmark.status.value for landmark in item.landmarks}
        for name in names:
            if name in points[item.id]:
                ijk = points[item.id][name]
                coordinates = {axis: f"{ijk[number]:.5f}" for number, axis in enumerate(AXES[dimension])}
                own = {"case": item.id, "rater": item.rater, "landmark": name}
                rows.append({**own, **coordinates, "status": status_of[name]})
    return rows


def _description(
    name: str,
    names: Sequence[str],
    dimension: int,
    scheme: Scheme | None,
    annotated: Sequence[AnnotatedImage],
    splits: Mapping[str, str],
) -> dict[str, Any]:
    definitions = {item.name: item.definition for item in scheme.landmarks} if scheme is not None else {}
    cases: dict[str, list[str]] = {}
    for item in annotated:
        cases.setdefault(splits[item.subject or item.id], []).append(item.id)
    axes = ", ".join(AXES[dimension])
    return {
        "name": name,
        "scheme": scheme.id if scheme is not None else None,
        "dimension": dimension,
        "landmarks": [
            {"index": number, "name": landmark, "definition": definitions.get(landmark, "")}
            for number, landmark in enumerate(names, start=1)
        ],
        "coordinates": {axes: "pixels of the stored image, 0 at the centre of the first pixel"},
        "n_cases": len(annotated),
        "splits": cases,
    }


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _image_file(item: AnnotatedImage) -> Path:
    return Path(_IMAGES, item.id + item.image.path.name[len(_stem(item.image.path)) :])


def _stem(path: Path) -> str:
    """The file's name without its ending, of which .nii.gz is one."""
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".nii.gz") else path.stem
