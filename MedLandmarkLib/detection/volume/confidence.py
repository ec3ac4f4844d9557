"""How far a point found in a volume can be believed."""

from __future__ import annotations

import math

import numpy as np

from ...landmark import Status
from ..confidence import MISSING_SCORE, UNCALIBRATED_DOUBTFUL_SCORE, Judgement
from .pose import Pose
from .search import FoundPoint
from .shape import FAR_SQUARED

_DOUBTFUL_BELOW = 0.5


def judge_point(
    point: FoundPoint | None, is_inside: bool, tolerance_mm: float, spread: float | None, pose: Pose | None
) -> Judgement:
    """Status, confidence and reason. spread: what standard deviations are multiplied by; None: never calibrated."""
    if pose is not None and not pose.is_found:
        return Judgement(
            Status.MISSING, None, f"the model's anatomy is not in this volume (correlation {pose.correlation:.2f})"
        )
    if point is None:
        return Judgement(Status.MISSING, None, "no plane shows it")
    confidence = None if spread is None else probability_within(tolerance_mm, point.covariance * spread**2)
    if not is_inside:
        return Judgement(Status.MISSING, confidence, "its position is outside the field of view")
    if point.height <= MISSING_SCORE:
        return Judgement(Status.DOUBTFUL, confidence, "no plane shows it; placed by the other landmarks")
    if point.far_squared > FAR_SQUARED:
        far = math.sqrt(point.far_squared)
        return Judgement(
            Status.DOUBTFUL, confidence, f"the planes show it {far:.1f} spreads from where the other landmarks have it"
        )
    if confidence is not None and confidence < _DOUBTFUL_BELOW:
        return Judgement(Status.DOUBTFUL, confidence, f"confidence {confidence:.2f} is below {_DOUBTFUL_BELOW:.2f}")
    if confidence is None and point.height < UNCALIBRATED_DOUBTFUL_SCORE:
        weak = f"weak peaks in its planes (height {point.height:.2f} below {UNCALIBRATED_DOUBTFUL_SCORE})"
        return Judgement(Status.DOUBTFUL, None, weak)
    return Judgement(Status.PREDICTED, confidence)


def probability_within(radius_mm: float, covariance: np.ndarray) -> float:
    """0..1 that a normal error of this covariance (3, 3), taken as equal in all directions, is at most radius_mm long.

    The distribution function of Maxwell's distribution.
    """
    x = radius_mm / math.sqrt(max(float(np.trace(covariance)) / 3.0, 1e-12))
    return math.erf(x / math.sqrt(2.0)) - math.sqrt(2.0 / math.pi) * x * math.exp(-0.5 * x * x)


def fitted_spread(errors_mm: np.ndarray, covariances: np.ndarray) -> float:
    """The factor by which standard deviations must grow for held-out errors to be as large as they are.

    errors_mm: (n,), covariances: (n, 3, 3). From the median, which a few gross errors do not move: half of Maxwell's
    distribution lies within 1.538 standard deviations.
    """
    sigma = np.sqrt(np.trace(covariances, axis1=1, axis2=2) / 3.0)
    return float(np.median(errors_mm / sigma) / 1.538)
