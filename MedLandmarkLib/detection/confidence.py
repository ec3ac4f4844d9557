"""From a picture's heatmap peaks to each landmark's status: predicted, doubtful with the reason, or missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from ..landmark import Status
from .peak_features import peak_features
from .picture_check import PictureCheck
from .picture_peaks import PicturePeaks

# Peaks of a model whose confidence was never calibrated: about 1 on a landmark it knows, near 0 where it sees none.
UNCALIBRATED_DOUBTFUL_SCORE = 0.25
MISSING_SCORE = 0.02
# A point this many spreads from where the others put it has that said of it when it is doubtful.
FAR_FROM_THE_OTHERS = 3.0


@dataclass(frozen=True)
class Judgement:
    """What the peak of one heatmap, and the picture around it, say about its landmark."""

    status: Status
    confidence: float | None
    reason: str = ""


@dataclass(frozen=True)
class FeatureWeight:
    """A sign of `peak_features` in the regression: weight · (value - mean) / scale."""

    weight: float
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class ConfidenceModel:
    """Probability that a landmark lies within the scheme's tolerance, given the signs of its peak.

    probability = 1 / (1 + exp(-(intercept + offset of the landmark + sum of the weighted features))), a logistic
    regression (Platt, 1999) fitted on cases that were held out of the training. offsets: (K,), of landmarks that are
    easier or harder than their signs say, or empty. Without features the model was not calibrated and no probability is
    given. check: says of a whole picture that it is of another kind; None where that was not learned.
    """

    intercept: float = 0.0
    features: Mapping[str, FeatureWeight] = field(default_factory=dict)
    doubtful_below: float = 0.5
    missing_score: float = MISSING_SCORE
    check: PictureCheck | None = None
    offsets: tuple[float, ...] = ()

    @classmethod
    def from_card(cls, values: Mapping[str, Any] | None, check: PictureCheck | None = None) -> ConfidenceModel:
        """Read the entry of a model card; without one the model counts as not calibrated.

        An entry with a `slope` in the place of `features` is of the first version, which knew the peak's height only.
        """
        if not values:
            return cls(check=check)
        if "slope" in values:
            features = {"ln_score": FeatureWeight(values["slope"])}
        else:
            features = {name: FeatureWeight(**weight) for name, weight in values.get("features", {}).items()}
        thresholds = {name: values[name] for name in ("doubtful_below", "missing_score") if name in values}
        offsets = tuple(values.get("offsets", ()))
        return cls(values.get("intercept", 0.0), features, check=check, offsets=offsets, **thresholds)

    def probabilities(self, found: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(K,) 0..1 for the signs of a picture's peaks (`peak_features`); None where the model was not calibrated.

        A sign that this detection did not give, such as the mirrored pass', counts as its usual value.
        """
        if not self.features:
            return None
        exponent = self.intercept + (np.array(self.offsets) if self.offsets else np.zeros(len(found["ln_score"])))
        for name, feature in self.features.items():
            if name in found:
                exponent = exponent + feature.weight * (found[name] - feature.mean) / feature.scale
        return expit(exponent)

    def judge(self, peaks: PicturePeaks, is_inside: Sequence[bool]) -> tuple[Judgement, ...]:
        """Decide on the K landmarks of a picture; is_inside: (K,), whether each lies inside the picture.

        In a picture of another kind no landmark is believed: confidence 0, doubtful at best.
        """
        shape = self.check.fit_shape(peaks) if self.check else None
        objection = self.check.objection(peaks, shape) if self.check else ""
        probabilities = self.probabilities(peak_features(peaks, shape))
        return tuple(
            self._judge_one(
                float(peaks.score[k]),
                bool(is_inside[k]),
                None if probabilities is None else float(probabilities[k]),
                0.0 if shape is None else float(shape.residual[k]),
                objection,
            )
            for k in range(len(peaks.score))
        )

    def _judge_one(
        self, score: float, is_inside: bool, probability: float | None, residual: float, objection: str
    ) -> Judgement:
        if objection:
            probability = None if probability is None else 0.0
        if score <= self.missing_score:
            return Judgement(Status.MISSING, probability, f"no peak in its heatmap (score {score:.3f})")
        if not is_inside:
            return Judgement(Status.MISSING, probability, "its position is outside the picture")
        if objection:
            return Judgement(Status.DOUBTFUL, probability, objection)
        if probability is not None and probability < self.doubtful_below:
            reason = f"confidence {probability:.2f} is below {self.doubtful_below:.2f}"
            if residual > FAR_FROM_THE_OTHERS:
                reason += f"; it lies {residual:.1f} spreads from where the other points put it"
            return Judgement(Status.DOUBTFUL, probability, reason)
        if probability is None and score < UNCALIBRATED_DOUBTFUL_SCORE:
            weak = f"weak peak in its heatmap (score {score:.2f} below {UNCALIBRATED_DOUBTFUL_SCORE})"
            return Judgement(Status.DOUBTFUL, None, weak)
        return Judgement(Status.PREDICTED, probability)
