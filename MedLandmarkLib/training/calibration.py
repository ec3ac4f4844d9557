"""Fitting the confidence model: from heatmap peaks of held-out cases to the probability of being right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..evaluation.calibration import expected_calibration_error

__all__ = ["expected_calibration_error", "fit_confidence", "least_calibration_error"]

# Fewer held-out landmarks than this say too little about the tails of a probability.
_ENOUGH_LANDMARKS = 50


def fit_confidence(errors: torch.Tensor, scores: torch.Tensor, tolerance: float) -> dict[str, float] | None:
    """Logistic regression of "the error is within the tolerance" on the logarithm of the peak (Platt, 1999).

    errors: (N, K) radial errors of held-out cases, NaN where absent; scores: (N, K) peaks; tolerance in the errors'
    unit. Returns the entry of a model card (`ConfidenceModel.from_card`), or None where there is too little to learn
    from. Platt's prior keeps the slope finite where every held-out landmark is right.
    """
    known = ~errors.isnan()
    if known.sum() < _ENOUGH_LANDMARKS:
        return None
    is_right = errors[known] <= tolerance
    right, wrong = int(is_right.sum()), int((~is_right).sum())
    target = torch.where(is_right, (right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0)).double()
    feature = scores[known].clamp_min(1e-6).log().double()
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(parameters[0] + parameters[1] * feature, target)
        loss.backward()
        return loss

    optimizer.step(closure)
    intercept, slope = parameters.detach().tolist()
    return {"intercept": intercept, "slope": slope}


def least_calibration_error(confidence: Sequence[float], draws: int = 200, seed: int = 0) -> float:
    """What `expected_calibration_error` gives on average for a perfect model with these confidences (n,).

    Above 0, because the share of right landmarks in a bin scatters: few landmarks cannot show a smaller error.
    """
    generator, confidence = np.random.default_rng(seed), np.asarray(confidence, float)
    drawn = generator.uniform(size=(draws, len(confidence))) < confidence
    return float(np.mean([expected_calibration_error(confidence, is_right) for is_right in drawn]))
