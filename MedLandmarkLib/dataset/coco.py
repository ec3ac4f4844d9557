"""Datasets as COCO keypoint files, the form in which MedSapiens ships its data.

A file holds ``images`` (id, file_name, width, height), ``annotations`` (id, image_id, category_id, keypoints) and
``categories`` (id, name, keypoints: the landmarks' names in order). ``keypoints`` of an annotation is x, y, visibility
for each landmark, in pixels of the stored image with a pixel's centre at its integer, as MedSapiens' geometry has it;
visibility 0 means that the landmark is not annotated, 1 (hidden) and 2 (visible) that it is. Boxes are not used.

Read besides, where they are there: ``spacing_mm`` (one number, or x and y) and ``subject`` of an image, ``rater`` of an
annotation, and the files ``*meta_json/ID_meta.json`` beside the COCO file with the spacing of image NAME_ID.png (rows
before columns), which MedSapiens ships for its leg radiographs.

The split is the file's: "train", "val" or "test" as a word of its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .cases import Case, LandmarkDataset, Point, listed
from .finding import Finding, error
from .numbers import Place

RATER = "annotated"  # who read the points of a file that does not say
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

Points = dict[str, dict[str, dict[str, Point]]]


def examine_coco(files: Sequence[Path], images: Path | str | None = None) -> tuple[LandmarkDataset, list[Finding]]:
    """What can be read of COCO files, each of another split, and what is wrong with them; images are not opened.

    Raises DatasetError where a file is no COCO keypoint file, two files are of the same split or name different
    landmarks.
    """
    documents = {path: _document(path) for path in files}
    names_by_file = {path: landmark_names(path, document["categories"]) for path, document in documents.items()}
    names = names_by_file[files[0]]
    for path in files[1:]:
        if names_by_file[path] != names:
            raise DatasetError(
                f"{path}: names other landmarks than {files[0].name}. Name the files of one dataset, for example with "
                f"a pattern: {path.parent / '*_train_*.json'}."
            )
    found: list[Finding] = []
    cases: dict[str, Case] = {}
    file_of_split: dict[str, Path] = {}
    for path, document in documents.items():
        split = split_of(path)
        if split in file_of_split:
            raise DatasetError(
                f"{path}: is of the same split '{split}' as {file_of_split[split].name}. Name the files of one dataset."
            )
        file_of_split[split] = path
        reader = _FileReader(path, document, Path(images) if images is not None else None, found)
        for case in reader.cases(split):
            if case.id in cases:
                what = f"{path}: image '{case.id}' is also in {file_of_split[cases[case.id].split].name}"
                found.append(error("case", what, "an image belongs to one split", case=case.id))
            else:
                cases[case.id] = case
        if not document["images"]:
            found.append(error("split", f"{path}: split '{split}' has no image", "give it some or take the file away"))
    name = re.sub(r"[_\-.]+", "_", "_".join(word for word in _words(files[0]) if word not in _SPLITS)) or "coco"
    return LandmarkDataset(name, files[0].parent, names, tuple(cases.values())), found


def split_of(path: Path) -> str:
    """The split that a file's name tells; empty where it tells none."""
    return next((_SPLITS[word] for word in _words(path) if word in _SPLITS), "")


def _words(path: Path) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", path.stem.lower()) if word not in ("", "annotations", "coco")]


