"""Logistic regression for confidences: few features, a ridge, Platt's prior, and the choice of features by folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

# Ridge on the weights of standardised features: worth about this many landmarks of evidence against each.
_RIDGE = 1.0
_NEWTON_STEPS = 50
FOLDS = 5


@dataclass(frozen=True)
class Logistic:
    """probability = 1 / (1 + exp(-(intercept + weights · (x - mean) / scale))); weights, mean, scale: (F,)."""

    intercept: float
    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, F) → (N,)"""
        return expit(self.exponent(features))

    def exponent(self, features: np.ndarray) -> np.ndarray:
        """(N, F) → (N,), the logarithm of the odds."""
        return self.intercept + (features - self.mean) / self.scale @ self.weights


def fit_logistic(features: np.ndarray, is_right: np.ndarray, sample_weight: np.ndarray | None = None) -> Logistic:
    """The likeliest regression of is_right (N,) on features (N, F), by Newton's method.

    The targets are Platt's (Probabilistic outputs for support vector machines, 1999, section 2.2), which keep the
    weights finite where every sample is right. sample_weight: (N,), how much each counts (default 1).
    """
    weight = np.ones(len(features)) if sample_weight is None else np.asarray(sample_weight, float)
    mean = np.average(features, axis=0, weights=weight)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight)).clip(1e-6)
    right, wrong = weight[is_right].sum(), weight[~is_right].sum()
    target = np.where(is_right, (right + 1.0) / (right + 2.0), 1.0 / (wrong + 2.0))
    design = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    ridge = np.diag([0.0, *[_RIDGE] * features.shape[1]])
    parameters = np.zeros(design.shape[1])
    parameters[0] = np.log((right + 1.0) / (wrong + 1.0))
    for _ in range(_NEWTON_STEPS):
        probability = expit(design @ parameters)
        gradient = design.T @ (weight * (probability - target)) + ridge @ parameters
        curvature = (design * (weight * probability * (1.0 - probability))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(parameters)), gradient)
        parameters = parameters - step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return Logistic(float(parameters[0]), parameters[1:], mean, scale)


def fit_offsets(
    exponent: np.ndarray, is_right: np.ndarray, kinds: np.ndarray, count: int, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """(count,): what is to be added to the log odds (N,) of each kind of sample, where kinds (N,) differ beyond them.

    The likeliest under a normal prior of standard deviation 1 about 0 (a random intercept; Gelman and Hill, Data
    analysis using regression and multilevel models, 2007, section 12), so that few samples move it little.
    """
    weight = np.ones(len(exponent)) if sample_weight is None else np.asarray(sample_weight, float)
    offsets = np.zeros(count)
    for _ in range(_NEWTON_STEPS):
        probability = expit(exponent + offsets[kinds])
        gradient = np.bincount(kinds, weight * (is_right - probability), count) - offsets
        curvature = np.bincount(kinds, weight * probability * (1.0 - probability), count) + 1.0
        step = np.clip(gradient / curvature, -1.0, 1.0)
        offsets += step
        if np.abs(step).max() < 1e-9:
            break
    return offsets


def folded_probabilities(
    features: np.ndarray,
    is_right: np.ndarray,
    groups: np.ndarray,
    sample_weight: np.ndarray | None = None,
    kinds: np.ndarray | None = None,
) -> np.ndarray:
    """(N,): the probability of each sample by a regression that saw nothing of its group (N,).

    Whole groups (subjects) go into FOLDS folds, or one each where there are fewer. kinds: (N,) from 0, with offsets.
    """
    weight = np.ones(len(features)) if sample_weight is None else sample_weight
    names = np.unique(groups)
    fold_of = {name: number % min(FOLDS, len(names)) for number, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in groups])
    probabilities = np.empty(len(features))
    for number in range(fold.max() + 1):
        left_out = fold == number
        fitted = fit_logistic(features[~left_out], is_right[~left_out], weight[~left_out])
        exponent = fitted.exponent(features)
        if kinds is not None:
            known = ~left_out
            offsets = fit_offsets(exponent[known], is_right[known], kinds[known], int(kinds.max()) + 1, weight[known])
            exponent = exponent + offsets[kinds]
        probabilities[left_out] = expit(exponent[left_out])
    return probabilities


def log_losses(probabilities: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """(N,): minus the logarithm of the probability given to what came true."""
    given = np.where(is_right, probabilities, 1.0 - probabilities)
    return -np.log(given.clip(1e-6))


def choose_features(
    candidates: Sequence[Sequence[str]],
    columns: dict[str, np.ndarray],
    is_right: np.ndarray,
    groups: np.ndarray,
    sample_weight: np.ndarray | None = None,
) -> tuple[str, ...]:
    """The first of `candidates`, which go from few to many, that is within one standard error of the best.

    By the log loss over folds (Breiman et al., Classification and regression trees, 1984, section 3.4.3); the standard
    error is of the difference between the two over groups.
    """
    losses = {}
    for names in candidates:
        features = np.column_stack([columns[name] for name in names])
        by_sample = log_losses(folded_probabilities(features, is_right, groups, sample_weight), is_right)
        losses[tuple(names)] = _mean_by_group(by_sample, groups)
    best = min(losses, key=lambda names: losses[names].mean())
    for names, loss in losses.items():
        worse = loss - losses[best]
        if worse.mean() <= worse.std(ddof=1) / np.sqrt(len(worse)):
            return names
    return best


def _mean_by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return np.array([values[groups == name].mean() for name in np.unique(groups)])
