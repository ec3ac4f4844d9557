"""Everything that an evaluation says of a set of predictions, in one value that pages and files are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..dataset import MEAN_RATER, LandmarkDataset
from ..landmark import LandmarkSet
from ..scheme import Scheme
from .calibration import Calibration, calibration_of
from .landmarks import Evaluation, evaluate_landmarks
from .measurements import MeasurementAgreement, compare_measurements
from .raters import ALL_RATERS, compare_readers, reader_names, with_mean_rater


@dataclass(frozen=True)
class RaterReport:
    """Predictions against one rater: points, measurements, and what confidence is worth.

    `calibration` is over the counted points, `calibration_apart` over the excluded ones; None where the tolerance of
    the scheme does not apply (its mm to a dataset without spacing), or there are no such points.
    """

    evaluation: Evaluation
    measurements: tuple[MeasurementAgreement, ...]
    calibration: Calibration | None
    calibration_apart: Calibration | None


@dataclass(frozen=True)
class EvaluationReport:
    """What was compared, and each comparison.

    `raters` holds the comparisons by rater, the main one first; `readers` the readers against one another, by pair;
    `repeats` names the raters whose points are those of another. `predictions` and `dataset` serve for pictures.
    """

    dataset: LandmarkDataset
    scheme: Scheme
    predictions: Mapping[str, LandmarkSet]
    raters: Mapping[str, RaterReport]
    readers: Mapping[tuple[str, str], Evaluation] = field(default_factory=dict)
    repeats: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    model: str | None = None

    @property
    def main(self) -> RaterReport:
        """The comparison with the raters' mean, else with the rater that was asked for."""
        return next(iter(self.raters.values()))


def evaluate_dataset(
    dataset: LandmarkDataset,
    predictions: Mapping[str, LandmarkSet],
    scheme: Scheme,
    rater: str | None = None,
    exclude: Iterable[str] = (),
    case_values: Mapping[str, str] | None = None,
    split: str | None = None,
    model: str | None = None,
) -> EvaluationReport:
    """Compare `predictions` (case id -> landmarks) with `rater`, or with each rater and their mean for "all".

    The readers are compared with one another wherever there are several. `case_values` maps names of measurements to
    columns of cases.csv. Raises DatasetError.
    """
    exclude = tuple(exclude)
    dataset = with_mean_rater(dataset) if rater == ALL_RATERS else dataset
    cases = [dataset[case_id] for case_id in predictions]
    if rater == ALL_RATERS:
        present = [name for name in dataset.raters if any(name in case.points for case in cases)]
        raters = sorted(present, key=lambda name: name != MEAN_RATER)  # the mean first, the others in their order
    else:
        raters = [dataset.reference_rater(rater)]
    return EvaluationReport(
        dataset=dataset,
        scheme=scheme,
        predictions=predictions,
        raters={name: _rater_report(dataset, name, predictions, scheme, exclude, case_values) for name in raters},
        readers=compare_readers(dataset, cases, scheme, exclude),
        repeats=reader_names(dataset, cases)[1],
        split=split,
        model=model,
    )


def _rater_report(
    dataset: LandmarkDataset,
    rater: str,
    predictions: Mapping[str, LandmarkSet],
    scheme: Scheme,
    exclude: tuple[str, ...],
    case_values: Mapping[str, str] | None,
) -> RaterReport:
    evaluation = evaluate_landmarks(dataset, rater, predictions, scheme, exclude)
    counted = evaluation.counted
    apart = tuple(item for item in evaluation.results if item.landmark in evaluation.excluded)
    return RaterReport(
        evaluation=evaluation,
        measurements=compare_measurements(dataset, rater, predictions, scheme, case_values),
        calibration=_calibration(counted, evaluation),
        calibration_apart=_calibration(apart, evaluation) if apart else None,
    )


def _calibration(results: tuple, evaluation: Evaluation) -> Calibration | None:
    if evaluation.tolerance is None or not results:
        return None
    return calibration_of(results, evaluation.tolerance, evaluation.unit)


def including_all(report: EvaluationReport) -> dict[str, Evaluation]:
    """Each rater's comparison once more with no landmark excluded, as other publications count."""
    return {name: evaluate_landmarks(report.dataset, name, report.predictions, report.scheme) for name in report.raters}