def landmark_names(path: Path, categories: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The landmarks of all categories, each once, in their order. Raises DatasetError."""
    return tuple(dict.fromkeys(name for names in _names_of_categories(path, categories).values() for name in names))


def _names_of_categories(path: Path, categories: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[str, ...]]:
    """Category id -> the names of its landmarks.

    Categories with one and the same list share its landmarks. Where different lists share a name (K0 of a leg and K0 of
    a chest), the category's name is put before it.
    """
    lists = {_key(category.get("id")): _keypoint_names(path, category) for category in categories}
    distinct = set(lists.values())
    if sum(map(len, distinct)) == len({name for names in distinct for name in names}):
        return lists
    titles = {_key(category.get("id")): category.get("name", category.get("id")) for category in categories}
    return {key: tuple(f"{titles[key]}/{name}" for name in names) for key, names in lists.items()}


def _keypoint_names(path: Path, category: Any) -> tuple[str, ...]:
    names = category.get("keypoints") if isinstance(category, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise DatasetError(f"{path}: category {category!r:.80} has no list 'keypoints' of landmark names.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"{path}: category '{category.get('name')}' names keypoint '{twice}' twice.")
    return tuple(names)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as failure:
        raise DatasetError(f"{path}: cannot be read ({failure.strerror}).") from failure
    except (ValueError, RecursionError) as failure:
        raise DatasetError(f"{path}: is not valid JSON ({failure}).") from failure
    for key in ("images", "annotations", "categories"):
        entries = document.get(key) if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DatasetError(f"{path}: is no COCO keypoint file: it has no list '{key}' of objects.")
    if not document["categories"]:
        raise DatasetError(f"{path}: has no category, hence no landmark names.")
    return document


class _FileReader:
    """Reads the cases of one COCO file and notes what is wrong with it."""

    def __init__(self, path: Path, document: dict[str, Any], images: Path | None, found: list[Finding]) -> None:
        self.path, self.document, self.found = path, document, found
        self.roots = [images] if images is not None else _image_roots(path)
        self.names_of_category = _names_of_categories(path, document["categories"])

    def cases(self, split: str) -> list[Case]:
        """The images as cases, in the file's order."""
        ids = self._case_ids()
        points = self._points(ids)
        cases = []
        for number, image in enumerate(self.document["images"]):
            case_id = ids.get(_key(image.get("id")))
            place = Place(f"{self.path}, image {image.get('id', f'number {number + 1}')}", self.found, case_id or "")
            if case_id is None or not _is_file_name(image.get("file_name")):
                place.fault("case", "has no 'id' or no 'file_name'", "every image needs both")
                continue
            size = (place.length("width", image.get("width")), place.length("height", image.get("height")))
            image_path = self._image_path(place, image["file_name"])
            if None not in size:
                spacing_mm = self._spacing(place, image)
                subject = str(image.get("subject") or case_id)
                cases.append(Case(case_id, image_path, size, spacing_mm, subject, split, points.get(case_id, {})))
        return cases

    def _case_ids(self) -> dict[Any, str]:
        """Image id -> case id: the file's name without its ending, with its folder where two have the same name."""
        files = {}
        for image in self.document["images"]:
            image_id = _key(image.get("id"))
            if image_id in files:
                what = f"{self.path}: image id {image['id']!r} is given twice"
                self.found.append(error("case", what, "give every image an id of its own", value=image["id"]))
            elif image_id is not None and _is_file_name(image.get("file_name")):
                files[image_id] = Path(image["file_name"].replace("\\", "/"))
        stems = [file.stem for file in files.values()]
        return {
            image_id: file.stem if stems.count(file.stem) == 1 else file.as_posix() for image_id, file in files.items()
        }

    def _points(self, ids: Mapping[Any, str]) -> Points:
        points: Points = {}
        for number, annotation in enumerate(self.document["annotations"]):
            annotation_id = annotation.get("id", f"number {number + 1}")
            image_id = annotation.get("image_id")
            case_id = ids.get(_key(image_id))
            place = Place(f"{self.path}, annotation {annotation_id}", self.found, case_id or "")
            names = self.names_of_category.get(_key(annotation.get("category_id")))
            if case_id is None:
                place.fault("case", f"image_id {image_id!r} is not among the images", value=image_id)
            elif names is None:
                category = annotation.get("category_id")
                place.fault("landmark", f"category_id {category!r} is not among the categories", value=category)
            else:
                read = points.setdefault(case_id, {}).setdefault(str(annotation.get("rater") or RATER), {})
                own = _keypoints(place, annotation.get("keypoints"), names)
                twice = [name for name in own if name in read]
                if twice:
                    what = f"gives {listed(twice[:3])} of image '{case_id}' once more"
                    place.fault("duplicate-row", what, "keep one annotation for an image", landmark=", ".join(twice))
                read.update({name: point for name, point in own.items() if name not in read})
        return points

    def _image_path(self, place: Place, file_name: str) -> Path:
        paths = [root / file_name.replace("\\", "/") for root in self.roots]
        for path in paths:
            if path.is_file():
                return path
        where = ", ".join(str(root) for root in self.roots)
        place.fault("missing-image", f"there is no image file '{file_name}' in {where}", "say where the images are")
        return paths[0]

    def _spacing(self, place: Place, image: Mapping[str, Any]) -> tuple[float, ...] | None:
        given = image.get("spacing_mm")
        if given is None:
            given = self._meta_spacing(str(image["file_name"]))
        values = given if isinstance(given, list) else [given, given]
        if len(values) != 2:
            place.fault("spacing", f"spacing_mm is {given!r}", "give one number, or x and y", value=given)
            return None
        return place.spacing(dict(zip(("spacing_mm x", "spacing_mm y"), values, strict=True)))

    def _meta_spacing(self, file_name: str) -> list[Any] | None:
        """(x, y) of MedSapiens' file for an image, which holds (y, x); None where there is none."""
        image_id = Path(file_name).stem.rpartition("_")[2]
        for path in self.path.parent.glob(f"*meta_json/{image_id}_meta.json"):
            try:
                spacing = json.loads(path.read_text(encoding="utf-8")).get("spacing")
            except (OSError, ValueError, AttributeError) as failure:
                what = f"{path}: holds no spacing ({failure})"
                self.found.append(error("spacing", what, "correct it or take it away"))
                return None
            return spacing[::-1] if isinstance(spacing, list) else spacing
        return None


def _key(value: Any) -> int | str | None:
    """An id as a key; None where it is no whole number and no text."""
    return value if isinstance(value, (int, str)) else None


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _keypoints(place: Place, values: Any, names: tuple[str, ...]) -> dict[str, Point]:
    """The annotated landmarks of one annotation."""
    if not isinstance(values, list) or len(values) != 3 * len(names):
        count = len(values) if isinstance(values, list) else "no"
        place.fault("coordinates", f"has {count} keypoint numbers", f"it must be 3 x {len(names)} landmarks")
        return {}
    points = {}
    for number, name in enumerate(names):
        x, y, visibility = values[3 * number : 3 * number + 3]
        if visibility not in (0, 1, 2):
            what = f"visibility of '{name}' is {visibility!r}"
            place.fault("coordinates", what, "it must be 0, 1 or 2", landmark=name, value=visibility)
        elif visibility != 0:
            point = tuple(place.number(f"{axis} of '{name}'", v, landmark=name) for axis, v in (("x", x), ("y", y)))
            if None not in point:
                points[name] = point
    return points


def _image_roots(path: Path) -> list[Path]:
    """Where images usually are: beside the file, in `images` there or one folder up, in a folder of the split."""
    folder = path.parent
    split = split_of(path)
    roots = [folder / "images", folder, folder.parent / "images", folder.parent]
    return [*([folder / split, folder / "images" / split, folder.parent / split] if split else []), *roots]
