"""What a set of radial errors comes to, and how far the figures may be trusted.

The measures are those of the ISBI cephalometric challenges (Wang et al., IEEE TMI 34(9), 2015, section IV): the radial
error is the distance between a predicted and a reference point, MRE its mean with the standard deviation over points
(divisor N - 1), and SDR the share of points whose error is not above a radius.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

RESAMPLES = 2000
CONFIDENCE_LEVEL = 0.95
SEED = 0

Interval = tuple[float, float]


@dataclass(frozen=True)
class ErrorStatistics:
    """What a set of radial errors comes to, in the evaluation's unit.

    points: reference points that had a prediction; unpredicted: those that had none, which count as failures in `sdr`
    and not at all in the mean. mean, sd, median, p95, largest: None where there are too few points for them.
    sdr: radius -> share (0..1) of points, unpredicted ones included, whose error is not above it.
    mean_interval, sdr_intervals: 95 % intervals by resampling of subjects; None and empty with fewer than two subjects.
    """

    points: int
    unpredicted: int
    mean: float | None
    sd: float | None
    median: float | None
    p95: float | None
    largest: float | None
    sdr: Mapping[float, float]
    mean_interval: Interval | None = None
    sdr_intervals: Mapping[float, Interval] = field(default_factory=dict)


def error_statistics(
    errors: Sequence[float], unpredicted: int, radii: Iterable[float], intervals: Intervals | None = None
) -> ErrorStatistics:
    """The statistics of `errors`; `unpredicted` points more had no prediction."""
    values = np.asarray(errors, float)
    some, total = values.size > 0, values.size + unpredicted
    mean_interval, sdr_intervals = intervals if intervals is not None else (None, {})
    return ErrorStatistics(
        points=int(values.size),
        unpredicted=unpredicted,
        mean=float(values.mean()) if some else None,
        sd=float(values.std(ddof=1)) if values.size > 1 else None,
        median=float(np.median(values)) if some else None,
        p95=float(np.percentile(values, 95)) if some else None,
        largest=float(values.max()) if some else None,
        sdr={radius: float((values <= radius).sum() / total) for radius in radii} if total else {},
        mean_interval=mean_interval,
        sdr_intervals=sdr_intervals,
    )


Intervals = tuple[Interval | None, Mapping[float, Interval]]


def bootstrap_intervals(by_subject: Sequence[Sequence[float | None]], radii: Sequence[float]) -> Intervals:
    """95 % percentile intervals of the mean error and of each SDR (Efron and Tibshirani, 1993, chapter 13).

    `by_subject` holds the errors of each subject's points, None for a point without a prediction. Whole subjects are
    drawn again, because the points of one image, and the images of one person, are not independent. The same seed
    gives the same intervals. (None, {}) with fewer than two subjects, or where a resample may hold no point.
    """
    if len(by_subject) < 2:
        return None, {}
    sums = np.array([_sums(errors, radii) for errors in by_subject])  # (subjects, 3 + radii)
    generator = np.random.default_rng(SEED)
    subjects = len(by_subject)
    draws = generator.multinomial(subjects, np.full(subjects, 1 / subjects), size=RESAMPLES)
    totals = draws @ sums  # (resamples, 3 + radii)
    has_errors, has_points = totals[:, 1] > 0, totals[:, 2] > 0
    mean = _interval(totals[has_errors, 0] / totals[has_errors, 1])
    shares = totals[has_points, 3:] / totals[has_points, 2:3]
    intervals = {radius: _interval(shares[:, column]) for column, radius in enumerate(radii)}
    return mean, {radius: interval for radius, interval in intervals.items() if interval is not None}


def _sums(errors: Sequence[float | None], radii: Sequence[float]) -> list[float]:
    """The sum of the errors, how many there are, how many points there are, and how many lie within each radius."""
    known = np.array([error for error in errors if error is not None], float)
    return [known.sum(), known.size, len(errors), *(float((known <= radius).sum()) for radius in radii)]


def _interval(values: np.ndarray) -> Interval | None:
    if values.size < RESAMPLES / 2:
        return None
    low, high = np.quantile(values, ((1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2))
    return float(low), float(high)


def mean_and_sd(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard deviation (divisor N - 1); NaN where there are too few values."""
    numbers = np.fromiter(values, float)
    return (
        float(numbers.mean()) if numbers.size else math.nan,
        float(numbers.std(ddof=1)) if numbers.size > 1 else math.nan,
    )


def cumulative_curve(errors: Sequence[float | None], largest: float, steps: int = 100) -> list[tuple[float, float]]:
    """(error, share of points with at most that error) from 0 to `largest`; a point without prediction never counts."""
    known = np.sort(np.array([error for error in errors if error is not None], float))
    if not errors:
        return []
    radii = np.linspace(0, largest, steps + 1)
    shares = np.searchsorted(known, radii, side="right") / len(errors)
    return [(float(radius), float(share)) for radius, share in zip(radii, shares, strict=True)]
