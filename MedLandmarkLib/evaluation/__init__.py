"""Predictions against reference points: radial errors, measurements, confidence, and readers beside one another."""

from __future__ import annotations

from .calibration import (
    Calibration,
    calibration_of,
    debiased_calibration_error,
    expected_calibration_error,
    least_calibration_error,
    reliability,
)
from .cobb import cobb_angles, smape
from .landmarks import Evaluation, evaluate_landmarks
from .measurements import ClassAgreement, MeasurementAgreement, compare_measurements
from .points import PointResult, radial_errors
from .raters import ALL_RATERS, compare_readers, with_mean_rater
from .record import report_record
from .report import EvaluationReport, RaterReport, evaluate_dataset
from .statistics import ErrorStatistics, bootstrap_intervals, cumulative_curve, error_statistics, mean_and_sd

__all__ = [
    "ALL_RATERS",
    "Calibration",
    "ClassAgreement",
    "ErrorStatistics",
    "Evaluation",
    "EvaluationReport",
    "MeasurementAgreement",
    "PointResult",
    "RaterReport",
    "bootstrap_intervals",
    "calibration_of",
    "cobb_angles",
    "compare_measurements",
    "compare_readers",
    "cumulative_curve",
    "debiased_calibration_error",
    "error_statistics",
    "evaluate_dataset",
    "evaluate_landmarks",
    "expected_calibration_error",
    "least_calibration_error",
    "mean_and_sd",
    "radial_errors",
    "reliability",
    "report_record",
    "smape",
    "with_mean_rater",
]
