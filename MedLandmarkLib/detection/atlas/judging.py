"""How far a point that was carried over can be believed."""

from __future__ import annotations

import numpy as np

from ...landmark import Status
from ..confidence import Judgement
from ..volume.confidence import probability_within
from ..volume.pose import Pose
from .transfer import CarriedPoint

# What standard deviations of the matching are multiplied by: patches of different animals and people agree in less than
# they do at the best shift. Set on three mice of the benchmark, where the median error came out 2.6 times as large.
_SPREAD = 2.7
_DOUBTFUL_BELOW = 0.5
_LEAST_SIMILARITY = 0.5  # of the surroundings: beneath, something else is there


def error_covariance(point: CarriedPoint) -> np.ndarray:
    """(3, 3) mm²: of the point's error, from the matching and its neighbours, and from the way back."""
    return _SPREAD**2 * point.covariance + np.eye(3) * (point.return_mm**2 / 3.0)


def expected_error_mm(covariance: np.ndarray) -> float:
    """The mean length of a normal error of this covariance (3, 3), taken as equal in all directions (Maxwell)."""
    return float(np.sqrt(8.0 / np.pi) * np.sqrt(np.trace(covariance) / 3.0))


def judge(
    point: CarriedPoint | None, is_inside: bool, tolerance_mm: float, pose: Pose, is_annotated: bool
) -> Judgement:
    """Status, confidence and reason. is_annotated: in the template."""
    if not is_annotated:
        return Judgement(Status.MISSING, None, "it is not annotated in the template")
    if not pose.is_found or point is None:
        return Judgement(
            Status.MISSING, None, f"the template's anatomy is not in this volume (correlation {pose.correlation:.2f})"
        )
    covariance = error_covariance(point)
    confidence = probability_within(tolerance_mm, covariance)
    if not is_inside:
        return Judgement(Status.MISSING, confidence, "its position is outside the field of view")
    if point.similarity < _LEAST_SIMILARITY:
        resemblance = f"its surroundings do not look like the template's (correlation {point.similarity:.2f})"
        return Judgement(Status.DOUBTFUL, min(confidence, _DOUBTFUL_BELOW), resemblance)
    if point.return_mm > tolerance_mm:
        back = f"looked for in the template again, it comes out {point.return_mm:.2g} mm beside the template's point"
        return Judgement(Status.DOUBTFUL, confidence, back)
    if confidence < _DOUBTFUL_BELOW:
        expected = f"its error is expected to be {expected_error_mm(covariance):.2g} mm"
        return Judgement(Status.DOUBTFUL, confidence, f"{expected}; the tolerance is {tolerance_mm:.2g} mm")
    return Judgement(Status.PREDICTED, confidence)
