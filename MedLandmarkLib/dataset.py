"""Folders of images with reference landmarks, as training and evaluation read them.

A dataset is a folder that holds

* ``dataset.json``: at least ``{"name": ..., "landmarks": [{"name": ...}, ...]}``; the order of the landmarks counts;
* ``cases.csv``: one row per image with ``case, file`` and ``width, height``, and where known ``spacing_x_mm,
  spacing_y_mm``, ``subject`` and ``split``. A volume has ``size_i, size_j, size_k`` and ``spacing_i_mm, ...`` instead;
* ``landmarks.csv``: one row per case, rater and landmark with ``case, rater, landmark`` and ``x, y`` in pixels of the
  stored image, 0 at the centre of the top-left pixel (a volume: ``i, j, k``).

A landmark that nobody read has no row; nothing here assumes a full set.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DatasetError

MEAN_RATER = "mean"  # by this name a dataset stores the mean of its readers, the usual reference

_AXES = {2: ("x", "y"), 3: ("i", "j", "k")}
_SIZE_COLUMNS = {2: ("width", "height"), 3: ("size_i", "size_j", "size_k")}

Row = Mapping[str, str]
Point = tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """One image and what each rater read in it.

    `size` is (columns, rows) or (columns, rows, slices); `spacing_mm` runs along the same axes and is None where the
    dataset does not know it. `points` holds rater -> landmark name -> (x, y) or (i, j, k): continuous pixel
    coordinates, pixel centre at the integer. `attributes` are the other columns of cases.csv, as text.
    """

    id: str
    image_path: Path
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    subject: str
    split: str
    points: Mapping[str, Mapping[str, Point]]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def reference(self, rater: str) -> dict[str, Point]:
        """The points that `rater` read in this image, by landmark name; empty where there are none."""
        return dict(self.points.get(rater, {}))


@dataclass(frozen=True)
class LandmarkDataset:
    """Images with reference points; iterating gives the cases in the order of cases.csv."""

    name: str
    folder: Path
    landmark_names: tuple[str, ...]
    cases: tuple[Case, ...]
    dimension: int = 2

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        for case in self.cases:
            if case.id == case_id:
                return case
        raise DatasetError(f"{self.folder}: there is no case '{case_id}'.")

    @property
    def raters(self) -> tuple[str, ...]:
        """Who read the images, in the order of appearance."""
        return tuple(dict.fromkeys(rater for case in self.cases for rater in case.points))

    @property
    def splits(self) -> dict[str, tuple[Case, ...]]:
        """The cases of each split, in the order of appearance."""
        names = dict.fromkeys(case.split for case in self.cases)
        return {name: tuple(case for case in self.cases if case.split == name) for name in names}

    def split(self, name: str) -> tuple[Case, ...]:
        """The cases of one split; DatasetError where the dataset has no such split."""
        splits = self.splits
        if name not in splits:
            raise DatasetError(f"{self.folder}: there is no split '{name}'; it has: {_listed(splits)}.")
        return splits[name]

    def reference_rater(self, wanted: str | None = None) -> str:
        """The rater to compare with: `wanted`, else the stored mean of all readers, else the only reader.

        Raises DatasetError where that rater read nothing here, or where the choice is not clear.
        """
        raters = self.raters
        if wanted is not None:
            if wanted not in raters:
                raise DatasetError(f"{self.folder}: there is no rater '{wanted}'; it has: {_listed(raters)}.")
            return wanted
        if MEAN_RATER in raters:
            return MEAN_RATER
        if len(raters) == 1:
            return raters[0]
        raise DatasetError(f"{self.folder}: name the rater to compare with; it has: {_listed(raters)}.")


def read_dataset(folder: Path | str) -> LandmarkDataset:
    """Read and check a dataset folder (see the module's text for its files); images are not opened.

    Raises DatasetError where a file is missing or malformed, an image is not there, a row names an unknown case or
    landmark, a row comes twice, or a number makes no sense.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder.")
    description = _read_description(folder / "dataset.json")
    names, dimension = _landmark_names(folder, description), _dimension(folder, description)
    points = _read_points(folder / "landmarks.csv", names, dimension)
    cases = _read_cases(folder / "cases.csv", points, dimension)
    unknown = sorted(set(points) - {case.id for case in cases})
    if unknown:
        raise DatasetError(f"{folder / 'landmarks.csv'}: case '{unknown[0]}' is not in cases.csv.")
    return LandmarkDataset(str(description.get("name") or folder.name), folder, names, cases, dimension)


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); a dataset folder needs it.") from error
    except ValueError as error:
        raise DatasetError(f"{path}: is not valid JSON ({error}).") from error
    if not isinstance(description, dict):
        raise DatasetError(f"{path}: must hold a JSON object.")
    return description


