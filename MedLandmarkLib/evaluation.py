"""How far predicted landmarks lie from reference points: radial errors and success detection rates.

The measures are those of the ISBI cephalometric challenges (Wang et al., IEEE TMI 34(9), 2015, section IV): the radial
error is the distance between a predicted and a reference point, MRE its mean with the standard deviation over points
(divisor N - 1), and SDR the share of points whose error is not above a radius.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .dataset import Case, LandmarkDataset, Point
from .errors import DatasetError
from .landmark import LandmarkSet, Status
from .scheme import Scheme


@dataclass(frozen=True)
class ErrorStatistics:
    """What a set of radial errors comes to, in the evaluation's unit.

    points: reference points that had a prediction; unpredicted: those that had none, which count as failures in `sdr`
    and not at all in the mean. mean, sd, median, p95, largest: None where there are too few points for them.
    sdr: radius -> share (0..1) of points, unpredicted ones included, whose error is not above it.
    """

    points: int
    unpredicted: int
    mean: float | None
    sd: float | None
    median: float | None
    p95: float | None
    largest: float | None
    sdr: Mapping[float, float]


@dataclass(frozen=True)
class Evaluation:
    """Predictions against one rater's points.

    The figures hold the position that the model gave, whatever status it set: `called_missing` counts the reference
    points that it called missing nevertheless, `absent` those that the rater did not give, and `absent_called_missing`
    how many of these it called missing. `image_means` are the mean errors of the images, by case.
    `per_landmark` holds every landmark, `excluded` names those that are left out of `overall` and `image_means`.
    """

    dataset: str
    rater: str
    scheme_id: str
    unit: str
    radii: tuple[float, ...]
    overall: ErrorStatistics
    per_landmark: Mapping[str, ErrorStatistics]
    image_means: Mapping[str, float]
    excluded: tuple[str, ...]
    called_missing: int
    absent: int
    absent_called_missing: int
    notes: tuple[str, ...] = field(default_factory=tuple)


def radial_errors(
    predicted: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]], scale: Sequence[float]
) -> dict[str, float]:
    """The distance of each landmark that both have; `scale` is the length of a pixel along each axis."""
    lengths = np.asarray(scale, float)
    return {
        name: float(np.linalg.norm((np.asarray(predicted[name], float)[: len(lengths)] - point) * lengths))
        for name, point in reference.items()
        if name in predicted
    }


def error_statistics(errors: Sequence[float], unpredicted: int, radii: Iterable[float]) -> ErrorStatistics:
    """The statistics of `errors`; `unpredicted` points more had no prediction."""
    values = np.asarray(errors, float)
    some, total = values.size > 0, values.size + unpredicted
    return ErrorStatistics(
        points=int(values.size),
        unpredicted=unpredicted,
        mean=float(values.mean()) if some else None,
        sd=float(values.std(ddof=1)) if values.size > 1 else None,
        median=float(np.median(values)) if some else None,
        p95=float(np.percentile(values, 95)) if some else None,
        largest=float(values.max()) if some else None,
        sdr={radius: float((values <= radius).sum() / total) for radius in radii} if total else {},
    )


def evaluate_landmarks(
    dataset: LandmarkDataset,
    rater: str,
    predictions: Mapping[str, LandmarkSet],
    scheme: Scheme,
    exclude: Iterable[str] = (),
) -> Evaluation:
    """Compare `predictions` (case id -> landmarks) with the points of `rater`.

    Errors are in mm by the spacing of cases.csv where the scheme's radii are in mm and every case has a spacing;
    otherwise in px of the stored image, or of the size to which the scheme's source resizes it. Without mm, radii in mm
    are not applied, and a note says so. Raises DatasetError where there is nothing to compare, a case does not exist,
    or an excluded landmark is unknown.
    """
    cases = [dataset[case_id] for case_id in predictions]
    names = tuple(name for name in scheme.names if name in dataset.landmark_names)
    _check(dataset, scheme, cases, names, tuple(exclude))
    unit = "mm" if scheme.sdr_unit == "mm" and all(case.spacing_mm for case in cases) else "px"
    radii = scheme.sdr_radii if unit == scheme.sdr_unit else ()
    errors: dict[str, dict[str, float]] = {}  # case -> landmark -> error
    for case in cases:
        errors[case.id] = radial_errors(
            _positions(predictions[case.id]), _reference(case, rater, names), _scale(case, unit, scheme)
        )
    given = {case.id: set(_reference(case, rater, names)) for case in cases}
    kept = tuple(name for name in names if name not in set(exclude))
    called_missing = {
        case.id: {item.name for item in predictions[case.id] if item.status is Status.MISSING} for case in cases
    }
    return Evaluation(
        dataset=dataset.name,
        rater=rater,
        scheme_id=scheme.id,
        unit=unit,
        radii=tuple(radii),
        overall=_statistics(errors, given, kept, radii),
        per_landmark={name: _statistics(errors, given, (name,), radii) for name in names},
        image_means=_image_means(errors, kept),
        excluded=tuple(name for name in names if name not in kept),
        called_missing=sum(len(given[case.id] & called_missing[case.id]) for case in cases),
        absent=sum(len(names) - len(given[case.id]) for case in cases),
        absent_called_missing=sum(len((set(names) - given[case.id]) & called_missing[case.id]) for case in cases),
        notes=_notes(unit, scheme, dataset),
    )


def mean_and_sd(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard deviation (divisor N - 1); NaN where there are too few values."""
    numbers = np.fromiter(values, float)
    return (
        float(numbers.mean()) if numbers.size else math.nan,
        float(numbers.std(ddof=1)) if numbers.size > 1 else math.nan,
    )


