"""Whether a stated confidence is kept: the share of landmarks within the tolerance, by confidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..landmark import Status
from .points import PointResult

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """The points whose confidence lies from `low` up to `high`; the last bin holds 1 as well.

    confidence: their mean; right: the share of them whose error is within the tolerance; None where there are none.
    """

    low: float
    high: float
    points: int
    confidence: float | None
    right: float | None


@dataclass(frozen=True)
class Calibration:
    """What confidence and status come to. expected_calibration_error: None where no point has a confidence.

    least_calibration_error: what a perfect model would show on average with as many points of these confidences.
    debiased_calibration_error: what is left when chance is taken out. doubtful, missing: shares of the reference points
    that were so called. right_if_plain, right_if_doubtful: the shares within the tolerance of those called neither, and
    of those called doubtful; None where there are none.
    """

    tolerance: float
    unit: str
    points: int
    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float | None
    least_calibration_error: float | None
    debiased_calibration_error: float | None
    doubtful: float
    missing: float
    right_if_plain: float | None
    right_if_doubtful: float | None


def expected_calibration_error(confidence: Sequence[float], is_right: Sequence[bool], bins: int = BINS) -> float:
    """Mean gap between confidence and share of right landmarks over equal-width bins, weighted by their size.

    Guo et al., On calibration of modern neural networks, ICML 2017, equation 3. confidence, is_right: (n,), anything
    that numpy takes as an array.
    """
    filled = [item for item in reliability(confidence, is_right, bins) if item.points]
    total = sum(item.points for item in filled)
    return sum(item.points / total * abs(item.confidence - item.right) for item in filled)


def least_calibration_error(confidence: Sequence[float], draws: int = 200, seed: int = 0) -> float:
    """What `expected_calibration_error` gives on average for a perfect model with these confidences (n,).

    Above 0, because the share of right landmarks in a bin scatters: few landmarks cannot show a smaller error.
    """
    generator, confidence = np.random.default_rng(seed), np.asarray(confidence, float)
    drawn = generator.uniform(size=(draws, len(confidence))) < confidence
    return float(np.mean([expected_calibration_error(confidence, is_right) for is_right in drawn]))


def debiased_calibration_error(confidence: Sequence[float], is_right: Sequence[bool], bins: int = BINS) -> float:
    """Root mean square gap over equal-width bins, less what chance alone adds to it; 0 where chance explains it all.

    The square of a bin's gap is too large on average by the variance of its share of right landmarks, r (1 - r) / (n -
    1): Kumar, Liang and Ma, Verified uncertainty calibration, NeurIPS 2019, section 4. Bins of one landmark are left
    out. confidence, is_right: (n,).
    """
    filled = [item for item in reliability(confidence, is_right, bins) if item.points > 1]
    total = sum(item.points for item in filled)
    squares = [
        item.points * ((item.confidence - item.right) ** 2 - item.right * (1.0 - item.right) / (item.points - 1))
        for item in filled
    ]
    return float(np.sqrt(max(0.0, sum(squares) / total))) if filled else 0.0


def reliability(confidence: Sequence[float], is_right: Sequence[bool], bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The reliability table over `bins` of equal width."""
    confidence, is_right = np.asarray(confidence, float), np.asarray(is_right, bool)
    index = np.clip((confidence * bins).astype(int), 0, bins - 1)
    table = []
    for number in range(bins):
        inside = index == number
        some = bool(inside.any())
        table.append(
            ReliabilityBin(
                low=number / bins,
                high=(number + 1) / bins,
                points=int(inside.sum()),
                confidence=float(confidence[inside].mean()) if some else None,
                right=float(is_right[inside].mean()) if some else None,
            )
        )
    return tuple(table)


def calibration_of(results: Iterable[PointResult], tolerance: float, unit: str) -> Calibration:
    """Confidence and status of points against their errors; a point without prediction is none of the bins' points."""
    results = tuple(results)
    told = [item for item in results if item.confidence is not None and item.error is not None]
    confidence, is_right = [item.confidence for item in told], [item.error <= tolerance for item in told]
    return Calibration(
        tolerance=tolerance,
        unit=unit,
        points=len(told),
        bins=reliability(confidence, is_right),
        expected_calibration_error=expected_calibration_error(confidence, is_right) if told else None,
        least_calibration_error=least_calibration_error(confidence) if told else None,
        debiased_calibration_error=debiased_calibration_error(confidence, is_right) if told else None,
        doubtful=_share(item.status is Status.DOUBTFUL for item in results) or 0.0,
        missing=_share(item.status is Status.MISSING for item in results) or 0.0,
        right_if_plain=_right(results, (Status.PREDICTED, Status.ACCEPTED, Status.EDITED), tolerance),
        right_if_doubtful=_right(results, (Status.DOUBTFUL,), tolerance),
    )


def _right(results: Sequence[PointResult], statuses: Sequence[Status], tolerance: float) -> float | None:
    return _share(item.error <= tolerance for item in results if item.status in statuses and item.error is not None)


def _share(flags: Iterable[bool]) -> float | None:
    values = list(flags)
    return sum(values) / len(values) if values else None
