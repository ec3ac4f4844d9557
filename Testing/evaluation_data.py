"""Small datasets written to disk, and predictions made of a dataset's own points."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from doubles import write_picture

from MedLandmarkLib.dataset import LandmarkDataset, read_dataset
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.scheme import Scheme

Points = Mapping[str, tuple[float, float]]


def write_dataset(
    folder: Path,
    names: Sequence[str],
    readings: Mapping[str, Mapping[str, Points]],
    spacing: tuple[str, str] = ("0.5", "0.5"),
    columns: Mapping[str, Mapping[str, str]] | None = None,
) -> LandmarkDataset:
    """`readings` holds case -> rater -> landmark -> (x, y); `columns` holds column -> case -> text of cases.csv."""
    (folder / "images").mkdir(parents=True)
    columns = columns or {}
    for seed, case in enumerate(readings):
        write_picture(folder / "images" / f"{case}.png", 60, 80, seed)
    (folder / "dataset.json").write_text(json.dumps({"name": folder.name, "landmarks": [{"name": n} for n in names]}))
    rows = [
        (case, rater, name, *xy)
        for case, raters in readings.items()
        for rater, points in raters.items()
        for name, xy in points.items()
    ]
    write_rows(folder / "landmarks.csv", ("case", "rater", "landmark", "x", "y"), rows)
    header = ("case", "file", "width", "height", "spacing_x_mm", "spacing_y_mm", "split", *columns)
    cases = [
        (case, f"images/{case}.png", 60, 80, *spacing, "val", *(texts.get(case, "") for texts in columns.values()))
        for case in readings
    ]
    write_rows(folder / "cases.csv", header, cases)
    return read_dataset(folder)


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def predicted(scheme: Scheme, points: Points, confidence: float | None = None, **statuses: Status) -> LandmarkSet:
    """Landmarks at `points`; `statuses` by name, else predicted; those without a point are missing."""
    return LandmarkSet(
        scheme.id,
        tuple(
            Landmark(name, (*points[name], 0.0), status=statuses.get(name, Status.PREDICTED), confidence=confidence)
            if name in points
            else Landmark(name, status=Status.MISSING)
            for name in scheme.names
        ),
    )


def noisy_predictions(dataset: LandmarkDataset, scheme: Scheme, split: str, noise_px: float) -> dict[str, LandmarkSet]:
    """The reference points of a split with normal noise of `noise_px` along each axis."""
    generator = np.random.default_rng(1)
    rater = dataset.reference_rater()
    return {
        case.id: predicted(
            scheme,
            {
                name: tuple(float(value) for value in xy + generator.normal(0, noise_px, 2))
                for name, xy in case.reference(rater).items()
            },
            confidence=0.8,
        )
        for case in dataset.split(split)
    }
