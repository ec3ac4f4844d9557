"""Every rater's reading of every case, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .cases import MEAN_RATER, Case, LandmarkDataset, listed


@dataclass(frozen=True)
class Reading:
    """What one rater read in one case."""

    case: Case
    rater: str


def own_readings(dataset: LandmarkDataset) -> tuple[list[Reading], np.ndarray]:
    """Every rater's own reading of every case, and their points (N, K, D), NaN where absent.

    A stored mean is left out where there are the readings that it was made from.
    """
    found = []
    for case in dataset:
        raters = [rater for rater in case.points if rater != MEAN_RATER or len(case.points) == 1]
        found += [Reading(case, rater) for rater in raters]
    absent = (np.nan,) * dataset.dimension
    points = [
        [reading.case.points[reading.rater].get(name, absent) for name in dataset.landmark_names] for reading in found
    ]
    return found, np.array(points, float).reshape(len(found), len(dataset.landmark_names), dataset.dimension)


def labelled(readings: Sequence[Reading]) -> str:
    """Readings of one case in words; the raters are named where the case has several."""
    case = readings[0].case
    raters = f", {listed(reading.rater for reading in readings)}" if len(case.points) > 1 else ""
    return f"case '{case.id}'{raters}"


def by_case(readings: Iterable[Reading]) -> list[list[Reading]]:
    """The readings grouped by their case, in the order of appearance."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.case.id, []).append(reading)
    return list(groups.values())
