"""Where landmarks lie to each other: the shapes that readers marked, and how far a picture's points are from them.

Shapes are compared up to place, size and turn (Procrustes; Goodall, J. Royal Statistical Society B 53(2), 1991) with a
Gaussian model of what is left (Cootes et al., Computer Vision and Image Understanding 61(1), 1995). A mirrored shape is
another shape. Points are complex numbers here, x + iy, so that a factor turns and scales at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .gaussian import LowRankGaussian

# Share of the shapes' variance that has directions of its own, and their largest number.
_EXPLAINED = 0.97
_MOST_COMPONENTS = 12
_PROCRUSTES_ROUNDS = 5
_FIT_ROUNDS = 8
# Degrees of freedom of the t-distribution whose weights keep a wrong point from bending the fit (Lange et al.,
# Robust statistical modeling using the t distribution, JASA 84, 1989, equation 6).
_FREEDOM = 2.0
# No point counts as farther than this from where the others put it, in spreads.
FARTHEST = 20.0
# Share of the points, the farthest, that a picture's distance leaves out: a few wrong ones say nothing of its kind.
_LEFT_OUT = 0.25


@dataclass(frozen=True)
class ShapeFit:
    """How a picture's points lie to the model.

    residual: (K,), how far each point lies from where the others put it, in spreads of the training shapes, at most
    FARTHEST. turn_deg: clockwise on the screen, -180..180; size: of the shape, in the unit of the points.
    """

    residual: np.ndarray
    turn_deg: float
    size: float

    @property
    def distance(self) -> float:
        """Root mean square of the smaller three quarters of the residuals: below 1 for a training shape."""
        kept = len(self.residual) - int(_LEFT_OUT * len(self.residual))
        return float(np.sqrt((np.sort(self.residual)[:kept] ** 2).mean()))


@dataclass(frozen=True)
class ShapeModel:
    """Training shapes of K points, each set to centre 0 and size 1 (root of the summed squares) in the mean's turn.

    gaussian: of the 2 K numbers (x of all points, then y). spread: (K,), root mean square distance of a training point
    from where the others put it, in that frame.
    """

    gaussian: LowRankGaussian
    spread: np.ndarray

    @classmethod
    def fit(cls, shapes_xy: np.ndarray) -> ShapeModel:
        """The model of complete shapes (N, K, 2), N at least 3, K at least 3."""
        shapes = _complex(np.asarray(shapes_xy, float))
        shapes = shapes - shapes.mean(axis=1, keepdims=True)
        mean = shapes[0] / np.linalg.norm(shapes[0])
        for _ in range(_PROCRUSTES_ROUNDS):
            aligned = shapes * ((shapes.conj() @ mean) / (np.abs(shapes) ** 2).sum(axis=1))[:, None]
            turn = aligned.mean(axis=0)
            mean = turn / np.linalg.norm(turn)
        # turned as the training shapes are on average, so that a turn of 0 is the usual one
        mean = mean * np.exp(1j * np.angle((shapes @ mean.conj() / np.linalg.norm(shapes, axis=1)).sum()))
        aligned = shapes * ((shapes.conj() @ mean) / (np.abs(shapes) ** 2).sum(axis=1))[:, None]
        flat = _flat(aligned)
        share = np.cumsum(np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False) ** 2)
        rank = int(np.searchsorted(share, _EXPLAINED * share[-1])) + 1
        model = cls(LowRankGaussian.fit(flat, min(rank, _MOST_COMPONENTS)), np.ones(len(mean)))
        residuals = np.stack([np.abs(model._leave_one_out(shape)[0]) for shape in shapes])
        return cls(model.gaussian, np.sqrt((residuals**2).mean(axis=0)).clip(1e-6))

    def compare(self, points_xy: np.ndarray) -> ShapeFit:
        """Points (K, 2), y down, of one picture, in any unit."""
        points = _complex(np.asarray(points_xy, float))
        away, factor = self._leave_one_out(points)
        residual = np.minimum(np.abs(away) / self.spread, FARTHEST)
        return ShapeFit(residual, math.degrees(float(np.angle(factor))), float(np.abs(factor)))

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {**self.gaussian.to_arrays(), "spread": self.spread.astype(np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ShapeModel:
        """What `to_arrays` wrote. Raises KeyError where an array is missing."""
        return cls(LowRankGaussian.from_arrays(arrays), np.asarray(arrays["spread"], float))

    def _leave_one_out(self, points: np.ndarray) -> tuple[np.ndarray, complex]:
        """(K,) complex: each point less where the others put it, in the model's frame; and the model's factor.

        Row k of every array below is the fit that does not see point k; the last row sees all of them.
        """
        count = len(points)
        seen = np.vstack([1.0 - np.eye(count), np.ones(count)])  # (K + 1, K)
        mean = _complex_of_flat(self.gaussian.mean)
        modes = _complex_of_flat(self.gaussian.components)  # (R, K)
        weight, shape = seen, np.broadcast_to(mean, seen.shape)
        tolerated = 2.0 * self.gaussian.noise
        for _ in range(_FIT_ROUNDS):
            factor, place = _similarity(shape, points, weight)
            framed = (points - place[:, None]) / factor[:, None]  # (K + 1, K)
            shape = mean + self._coefficients(framed - mean, modes, weight) @ modes
            squared = np.abs(framed - shape) ** 2
            # the scale adapts to how coarse the points are: that of the better half
            scale = np.maximum(tolerated, np.median(squared, axis=1, keepdims=True))
            weight = seen * (_FREEDOM + 2.0) / (_FREEDOM + 2.0 * squared / scale)
        return (framed - shape)[np.arange(count), np.arange(count)], complex(factor[-1])

    def _coefficients(self, away: np.ndarray, modes: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(K + 1, R): the likeliest coefficients of the modes, given weighted points and the modes' variances."""
        normal = np.einsum("fk,rk,sk->frs", weight, modes.conj(), modes).real
        normal = normal + np.diag(self.gaussian.noise / self.gaussian.variances)
        right = np.einsum("fk,rk,fk->fr", weight, modes.conj(), away).real
        return np.linalg.solve(normal, right[..., None])[..., 0]


def _similarity(shape: np.ndarray, points: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(factor, place), each (F,): factor · shape + place is nearest to `points`, weighted; shape, weight: (F, K)."""
    total = weight.sum(axis=1)
    shape_centre = (weight * shape).sum(axis=1) / total
    point_centre = (weight * points).sum(axis=1) / total
    centred = shape - shape_centre[:, None]
    cross = (weight * centred.conj() * (points - point_centre[:, None])).sum(axis=1)
    factor = cross / (weight * np.abs(centred) ** 2).sum(axis=1).clip(1e-12)
    # points all in one place have no size: keep what follows finite, and their size next to nothing
    factor = np.where(np.abs(factor) < 1e-9, 1e-9, factor)
    return factor, point_centre - factor * shape_centre


def _complex(points_xy: np.ndarray) -> np.ndarray:
    return points_xy[..., 0] + 1j * points_xy[..., 1]


def _flat(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.real, points.imag], axis=-1)


def _complex_of_flat(flat: np.ndarray) -> np.ndarray:
    half = flat.shape[-1] // 2
    return flat[..., :half] + 1j * flat[..., half:]
