"""Datasets as plain folders.

Such a folder holds

* ``dataset.json``: at least ``{"name": ..., "landmarks": [{"name": ...}, ...]}``; the order of the landmarks counts;
  ``"splits"``, where it is given, lists the cases of each split and must agree with cases.csv;
* ``cases.csv``: one row per image with ``case, file`` and ``width, height``, and where known ``spacing_x_mm,
  spacing_y_mm``, ``subject`` and ``split``. A volume has ``size_i, size_j, size_k`` and ``spacing_i_mm, ...`` instead;
* ``landmarks.csv``: one row per case, rater and landmark with ``case, rater, landmark`` and ``x, y`` in pixels of the
  stored image, 0 at the centre of the top-left pixel (a volume: ``i, j, k``).

A landmark that nobody read has no row; nothing here assumes a full set.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import DatasetError
from .cases import Case, LandmarkDataset, Point
from .finding import Finding, error
from .millimetres import contradictions
from .numbers import Place

AXES = {2: ("x", "y"), 3: ("i", "j", "k")}
SIZE_COLUMNS = {2: ("width", "height"), 3: ("size_i", "size_j", "size_k")}
DESCRIPTION, CASES, LANDMARKS = "dataset.json", "cases.csv", "landmarks.csv"

Row = Mapping[str, str]
_LINE = " line"  # in a row: which of the file it is; the blank keeps it apart from the columns


def spacing_columns(dimension: int) -> tuple[str, ...]:
    """The columns of cases.csv with the spacing along each axis."""
    return tuple(f"spacing_{axis}_mm" for axis in AXES[dimension])


def examine_folder(folder: Path, only: Collection[str] | None = None) -> tuple[LandmarkDataset, list[Finding]]:
    """What can be read of a folder, and what is wrong with it; images are not opened.

    only: the cases to read; of all others neither a row of cases.csv nor a reading is looked at.
    Raises DatasetError where one of the three files is missing or malformed.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder.")
    found: list[Finding] = []
    description = _read_description(folder / DESCRIPTION)
    names, dimension = _landmark_names(folder, description), _dimension(folder, description)
    case_rows = read_rows(folder / CASES, ("case", "file", *SIZE_COLUMNS[dimension]), only)
    point_rows = read_rows(folder / LANDMARKS, ("case", "rater", "landmark", *AXES[dimension]), only)
    known_cases = frozenset(row["case"] for row in case_rows)
    points = _points(folder / LANDMARKS, point_rows, names, dimension, known_cases, found)
    cases = _cases(folder / CASES, case_rows, points, dimension, found)
    if not case_rows:
        found.append(error("split", f"{folder / CASES}: holds no case", "it needs one row per image"))
    if only is None:
        found += _declared_splits(folder / DESCRIPTION, description, cases)
    if dimension == 2:
        found += contradictions(folder / LANDMARKS, point_rows, cases)
    name = str(description.get("name") or folder.name)
    return LandmarkDataset(name, folder, names, cases, dimension), found


