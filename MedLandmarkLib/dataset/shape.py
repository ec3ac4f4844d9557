"""How the landmarks of each reading lie to each other, against the dataset's own mean shape.

Shapes are compared up to place, size and turn (Procrustes; Umeyama, IEEE PAMI 13(4), 1991), by fits in which a point
that is far off has little weight (the weights of a t-distribution: Lange et al., Robust statistical modeling using the
t distribution, JASA 84, 1989), so that one wrong point does not bend the rest. A mirrored shape is another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FREEDOM = 3.0  # of the t-distribution: low, so that a wrong point hardly counts
_FIT_ROUNDS = 8
_MEAN_ROUNDS = 6
_MOST_STARTS = 12  # readings that are tried as the first mean
_FEWEST_POINTS = 3
# A reading has a part in the mean shape when its score is not above this, by the score of the better quarter.
_ALIKE_SCORE, _ALIKE_FACTOR = 0.3, 4.0
# No landmark is taken to be steadier than this part of the shape's size (derived points can agree exactly), nor than
# this part of the middle spread: else two points of few would be laid on each other and the rest be called loose.
_LEAST_SPREAD = 0.004
_LEAST_OF_MIDDLE = 0.6
# Median distance from the centre of a Gaussian of unit variance along each axis, in 2 and 3 dimensions.
_MEDIAN_RADIUS = {2: 1.1774, 3: 1.5382}


@dataclass(frozen=True)
class ShapeFit:
    """N readings laid on the mean shape.

    residual: (N, K), distance of each landmark from its mean place, in its own spreads; NaN where it was not read.
    score: (N,), mean of log(1 + residual² / freedom): low where a shape is as the others, hardly raised by one point.
    linear: (N, D, D), what turns, scales and perhaps mirrors a reading (column vectors) on its way to the mean shape.
    """

    residual: np.ndarray
    score: np.ndarray
    linear: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """(N,): how large each reading is, in the unit of its points."""
        return 1.0 / np.abs(np.linalg.det(self.linear)) ** (1.0 / self.linear.shape[-1])


@dataclass(frozen=True)
class MeanShape:
    """Where each landmark lies in the middle of all readings, and how much it varies.

    mean: (K, D), of root mean square size 1 about its centre; spread: (K,), standard deviation along an axis.
    """

    mean: np.ndarray
    spread: np.ndarray

    def fit(self, points: np.ndarray, *, mirrored: bool = False) -> ShapeFit:
        """Lay readings (N, K, D), NaN where absent, on the mean shape; `mirrored`: each after a reflection."""
        weights = np.isfinite(points).all(axis=-1).astype(float)
        residual = np.full(weights.shape, np.nan)
        for _ in range(_FIT_ROUNDS):
            aligned, linear = _aligned(points, self.mean, weights, mirrored)
            residual = np.linalg.norm(aligned - self.mean, axis=-1) / self.spread
            dimension = points.shape[-1]
            weights = np.nan_to_num((_FREEDOM + dimension) / (_FREEDOM + residual**2) / self.spread**2)
        score = np.log1p(np.nan_to_num(residual) ** 2 / _FREEDOM).sum(axis=1)
        return ShapeFit(residual, score / np.maximum(np.isfinite(residual).sum(axis=1), 1), linear)


def mean_shape(points: np.ndarray, interchangeable: Sequence[tuple[int, int]] = ()) -> tuple[MeanShape, np.ndarray]:
    """The mean shape of readings (N, K, D), and the readings with interchangeable landmarks in one order.

    points: NaN where a landmark was not read. interchangeable: pairs that only their place tells apart; within each
    reading they are put in the order that fits the others.
    """
    points = points.copy()
    shape = _first_shape(points)
    for _ in range(_MEAN_ROUNDS):
        for one, other in interchangeable:
            exchanged = swapped(points, one, other)
            is_better = shape.fit(exchanged).score < shape.fit(points).score
            points = np.where(is_better[:, None, None], exchanged, points)
        shape = _updated(shape, points)
    return shape, points


def swapped(points: np.ndarray, one: int, other: int) -> np.ndarray:
    """Readings (N, K, D) with two landmarks exchanged."""
    exchanged = points.copy()
    exchanged[:, [one, other]] = points[:, [other, one]]
    return exchanged


def _first_shape(points: np.ndarray) -> MeanShape:
    """That of the reading which the others are most alike to, among those with the most landmarks."""
    counts = np.isfinite(points).all(axis=-1).sum(axis=1)
    complete = np.flatnonzero(counts == counts.max())
    starts = complete[np.linspace(0, len(complete) - 1, min(len(complete), _MOST_STARTS)).astype(int)]
    shapes = []
    for start in starts:
        mean, _ = _normalised(points[start])
        shapes.append(_updated(MeanShape(mean, np.full(len(mean), 0.1)), points))
    return min(shapes, key=lambda shape: float(np.quantile(shape.fit(points).score, 0.4)))


def _updated(shape: MeanShape, points: np.ndarray) -> MeanShape:
    """The middle of the readings once they are laid on `shape`; a landmark that few have keeps its place."""
    fit = shape.fit(points)
    weights = np.nan_to_num(1.0 / (_FREEDOM + fit.residual**2) / shape.spread**2)
    aligned, _ = _aligned(points, shape.mean, weights, False)
    # readings of another shape (mirrored ones, say) have no part in the mean, as long as they are not the most
    is_alike = fit.score <= _ALIKE_SCORE + _ALIKE_FACTOR * np.quantile(fit.score, 0.25)
    is_read = np.isfinite(aligned).all(axis=-1)
    aligned[~is_alike | (is_read.sum(axis=1) < _FEWEST_POINTS)] = np.nan
    is_read = np.isfinite(aligned).all(axis=-1)
    middle = np.array([np.nanmedian(aligned[:, k], axis=0) if is_read[:, k].any() else shape.mean[k]
                       for k in range(len(shape.mean))])  # fmt: skip
    middle = np.where(np.isfinite(middle), middle, shape.mean)
    mean, size = _normalised(middle)
    distance = np.linalg.norm(aligned - middle, axis=-1) / size
    spread = np.array([np.nanmedian(column) if np.isfinite(column).any() else 0.1 for column in distance.T])
    spread /= _MEDIAN_RADIUS[points.shape[-1]]
    return MeanShape(mean, np.maximum(spread, max(_LEAST_SPREAD, _LEAST_OF_MIDDLE * float(np.median(spread)))))


def _normalised(mean: np.ndarray) -> tuple[np.ndarray, float]:
    """(K, D) about its centre with root mean square size 1, NaN replaced by the centre; and the size it had."""
    centred = np.nan_to_num(mean - np.nanmean(mean, axis=0))
    size = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    return centred / size, size


def _aligned(
    points: np.ndarray, mean: np.ndarray, weights: np.ndarray, mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Readings (N, K, D) brought onto `mean` (K, D) by the best similarity under `weights` (N, K), and its linear part.

    Umeyama 1991, equations 38 to 42, with the determinant asked for in place of +1.
    """
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    filled = np.nan_to_num(points)
    own_centre = np.einsum("nk,nkd->nd", share, filled)
    mean_centre = share @ mean
    own, wanted = filled - own_centre[:, None], mean[None] - mean_centre[:, None]
    u, singular, vt = np.linalg.svd(np.einsum("nk,nki,nkj->nij", share, wanted, own))
    signs = np.ones_like(singular)
    signs[:, -1] = np.sign(np.linalg.det(u) * np.linalg.det(vt)) * (-1.0 if mirrored else 1.0)
    variance = np.einsum("nk,nkd->n", share, own**2)
    scale = (singular * signs).sum(axis=1) / np.maximum(variance, 1e-300)
    linear = scale[:, None, None] * np.einsum("nij,nj,njk->nik", u, signs, vt)
    linear[~np.isfinite(linear).all(axis=(1, 2)) | (scale <= 0)] = np.eye(points.shape[-1])
    return np.einsum("nij,nkj->nki", linear, points - own_centre[:, None]) + mean_centre[:, None], linear
