"""An evaluation as plain data, for programs; figures that do not exist are null."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from .calibration import Calibration
from .cobb import LARGEST, SECOND, THIRD, smape
from .landmarks import Evaluation
from .measurements import MeasurementAgreement, measured, placed, read_by
from .report import EvaluationReport, RaterReport, including_all
from .statistics import CONFIDENCE_LEVEL, RESAMPLES, ErrorStatistics, cumulative_curve, mean_and_sd

SCHEMA_VERSION = "2.0"
COBB = (LARGEST, SECOND, THIRD)


def report_record(report: EvaluationReport) -> dict[str, Any]:
    """All figures: those of the main rater at the top, and every rater's under "raters"."""
    complete = including_all(report) if report.main.evaluation.excluded else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": report.dataset.name,
        "split": report.split,
        "scheme": report.scheme.id,
        "model": report.model,
        "intervals": {
            "level": CONFIDENCE_LEVEL,
            "method": "percentile bootstrap over subjects",
            "resamples": RESAMPLES,
        },
        **rater_record(report.main),
        "image_errors": image_errors(report),
        "curve": error_curve(report.main.evaluation),
        "cobb_smape": cobb_smape(report),
        "raters": {name: rater_record(item) for name, item in report.raters.items()},
        "with_excluded": {name: statistics_record(item.overall) for name, item in complete.items()},
        "readers": [
            {
                "readers": list(pair),
                "overall": statistics_record(item.overall),
                "landmarks": {name: statistics_record(own) for name, own in item.per_landmark.items()},
            }
            for pair, item in report.readers.items()
        ],
        "repeats": dict(report.repeats),
    }


def rater_record(report: RaterReport) -> dict[str, Any]:
    """The comparison with one rater."""
    evaluation = report.evaluation
    mean, sd = mean_and_sd(evaluation.image_means.values())
    return {
        "rater": evaluation.rater,
        "unit": evaluation.unit,
        "images": len(evaluation.image_means),
        "excluded": list(evaluation.excluded),
        "overall": {
            **statistics_record(evaluation.overall),
            "image_mean": _number(mean),
            "image_sd": _number(sd),
        },
        "relative_percent": statistics_record(evaluation.relative) if evaluation.relative else None,
        "landmarks": {name: statistics_record(item) for name, item in evaluation.per_landmark.items()},
        "image_means": dict(evaluation.image_means),
        "called_missing": evaluation.called_missing,
        "absent": evaluation.absent,
        "absent_called_missing": evaluation.absent_called_missing,
        "exchanged_pairs": evaluation.exchanged,
        "measurements": [_measurement_record(item) for item in report.measurements],
        "classification_rate": classification_rate(report.measurements),
        "calibration": _calibration_record(report.calibration),
        "calibration_of_excluded": _calibration_record(report.calibration_apart),
        "notes": list(evaluation.notes),
    }


def statistics_record(statistics: ErrorStatistics) -> dict[str, Any]:
    return {
        "points": statistics.points,
        "unpredicted": statistics.unpredicted,
        "mean": statistics.mean,
        "mean_interval": _list(statistics.mean_interval),
        "sd": statistics.sd,
        "median": statistics.median,
        "p95": statistics.p95,
        "largest": statistics.largest,
        "sdr": {f"{radius:g}": share for radius, share in statistics.sdr.items()},
        "sdr_intervals": {f"{radius:g}": _list(interval) for radius, interval in statistics.sdr_intervals.items()},
    }


def image_errors(report: EvaluationReport) -> dict[str, dict[str, float | None]]:
    """case -> landmark -> error against the main rater, excluded landmarks included."""
    errors: dict[str, dict[str, float | None]] = {}
    for item in report.main.evaluation.results:
        errors.setdefault(item.case, {})[item.landmark] = item.error
    return errors


def error_curve(evaluation: Evaluation) -> list[tuple[float, float]]:
    """The cumulative error curve of the counted points, to a little beyond the largest radius."""
    reach = 1.5 * evaluation.radii[-1] if evaluation.radii else 1.2 * (evaluation.overall.p95 or 1.0)
    return cumulative_curve([item.error for item in evaluation.counted], reach)


def classification_rate(measurements: tuple[MeasurementAgreement, ...]) -> float | None:
    """The mean success classification rate over the measurements that have classes."""
    rates = [item.classes.rate for item in measurements if item.classes is not None]
    return float(np.mean(rates)) if rates else None


def cobb_smape(report: EvaluationReport) -> float | None:
    """SMAPE of the three Cobb angles against those of the reference points; None for other landmarks."""
    rows = []
    for case_id, landmarks in report.predictions.items():
        case = report.dataset[case_id]
        own = measured(placed(landmarks, case), report.scheme)
        reference = measured(read_by(case, report.main.evaluation.rater, report.scheme), report.scheme)
        angles = [[values[name].value for name in COBB if name in values] for values in (own, reference)]
        if all(len(values) == len(COBB) and None not in values for values in angles):
            rows.append(angles)
    if not rows:
        return None
    predicted, reference = np.moveaxis(np.array(rows, float), 1, 0)  # (images, 3) each
    return smape(predicted, reference)


def _measurement_record(item: MeasurementAgreement) -> dict[str, Any]:
    record = {key: value for key, value in asdict(item).items() if key != "classes"}
    if item.classes is not None:
        record["classification"] = {
            "images": item.classes.images,
            "rate": item.classes.rate,
            "source": item.classes.source,
            "confusion": [
                {"reference": reference, "predicted": predicted, "images": count}
                for (reference, predicted), count in sorted(item.classes.confusion.items())
            ],
        }
    return record


def _calibration_record(calibration: Calibration | None) -> dict[str, Any] | None:
    return None if calibration is None else asdict(calibration)


def _list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _number(value: float) -> float | None:
    return value if value == value else None  # NaN is no number in JSON
