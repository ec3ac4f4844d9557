"""From a heatmap's peak to a landmark's status: predicted, doubtful with the reason, or missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..landmark import Status

# Peaks of a model whose confidence was never calibrated: about 1 on a landmark it knows, near 0 where it sees none.
UNCALIBRATED_DOUBTFUL_SCORE = 0.25
MISSING_SCORE = 0.02


@dataclass(frozen=True)
class Judgement:
    """What the peak of one heatmap says about its landmark."""

    status: Status
    confidence: float | None
    reason: str = ""


@dataclass(frozen=True)
class ConfidenceModel:
    """Probability that a landmark lies within the scheme's tolerance, given its heatmap's peak.

    probability = 1 / (1 + exp(-(intercept + slope · ln score))), a logistic regression (Platt, 1999) fitted on cases
    that were held out of the training. Where `slope` is None the model was not calibrated and no probability is given.
    """

    intercept: float = 0.0
    slope: float | None = None
    doubtful_below: float = 0.5
    missing_score: float = MISSING_SCORE

    @classmethod
    def from_card(cls, values: Mapping[str, float] | None) -> ConfidenceModel:
        """Read the entry of a model card; without one the model counts as not calibrated."""
        return cls(**values) if values else cls()

    def probability(self, score: float) -> float | None:
        """0..1 for a heatmap's peak; None where the model was not calibrated."""
        if self.slope is None:
            return None
        exponent = self.intercept + self.slope * math.log(max(score, 1e-6))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, exponent))))

    def judge(self, score: float, is_inside_picture: bool) -> Judgement:
        """Decide on a landmark from its peak and from whether it lies inside the picture."""
        probability = self.probability(score)
        if score <= self.missing_score:
            return Judgement(Status.MISSING, probability, f"no peak in its heatmap (score {score:.3f})")
        if not is_inside_picture:
            return Judgement(Status.MISSING, probability, "its position is outside the picture")
        if probability is not None and probability < self.doubtful_below:
            return Judgement(
                Status.DOUBTFUL, probability, f"confidence {probability:.2f} is below {self.doubtful_below:.2f}"
            )
        if probability is None and score < UNCALIBRATED_DOUBTFUL_SCORE:
            weak = f"weak peak in its heatmap (score {score:.2f} below {UNCALIBRATED_DOUBTFUL_SCORE})"
            return Judgement(Status.DOUBTFUL, None, weak)
        return Judgement(Status.PREDICTED, probability)
