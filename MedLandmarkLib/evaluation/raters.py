"""The readers of a dataset: their mean, and how far they lie from one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from ..dataset import MEAN_RATER, Case, LandmarkDataset, Point
from ..scheme import Scheme
from .landmarks import Evaluation, evaluate_landmarks
from .measurements import read_by

ALL_RATERS = "all"


def with_mean_rater(dataset: LandmarkDataset) -> LandmarkDataset:
    """The dataset with the mean of its readers as one more rater, where several read it and it stores none."""
    if MEAN_RATER in dataset.raters or len(dataset.raters) < 2:
        return dataset
    return replace(dataset, cases=tuple(_with_mean(case, dataset.raters) for case in dataset))


def _with_mean(case: Case, raters: Iterable[str]) -> Case:
    """A landmark that one of the case's readers left out has no mean."""
    readings = [case.points[rater] for rater in raters if rater in case.points]
    if not readings:
        return case
    shared = [name for name in readings[0] if all(name in reading for reading in readings)]
    mean: dict[str, Point] = {
        name: tuple(float(value) for value in np.mean([reading[name] for reading in readings], axis=0))
        for name in shared
    }
    return replace(case, points={**case.points, MEAN_RATER: mean})


def reader_names(dataset: LandmarkDataset, cases: Iterable[Case]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The readers of `cases` with points of their own, and those that repeat another's points, with whose they are."""
    cases = tuple(cases)
    readers: list[str] = []
    repeats: dict[str, str] = {}
    for rater in dataset.raters:
        if rater == MEAN_RATER or not any(rater in case.points for case in cases):
            continue
        same = next((known for known in readers if all(c.reference(known) == c.reference(rater) for c in cases)), None)
        if same is None:
            readers.append(rater)
        else:
            repeats[rater] = same
    return tuple(readers), repeats


def compare_readers(
    dataset: LandmarkDataset, cases: Iterable[Case], scheme: Scheme, exclude: Iterable[str] = ()
) -> Mapping[tuple[str, str], Evaluation]:
    """Every two readers against each other, the second in the place of the predictions."""
    cases, exclude = tuple(cases), tuple(exclude)
    readers, _ = reader_names(dataset, cases)
    return {
        (first, second): evaluate_landmarks(
            dataset, first, {case.id: read_by(case, second, scheme) for case in cases}, scheme, exclude
        )
        for first, second in combinations(readers, 2)
    }