def _landmark_names(folder: Path, description: dict) -> tuple[str, ...]:
    landmarks = description.get("landmarks")
    if not isinstance(landmarks, list) or not landmarks:
        raise DatasetError(f"{folder / 'dataset.json'}: 'landmarks' must be a list of landmarks, each with a 'name'.")
    names = tuple(entry.get("name") if isinstance(entry, dict) else None for entry in landmarks)
    for name in names:
        if not isinstance(name, str) or not name or names.count(name) > 1:
            raise DatasetError(f"{folder / 'dataset.json'}: landmark name {name!r} is empty or given twice.")
    return names


def _dimension(folder: Path, description: dict) -> int:
    dimension = description.get("dimension", 2)
    if dimension not in _AXES:
        raise DatasetError(f"{folder / 'dataset.json'}: 'dimension' is {dimension!r}; it must be 2 or 3.")
    return dimension


def _read_rows(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a CSV file that must have at least `columns`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path}: column '{missing[0]}' is missing; it needs: {', '.join(columns)}.")
            return [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); a dataset folder needs it.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: is not a CSV text file ({error}).") from error


def _read_points(path: Path, names: tuple[str, ...], dimension: int) -> dict[str, dict[str, dict[str, Point]]]:
    """case -> rater -> landmark -> point, of landmarks.csv."""
    points: dict[str, dict[str, dict[str, Point]]] = {}
    known = frozenset(names)
    axes = _AXES[dimension]
    for line, row in enumerate(_read_rows(path, ("case", "rater", "landmark", *axes)), start=2):
        case, rater, name = row["case"], row["rater"], row["landmark"]
        if name not in known:
            raise DatasetError(f"{path}, line {line}: landmark '{name}' is not in dataset.json.")
        read_by_rater = points.setdefault(case, {}).setdefault(rater, {})
        if name in read_by_rater:
            raise DatasetError(f"{path}, line {line}: '{name}' of case '{case}' by '{rater}' is given twice.")
        read_by_rater[name] = tuple(_number(path, line, axis, row[axis]) for axis in axes)
    return points


def _read_cases(path: Path, points: Mapping[str, Mapping], dimension: int) -> tuple[Case, ...]:
    size_columns = _SIZE_COLUMNS[dimension]
    spacing_columns = tuple(f"spacing_{axis}_mm" for axis in _AXES[dimension])
    own_columns = {"case", "file", "subject", "split", *size_columns, *spacing_columns}
    cases: dict[str, Case] = {}
    for line, row in enumerate(_read_rows(path, ("case", "file", *size_columns)), start=2):
        case_id = row["case"]
        if not case_id or case_id in cases:
            raise DatasetError(f"{path}, line {line}: case '{case_id}' is empty or given twice.")
        cases[case_id] = Case(
            id=case_id,
            image_path=_image_path(path, line, row["file"]),
            size=tuple(_size(path, line, column, row[column]) for column in size_columns),
            spacing_mm=_spacing(path, line, row, spacing_columns),
            subject=row.get("subject") or case_id,
            split=row.get("split", ""),
            points=points.get(case_id, {}),
            attributes={key: value for key, value in row.items() if key not in own_columns},
        )
    if not cases:
        raise DatasetError(f"{path}: holds no case.")
    return tuple(cases.values())


def _image_path(path: Path, line: int, file: str) -> Path:
    image_path = path.parent / file
    if not file or not image_path.is_file():
        raise DatasetError(f"{path}, line {line}: there is no image file '{file}' in {path.parent}.")
    return image_path


def _spacing(path: Path, line: int, row: Row, columns: tuple[str, ...]) -> tuple[float, ...] | None:
    texts = [row.get(column, "") for column in columns]
    if not any(texts):
        return None
    spacing_mm = tuple(_number(path, line, column, text) for column, text in zip(columns, texts, strict=True))
    if min(spacing_mm) <= 0:
        raise DatasetError(f"{path}, line {line}: spacing {spacing_mm} must be above 0 mm; leave it empty if unknown.")
    return spacing_mm


def _size(path: Path, line: int, column: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise DatasetError(f"{path}, line {line}: {column} is '{text}'; it must be a whole number of pixels.")
    return int(text)


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{path}, line {line}: {column} is '{text}'; it must be a number.")
    return value


def _listed(names: object) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
