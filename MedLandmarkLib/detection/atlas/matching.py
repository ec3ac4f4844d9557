"""Where the surroundings of a landmark are found again: normalised correlation of small patches over all shifts.

The patches of the volume are cut through the registration that was found, so that they are turned, scaled and sheared
as the template's are. How sharp the best shift is tells how sure it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import zoom
from scipy.signal import fftconvolve

Sampler = Callable[[np.ndarray, int, float], np.ndarray]  # (3,) mm, radius, spacing -> (z, y, x) cube about the point

# Independent grey values in a patch, as far as two animals or two people agree in them.
_INDEPENDENT = 40.0
_LEAST_DEVIATION = 0.3  # voxels: nothing is known better
_FINER = 3  # shifts to a point, interpolated


@dataclass(frozen=True)
class PatchSize:
    """radius: of a patch; reach: how far it is shifted, both in points; spacing_mm between them."""

    radius: int
    reach: int
    spacing_mm: float


@dataclass(frozen=True, eq=False)
class Match:
    """offset: (3,) mm from where it was looked for, covariance (3, 3) mm², similarity: of the best shift, -1..1."""

    offset: np.ndarray
    covariance: np.ndarray
    similarity: float


def match(reference: Sampler, searched: Sampler, point: np.ndarray, about: np.ndarray, size: PatchSize) -> Match | None:
    """Where the patch of `reference` at `point` is found in `searched` around `about`, (3,) mm each.

    None where the patch or the surroundings have one grey value. Each shift is as likely as its correlation makes it:
    for values that differ by normal noise the likelihood is (1 - correlation²) ** (-n / 2), n of them independent.
    """
    patch = reference(point, size.radius, size.spacing_mm)
    area = searched(about, size.radius + size.reach, size.spacing_mm)
    found = correlation_map(patch, area)
    if found is None:
        return None
    best = float(found.max())
    between = zoom(found, (_FINER * (len(found) - 1) + 1) / len(found), order=3, mode="nearest")
    likelihood = -0.5 * _INDEPENDENT * np.log(1.0 - np.clip(between, 0.0, 0.9999) ** 2)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    shifts = _shifts(size.reach * _FINER) / _FINER  # (n, 3) x y z
    mean = weights.ravel() @ shifts
    spread = shifts - mean
    covariance = (weights.ravel()[:, None] * spread).T @ spread + np.eye(3) * _LEAST_DEVIATION**2
    return Match(mean * size.spacing_mm, covariance * size.spacing_mm**2, best)


def correlation_map(patch: np.ndarray, area: np.ndarray) -> np.ndarray | None:
    """The correlation of a patch (p, p, p) with each place in an area (a, a, a): (a - p + 1,) * 3, -1..1.

    Values count less towards the patch's edge. None where there is nothing to compare.
    """
    weights = _window(patch.shape[0])
    patch = patch - (weights * patch).sum()
    norm = float(np.sqrt((weights * patch**2).sum()))
    area = area.astype(np.float64) - area.mean()  # keeps the squares small
    if norm < 1e-3 or area.std() < 1e-3:
        return None
    flipped = weights[::-1, ::-1, ::-1]
    mean = fftconvolve(area, flipped, mode="valid")
    square = fftconvolve(area**2, flipped, mode="valid")
    product = fftconvolve(area, (weights * patch)[::-1, ::-1, ::-1], mode="valid")
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-6))
    return product / (norm * deviation)


@lru_cache(maxsize=8)
def _window(side: int) -> np.ndarray:
    """A Gaussian of standard deviation half the radius and a little more; its sum is 1."""
    axis = np.arange(side) - (side - 1) / 2
    line = np.exp(-0.5 * (axis / (0.55 * (side - 1) / 2)) ** 2)
    cube = line[:, None, None] * line[None, :, None] * line[None, None, :]
    return cube / cube.sum()


@lru_cache(maxsize=8)
def _shifts(reach: int) -> np.ndarray:
    """(n, 3) x y z, in the order of a raveled (z, y, x) map."""
    axis = np.arange(-reach, reach + 1)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack((x, y, z), axis=-1).reshape(-1, 3).astype(float)
