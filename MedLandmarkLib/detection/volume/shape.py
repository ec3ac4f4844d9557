"""What is known of landmarks before an image is seen: where they lie to each other, and how much that varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The squared distance, in standard deviations, beyond which one normal point in a thousand lies (chi-square, 3 values).
FAR_SQUARED = 16.27
_UNKNOWN_MM2 = 1e6  # the variance of a landmark that was not found
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class ShapePrior:
    """mean: (K, 3) mm in the canonical frame. covariance: (3 K, 3 K) mm², over landmarks and axes."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def from_shapes(cls, shapes: np.ndarray, shrinkage: float = 0.3) -> ShapePrior:
        """From aligned point sets (n, K, 3), NaN where absent.

        A few shapes cannot tell how each landmark goes with every other; their covariance is drawn towards its own
        diagonal by `shrinkage` (Ledoit and Wolf, 2004).
        """
        mean = np.nanmean(shapes, axis=0)
        offsets = np.nan_to_num(shapes - mean).reshape(len(shapes), -1)
        covariance = offsets.T @ offsets / max(1, len(shapes) - 1)
        diagonal = np.diag(np.diag(covariance) + 0.25 * np.diag(covariance).mean() + 1e-6)
        return cls(mean, (1.0 - shrinkage) * covariance + shrinkage * diagonal)

    def spread_mm(self) -> np.ndarray:
        """(K,) the standard deviation of each landmark about its mean place, over all directions."""
        return np.sqrt(np.diag(self.covariance).reshape(-1, 3).sum(axis=1))

    def combined(
        self, points: np.ndarray, covariances: np.ndarray, to_points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The most probable points given the findings and the shape, both normal.

        points: (K, 3), NaN where nothing was found; covariances: (K, 3, 3); to_points: (4, 4) similarity, canonical →
        the frame of the points, to begin with. It is fitted anew to the findings, which see more than a template does.
        A finding that the shape holds for nearly impossible counts the less the farther it lies.
        Returns points (K, 3), covariances (K, 3, 3) and the squared distance (K,), in standard deviations, of each
        finding from where the shape would have it (0 without a finding).
        """
        found = np.isfinite(points).all(axis=1)
        weights = np.ones(found.sum())
        far = np.zeros(len(points))
        for _ in range(_ROUNDS):
            if found.sum() >= 4:
                to_points = similarity(self.mean[found], points[found], weights)
            expected = transformed(to_points, self.mean)
            turn = np.kron(np.eye(len(points)), to_points[:3, :3])
            prior = turn @ self.covariance @ turn.T
            noise = np.full((len(points), 3, 3), np.eye(3) * _UNKNOWN_MM2)
            noise[found] = covariances[found] * np.maximum(1.0, far[found] / FAR_SQUARED)[:, None, None]
            offset = np.where(found[:, None], points - expected, 0.0)
            own = np.stack([prior[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] for k in range(len(points))])
            far = np.einsum("ki,kij,kj->k", offset, np.linalg.inv(own + covariances_or(covariances, found)), offset)
            total = prior.copy()
            for k in range(len(points)):
                total[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] += noise[k]
            gain = np.linalg.solve(total, prior).T
            weights = 1.0 / np.maximum(1.0, far[found] / FAR_SQUARED)
        result = expected + (gain @ offset.ravel()).reshape(-1, 3)
        posterior = prior - gain @ prior
        blocks = np.stack([posterior[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] for k in range(len(points))])
        return result, (blocks + blocks.transpose(0, 2, 1)) / 2, np.where(found, far, 0.0)


def covariances_or(covariances: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(K, 3, 3), the unit matrix where nothing was found."""
    return np.where(found[:, None, None], np.nan_to_num(covariances), np.eye(3))


def similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The (4, 4) turn, one scale and shift that lays source (n, 3) on target (n, 3) with least squares.

    Umeyama, IEEE TPAMI 13, 1991; never a mirroring. weights: (n,).
    """
    weights = np.ones(len(source)) if weights is None else weights
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    one, other = source - source_mean, target - target_mean
    u, values, vt = np.linalg.svd((other * weights[:, None]).T @ one)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = (values * signs).sum() / max((weights[:, None] * one**2).sum(), 1e-12)
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = target_mean - matrix[:3, :3] @ source_mean
    return matrix


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., 3) points through a (4, 4) affine map."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
