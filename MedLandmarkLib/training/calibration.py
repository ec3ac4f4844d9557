"""Fitting the confidence model: from heatmap peaks of held-out cases to the probability of being right."""

from __future__ import annotations

import torch
import torch.nn.functional as F

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


def expected_calibration_error(confidence: torch.Tensor, is_right: torch.Tensor, bins: int = 10) -> float:
    """Mean gap between confidence and share of right landmarks over equal-width bins, weighted by their size.

    Guo et al., On calibration of modern neural networks, ICML 2017, equation 3. confidence, is_right: (n,).
    """
    index = (confidence * bins).long().clamp(0, bins - 1)
    gap = 0.0
    for number in range(bins):
        inside = index == number
        if inside.any():
            gap += inside.float().mean().item() * abs(
                confidence[inside].mean().item() - is_right[inside].float().mean().item()
            )
    return gap
