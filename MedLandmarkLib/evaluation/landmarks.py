"""How far predicted landmarks lie from one rater's points: radial errors and success detection rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..dataset import Case, LandmarkDataset, Point
from ..errors import DatasetError
from ..landmark import LandmarkSet, Status
from ..scheme import Scheme
from .points import PointResult, point_results
from .statistics import ErrorStatistics, bootstrap_intervals, error_statistics


@dataclass(frozen=True)
class Evaluation:
    """Predictions against one rater's points.

    The figures hold the position that the model gave, whatever status it set: `called_missing` counts the reference
    points that it called missing nevertheless, `absent` those that the rater did not give, and `absent_called_missing`
    how many of these it called missing. `image_means` are the mean errors of the images, by case.
    `per_landmark` holds every landmark, `excluded` names those that are left out of `overall`, `relative` and
    `image_means`. `relative` holds the errors in per cent of the scheme's reference length, where it has one.
    `results` are the points one by one, `exchanged` counts the interchangeable pairs that came the other way round.
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
    tolerance: float | None = None
    relative: ErrorStatistics | None = None
    results: tuple[PointResult, ...] = ()
    exchanged: int = 0

    @property
    def counted(self) -> tuple[PointResult, ...]:
        """The points that are not excluded."""
        return tuple(item for item in self.results if item.landmark not in self.excluded)


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
    radii = tuple(scheme.sdr_radii) if unit == scheme.sdr_unit else ()
    results: list[PointResult] = []
    exchanged = 0
    given: dict[str, set[str]] = {}
    for case in cases:
        reference = reference_points(case, rater, names)
        own, changed = point_results(case, reference, predictions[case.id], scheme, pixel_scale(case, unit, scheme))
        results, exchanged = results + own, exchanged + changed
        given[case.id] = set(reference)
    kept = [item for item in results if item.landmark not in set(exclude)]
    called_missing = {
        case.id: {item.name for item in predictions[case.id] if item.status is Status.MISSING} for case in cases
    }
    return Evaluation(
        dataset=dataset.name,
        rater=rater,
        scheme_id=scheme.id,
        unit=unit,
        radii=radii,
        overall=_statistics(kept, radii),
        per_landmark={name: _statistics([r for r in results if r.landmark == name], radii) for name in names},
        image_means=_image_means(kept),
        excluded=tuple(name for name in names if name in set(exclude)),
        called_missing=sum(len(given[case.id] & called_missing[case.id]) for case in cases),
        absent=sum(len(names) - len(given[case.id]) for case in cases),
        absent_called_missing=sum(len((set(names) - given[case.id]) & called_missing[case.id]) for case in cases),
        notes=_notes(unit, scheme, dataset, exchanged),
        tolerance=scheme.tolerance if unit == scheme.sdr_unit else None,
        relative=_relative(kept) if scheme.reference_length else None,
        results=tuple(results),
        exchanged=exchanged,
    )


def reference_points(case: Case, rater: str, names: Iterable[str]) -> dict[str, Point]:
    """What `rater` read of `names` in this image."""
    wanted = set(names)
    return {name: point for name, point in case.reference(rater).items() if name in wanted}


def pixel_scale(case: Case, unit: str, scheme: Scheme) -> tuple[float, ...]:
    """The length of a pixel along each axis, in `unit`."""
    if unit == "mm":
        return case.spacing_mm
    if scheme.sdr_unit == "px" and scheme.sdr_reference_size_wh and len(case.size) == 2:
        width, height = scheme.sdr_reference_size_wh
        return width / case.size[0], height / case.size[1]
    return (1.0,) * len(case.size)


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


def _statistics(results: Sequence[PointResult], radii: Sequence[float]) -> ErrorStatistics:
    return _of([(item.subject, item.error) for item in results], radii)


def _relative(results: Sequence[PointResult]) -> ErrorStatistics:
    """In per cent; points of images without a reference length, or without a prediction, do not count."""
    return _of([(item.subject, 100 * item.relative) for item in results if item.relative is not None], ())


def _of(errors: Sequence[tuple[str, float | None]], radii: Sequence[float]) -> ErrorStatistics:
    by_subject = defaultdict(list)
    for subject, error in errors:
        by_subject[subject].append(error)
    known = [error for _, error in errors if error is not None]
    intervals = bootstrap_intervals(list(by_subject.values()), radii)
    return error_statistics(known, len(errors) - len(known), radii, intervals)


def _image_means(results: Iterable[PointResult]) -> dict[str, float]:
    by_case = defaultdict(list)
    for item in results:
        if item.error is not None:
            by_case[item.case].append(item.error)
    return {case: float(np.mean(errors)) for case, errors in by_case.items()}


def _notes(unit: str, scheme: Scheme, dataset: LandmarkDataset, exchanged: int) -> tuple[str, ...]:
    notes = []
    if unit != scheme.sdr_unit:
        notes.append(f"errors are in px: not every case has a spacing, so the radii of {scheme.id} in mm do not apply")
    elif unit == "px" and scheme.sdr_reference_size_wh:
        notes.append("errors are in px of the image resized to {} x {}".format(*scheme.sdr_reference_size_wh))
    unknown = [name for name in scheme.names if name not in dataset.landmark_names]
    if unknown:
        notes.append(f"the dataset does not hold: {', '.join(unknown)}")
    loose = [f"{item.name} in {item.scored_along}" for item in scheme.landmarks if item.scored_along]
    if loose:
        notes.append(f"counted along one axis only: {', '.join(loose)}")
    if exchanged:
        notes.append(f"{exchanged} pairs of ends came in the other order and were compared in the nearer one")
    return tuple(notes)