def _check(
    dataset: LandmarkDataset, scheme: Scheme, cases: list[Case], names: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    if not cases:
        raise DatasetError(f"{dataset.folder}: there is no case to evaluate.")
    if not names:
        raise DatasetError(
            f"{dataset.folder}: its landmarks ({', '.join(dataset.landmark_names[:3])}, ...) share no name with scheme "
            f"{scheme.id} ({', '.join(scheme.names[:3])}, ...)."
        )
    for name in exclude:
        if name not in names:
            raise DatasetError(f"'{name}' cannot be excluded: it is not among {', '.join(names)}.")


def _positions(landmarks: LandmarkSet) -> dict[str, tuple[float, float, float]]:
    return {landmark.name: landmark.ijk for landmark in landmarks if landmark.ijk is not None}


def _reference(case: Case, rater: str, names: tuple[str, ...]) -> dict[str, Point]:
    return {name: point for name, point in case.reference(rater).items() if name in names}


def _scale(case: Case, unit: str, scheme: Scheme) -> tuple[float, ...]:
    """The length of a pixel along each axis, in `unit`."""
    if unit == "mm":
        return case.spacing_mm
    if scheme.sdr_unit == "px" and scheme.sdr_reference_size_wh and len(case.size) == 2:
        width, height = scheme.sdr_reference_size_wh
        return width / case.size[0], height / case.size[1]
    return (1.0,) * len(case.size)


def _statistics(
    errors: Mapping[str, Mapping[str, float]],
    given: Mapping[str, set[str]],
    names: tuple[str, ...],
    radii: Iterable[float],
) -> ErrorStatistics:
    values = [error for by_name in errors.values() for name, error in by_name.items() if name in names]
    total = sum(len(present.intersection(names)) for present in given.values())
    return error_statistics(values, total - len(values), radii)


def _image_means(errors: Mapping[str, Mapping[str, float]], names: tuple[str, ...]) -> dict[str, float]:
    kept = {case: [error for name, error in by_name.items() if name in names] for case, by_name in errors.items()}
    return {case: float(np.mean(values)) for case, values in kept.items() if values}


def _notes(unit: str, scheme: Scheme, dataset: LandmarkDataset) -> tuple[str, ...]:
    notes = []
    if unit != scheme.sdr_unit:
        notes.append(f"errors are in px: not every case has a spacing, so the radii of {scheme.id} in mm do not apply")
    elif unit == "px" and scheme.sdr_reference_size_wh:
        notes.append("errors are in px of the image resized to {} x {}".format(*scheme.sdr_reference_size_wh))
    unknown = [name for name in scheme.names if name not in dataset.landmark_names]
    if unknown:
        notes.append(f"the dataset does not hold: {', '.join(unknown)}")
    return tuple(notes)