def read_rows(path: Path, columns: tuple[str, ...], only: Collection[str] | None = None) -> list[Row]:
    """The rows of a CSV file that must have at least `columns`; of the cases `only`. Raises DatasetError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path}: column '{missing[0]}' is missing; it needs: {', '.join(columns)}.")
            return [
                {key: (value or "").strip() for key, value in row.items() if key} | {_LINE: str(line)}
                for line, row in enumerate(reader, start=2)
                if only is None or (row["case"] or "").strip() in only
            ]
    except OSError as failure:
        raise DatasetError(f"{path}: cannot be read ({failure.strerror}); a dataset folder needs it.") from failure
    except (UnicodeDecodeError, csv.Error) as failure:
        raise DatasetError(f"{path}: is not a CSV text file ({failure}).") from failure


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise DatasetError(f"{path}: cannot be read ({failure.strerror}); a dataset folder needs it.") from failure
    except (ValueError, RecursionError) as failure:
        raise DatasetError(f"{path}: is not valid JSON ({failure}).") from failure
    if not isinstance(description, dict):
        raise DatasetError(f"{path}: must hold a JSON object.")
    return description


def _landmark_names(folder: Path, description: dict) -> tuple[str, ...]:
    landmarks = description.get("landmarks")
    if not isinstance(landmarks, list) or not landmarks:
        raise DatasetError(f"{folder / DESCRIPTION}: 'landmarks' must be a list of landmarks, each with a 'name'.")
    names = tuple(entry.get("name") if isinstance(entry, dict) else None for entry in landmarks)
    for name in names:
        if not isinstance(name, str) or not name or names.count(name) > 1:
            raise DatasetError(f"{folder / DESCRIPTION}: landmark name {name!r} is empty or given twice.")
    return names


def _dimension(folder: Path, description: dict) -> int:
    dimension = description.get("dimension", 2)
    if not isinstance(dimension, int) or dimension not in AXES:
        raise DatasetError(f"{folder / DESCRIPTION}: 'dimension' is {dimension!r}; it must be 2 or 3.")
    return dimension


def _points(
    path: Path, rows: list[Row], names: tuple[str, ...], dimension: int, cases: frozenset[str], found: list[Finding]
) -> dict[str, dict[str, dict[str, Point]]]:
    """case -> rater -> landmark -> point, of landmarks.csv."""
    points: dict[str, dict[str, dict[str, Point]]] = {}
    strangers: set[str] = set()  # a case or a landmark that is not known is said once
    for row in rows:
        case, rater, name = row["case"], row["rater"], row["landmark"]
        place = Place(f"{path}, line {row[_LINE]}", found, case)
        if case not in cases:
            if case not in strangers:
                place.fault("case", f"case '{case}' is not in {CASES}", value=case)
            strangers.add(case)
        elif name not in names:
            if name not in strangers:
                place.fault("landmark", f"landmark '{name}' is not in {DESCRIPTION}", landmark=name, value=name)
            strangers.add(name)
        elif name in points.get(case, {}).get(rater, {}):
            place.fault("duplicate-row", f"'{name}' of case '{case}' by '{rater}' is given twice", landmark=name)
        else:
            point = tuple(place.number(axis, row[axis], landmark=name) for axis in AXES[dimension])
            if None not in point:
                points.setdefault(case, {}).setdefault(rater, {})[name] = point
    return points


def _cases(
    path: Path, rows: list[Row], points: Mapping[str, Mapping], dimension: int, found: list[Finding]
) -> tuple[Case, ...]:
    own_columns = {_LINE, "case", "file", "subject", "split", *SIZE_COLUMNS[dimension], *spacing_columns(dimension)}
    cases: dict[str, Case] = {}
    for row in rows:
        case_id = row["case"]
        place = Place(f"{path}, line {row[_LINE]}", found, case_id)
        if not case_id or case_id in cases:
            place.fault("case", f"case '{case_id}' is empty or given twice", value=case_id)
            continue
        image_path = path.parent / row["file"]
        if not row["file"] or not image_path.is_file():
            what = f"there is no image file '{row['file']}' in {path.parent}"
            place.fault("missing-image", what, "put it there or take its row out", value=row["file"])
        size = tuple(place.length(column, row[column]) for column in SIZE_COLUMNS[dimension])
        spacing_mm = place.spacing({column: row.get(column, "") for column in spacing_columns(dimension)})
        if None in size:
            continue
        cases[case_id] = Case(
            id=case_id,
            image_path=image_path,
            size=size,
            spacing_mm=spacing_mm,
            subject=row.get("subject") or case_id,
            split=row.get("split", ""),
            points=points.get(case_id, {}),
            attributes={key: value for key, value in row.items() if key not in own_columns},
        )
    return tuple(cases.values())


def _declared_splits(path: Path, description: dict, cases: tuple[Case, ...]) -> list[Finding]:
    """Splits that dataset.json names must hold cases, and the same ones as cases.csv says."""
    declared = description.get("splits", {})
    if not isinstance(declared, dict) or not all(isinstance(ids, list) for ids in declared.values()):
        return [error("split", f"{path}: 'splits' must hold a list of cases for each split")]
    found = [
        error("split", f"{path}: split '{name}' has no case", "give it some or take it out", value=name)
        for name, ids in declared.items()
        if not ids
    ]
    split_of = {case: name for name, ids in declared.items() for case in map(str, ids)}
    for case in cases:
        other = split_of.get(case.id, case.split)
        if other != case.split:
            what = f"{path}: case '{case.id}' is in split '{other}', in {CASES} it is in '{case.split}'"
            found.append(error("split", what, "make them agree", case=case.id, value=other))
    return found
