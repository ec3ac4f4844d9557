"""A Gaussian in many dimensions from few samples: some directions of its own, and the same variance in all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LowRankGaussian:
    """Probabilistic principal components (Tipping and Bishop, J. Royal Statistical Society B 61(3), 1999).

    mean: (D,). components: (R, D), orthonormal rows. variances: (R,), along them, largest first, none below `noise`,
    the variance in every direction that is left.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    noise: float

    @classmethod
    def fit(cls, values: np.ndarray, rank: int) -> LowRankGaussian:
        """The Gaussian of `values` (N, D), N at least 3, with `rank` directions of its own at most.

        The noise is the mean of the variances that are left, over as many directions as N samples can span.
        """
        values = np.asarray(values, float)
        mean = values.mean(axis=0)
        _, singular, directions = np.linalg.svd(values - mean, full_matrices=False)
        variances = singular**2 / (len(values) - 1)
        spanned = min(len(values) - 1, values.shape[1])
        rank = max(0, min(rank, spanned - 1))
        noise = max(float(variances[rank:spanned].mean()), 1e-12)
        return cls(mean, directions[:rank], np.maximum(variances[:rank], noise), noise)

    def distance(self, values: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of (..., D) over the root of D: (...), about 1 for a typical sample."""
        away = np.asarray(values, float) - self.mean
        along = away @ self.components.T  # (..., R)
        left = np.maximum((away**2).sum(axis=-1) - (along**2).sum(axis=-1), 0.0)
        squared = (along**2 / self.variances).sum(axis=-1) + left / self.noise
        return np.sqrt(squared / len(self.mean))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """float32 arrays by name, which `from_arrays` reads."""
        arrays = {"mean": self.mean, "components": self.components, "variances": self.variances, "noise": [self.noise]}
        return {name: np.asarray(value, np.float32) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> LowRankGaussian:
        """What `to_arrays` wrote. Raises KeyError where an array is missing."""
        mean, components, variances, noise = (
            np.asarray(arrays[name], float) for name in ("mean", "components", "variances", "noise")
        )
        return cls(mean, components, variances, float(noise[0]))
