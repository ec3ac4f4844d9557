"""How far the measurements made from predicted landmarks lie from those made from the reference points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dataset import Case, LandmarkDataset, Point
from ..errors import DatasetError
from ..landmark import Landmark, LandmarkSet, Status
from ..measure import Measurement, measure
from ..scheme import Scheme
from .cobb import LARGEST, SECOND, THIRD, cobb_angles, has_vertebrae
from .landmarks import reference_points

REFERENCE_POINTS = "reference points"  # what a measurement is compared with, unless it is a column
NO_CLASS = "no class"  # of a value for which the source publishes none; counts as a class of its own


@dataclass(frozen=True)
class ClassAgreement:
    """Into how many of the reference's classes the predictions fall: the success classification rate, 0..1.

    confusion: (reference class, predicted class) -> images; an image without a predicted value counts as a failure
    under the predicted class "".
    """

    images: int
    rate: float
    confusion: Mapping[tuple[str, str], int]
    source: str


@dataclass(frozen=True)
class MeasurementAgreement:
    """One measurement in all images, predicted minus reference.

    against: "reference points", or the column of cases.csv. compared: images with both values; not_given: images with a
    reference value for which the prediction gives none, because a landmark was called missing. doubtful: compared
    values that the prediction itself calls doubtful. mae, bias, sd, largest, correlation (Pearson): in `unit`; None
    where there are too few values for them.
    """

    name: str
    unit: str
    against: str
    compared: int
    not_given: int
    doubtful: int
    mae: float | None
    bias: float | None
    sd: float | None
    largest: float | None
    correlation: float | None
    classes: ClassAgreement | None = None


def compare_measurements(
    dataset: LandmarkDataset,
    rater: str,
    predictions: Mapping[str, LandmarkSet],
    scheme: Scheme,
    case_values: Mapping[str, str] | None = None,
) -> tuple[MeasurementAgreement, ...]:
    """Every measurement of `scheme` against the same measurement of the rater's points.

    Both are computed with the spacing of cases.csv, in px where a case has none. `case_values` maps measurements to
    columns of cases.csv, and adds the comparison with these. Raises DatasetError where it names what is not there.
    """
    predicted, reference = {}, {}
    for case_id, landmarks in predictions.items():
        case = dataset[case_id]
        predicted[case_id] = measured(placed(landmarks, case), scheme)
        reference[case_id] = measured(read_by(case, rater, scheme), scheme)
    names = tuple(dict.fromkeys(name for values in reference.values() for name in values))
    agreements = []
    for name in names:
        pairs = [(predicted[case][name], reference[case][name]) for case in predicted]
        values = [(own, other.value) for own, other in pairs if other.value is not None]
        unit = next((other.unit for _, other in pairs if other.value is not None), "")
        agreement = _agreement(name, unit, REFERENCE_POINTS, values)
        agreements.append(replace(agreement, classes=_classes(name, pairs, scheme)))
    for name, column in (case_values or {}).items():
        if name not in names:
            raise DatasetError(f"'{name}' is no measurement of {scheme.id}; it has: {', '.join(names)}.")
        numbers = {case: _number(dataset[case], column) for case in predicted}
        if all(number is None for number in numbers.values()):
            raise DatasetError(f"{dataset.folder / 'cases.csv'}: no case has a number in column '{column}'.")
        values = [(predicted[case][name], number) for case, number in numbers.items() if number is not None]
        agreements.append(_agreement(name, values[0][0].unit, column, values))
    return tuple(agreements)


def measured(landmarks: LandmarkSet, scheme: Scheme) -> dict[str, Measurement]:
    """The scheme's measurements by name; of the corners of vertebrae also the Cobb angles."""
    values = {item.name: item for item in measure(landmarks, scheme)}
    if has_vertebrae(scheme.names):
        angles = cobb_angles(landmarks.points())
        is_doubtful = any(item.status is Status.DOUBTFUL for item in landmarks)
        status = Status.MISSING if angles is None else Status.DOUBTFUL if is_doubtful else Status.PREDICTED
        values |= {name: Measurement(name, angles and angles[name], "deg", status) for name in (LARGEST, SECOND, THIRD)}
    return values


def placed(landmarks: LandmarkSet, case: Case) -> LandmarkSet:
    """The landmarks in mm by the spacing of cases.csv, so that both sides are measured on one scale.

    The frame is that of the image's axes; measurements do not depend on it.
    """
    spacing_mm = (*case.spacing_mm, 1.0)[:3] if case.spacing_mm else None
    return replace(landmarks, landmarks=tuple(_placed(item, spacing_mm) for item in landmarks))


def _placed(landmark: Landmark, spacing_mm: Sequence[float] | None) -> Landmark:
    if landmark.ijk is None or spacing_mm is None:
        return replace(landmark, ras=None)
    return replace(landmark, ras=tuple(float(i * mm) for i, mm in zip(landmark.ijk, spacing_mm, strict=True)))


def read_by(case: Case, rater: str, scheme: Scheme) -> LandmarkSet:
    """What a rater read in an image, as landmarks in mm where the case has a spacing."""
    points = reference_points(case, rater, scheme.names)
    return placed(LandmarkSet(scheme.id, tuple(_landmark(name, points.get(name)) for name in scheme.names)), case)


def _landmark(name: str, point: Point | None) -> Landmark:
    if point is None:
        return Landmark(name)
    return Landmark(name, ijk=(*point, 0.0)[:3], status=Status.EDITED)


def _agreement(name: str, unit: str, against: str, values: Sequence[tuple[Measurement, float]]) -> MeasurementAgreement:
    both = [(own.value, other) for own, other in values if own.value is not None]
    difference = np.array([own - other for own, other in both], float)
    some = difference.size > 0
    return MeasurementAgreement(
        name=name,
        unit=unit,
        against=against,
        compared=len(both),
        not_given=len(values) - len(both),
        doubtful=sum(own.status is Status.DOUBTFUL for own, _ in values if own.value is not None),
        mae=float(np.abs(difference).mean()) if some else None,
        bias=float(difference.mean()) if some else None,
        sd=float(difference.std(ddof=1)) if difference.size > 1 else None,
        largest=float(np.abs(difference).max()) if some else None,
        correlation=_correlation(both),
    )


def _correlation(both: Sequence[tuple[float, float]]) -> float | None:
    if len(both) < 3:
        return None
    own, other = np.array(both, float).T
    if own.std() < 1e-12 or other.std() < 1e-12:
        return None
    return float(np.corrcoef(own, other)[0, 1])


def _classes(name: str, pairs: Iterable[tuple[Measurement, Measurement]], scheme: Scheme) -> ClassAgreement | None:
    definition = next((item for item in scheme.measurements if item.name == name), None)
    valued = [(own, other) for own, other in pairs if other.value is not None and other.unit != "px"]
    if definition is None or not definition.classes or not valued:
        return None
    confusion: dict[tuple[str, str], int] = {}
    for own, other in valued:
        key = (other.verdict or NO_CLASS, (own.verdict or NO_CLASS) if own.value is not None else "")
        confusion[key] = confusion.get(key, 0) + 1
    agreeing = sum(count for (reference, predicted), count in confusion.items() if reference == predicted)
    return ClassAgreement(len(valued), agreeing / len(valued), confusion, definition.normal_source)


def _number(case: Case, column: str) -> float | None:
    try:
        value = float(case.attributes.get(column, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
