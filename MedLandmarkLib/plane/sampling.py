"""Values of a volume in a plane: a trilinear gather, with as many samples a pixel as the plane's shrinking asks for.

Only the voxels that a plane meets are read, so that a plane takes the same time in a small and in a large volume, and
nothing of the volume is copied. Everything happens in pixels of the image: there any geometry, also a sheared or
left-handed one, is an affine map.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

# Samples computed at a time: about 30 MB of indices and weights.
_SAMPLES_AT_A_TIME = 1 << 18
# Of one pixel along one side: where a pixel holds more voxels than that, every second or third of them counts.
_MOST_SAMPLES = 24
_SAME = 1e-6  # a step this little longer than one voxel does not shrink


def sample_plane(
    values: np.ndarray, ijk_from_plane: np.ndarray, size_wh: tuple[int, int], thickness: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each pixel of a plane, and whether the pixel's centre lies inside the volume.

    values: (slices, rows, columns, channels). ijk_from_plane: (4, 4), from (plane x, plane y, steps through the plane)
    to continuous ijk. thickness: of the slab, in steps through the plane.
    Along each side of a pixel, and through the slab, samples are taken at most one voxel apart and averaged: a box
    filter as wide as the pixel, before the plane's coarser grid. Returns (rows, columns, channels) float32 (float64
    where the volume's values need it), 0 outside, and (rows, columns) bool; what is no number is not inside.
    """
    columns, rows = size_wh
    found = np.zeros((rows * columns, values.shape[-1]), _kind_for(values))
    is_inside = np.ones((rows, columns), bool)
    x, y = np.arange(columns, dtype=np.float64), np.arange(rows, dtype=np.float64)[:, None]
    centres = []
    for axis, count in enumerate(values.shape[2::-1]):
        along = ijk_from_plane[axis, 0] * x + ijk_from_plane[axis, 1] * y + ijk_from_plane[axis, 3]
        is_inside &= (along >= -0.5) & (along <= count - 0.5)
        centres.append(along)
    wanted = np.flatnonzero(is_inside)
    centres = [along.reshape(-1)[wanted, None] for along in centres]
    offsets = _offsets(ijk_from_plane, thickness)  # (m, 3)
    step = max(1, _SAMPLES_AT_A_TIME // len(offsets))
    for first in range(0, len(wanted), step):
        part = slice(first, first + step)
        samples = trilinear(values, [along[part] + offsets[:, axis] for axis, along in enumerate(centres)])
        found[wanted[part]] = samples.mean(axis=1)  # (n, m, channels)
    found = found.reshape(rows, columns, -1)
    is_inside &= np.isfinite(found).all(axis=-1)
    found[~is_inside] = 0.0
    return found, is_inside


def trilinear(values: np.ndarray, ijk: list[np.ndarray]) -> np.ndarray:
    """Values (k, j, i, channels) at continuous positions: three arrays of one shape (...) → (..., channels).

    Beyond the outermost voxel centres the nearest value holds.
    """
    kind = _kind_for(values)
    lows, shares, steps = [], [], []
    stride = 1
    for positions, count in zip(ijk, values.shape[2::-1], strict=True):
        positions = np.clip(positions, 0.0, count - 1.0)
        low = np.minimum(positions.astype(np.int64), max(count - 2, 0))
        lows.append(low * stride)
        shares.append((positions - low).astype(kind)[..., None])
        steps.append(stride if count > 1 else 0)
        stride *= count
    flat = values.reshape(-1, values.shape[-1])
    base = lows[0] + lows[1] + lows[2]

    def along_i(offset: int) -> np.ndarray:
        low = flat[base + offset].astype(kind)
        return low + shares[0] * (flat[base + (offset + steps[0])].astype(kind) - low)

    def along_j(offset: int) -> np.ndarray:
        low = along_i(offset)
        return low + shares[1] * (along_i(offset + steps[1]) - low)

    low = along_j(0)
    return low + shares[2] * (along_j(steps[2]) - low)


def _kind_for(values: np.ndarray) -> type[np.floating]:
    """float32 holds 16-bit numbers exactly; wider ones need float64."""
    return np.float64 if values.dtype.itemsize > 2 and values.dtype != np.float32 else np.float32


def _offsets(ijk_from_plane: np.ndarray, thickness: float) -> np.ndarray:
    """Where in a pixel, and through the slab, samples are taken: (m, 3) ijk from the pixel's centre."""
    linear = ijk_from_plane[:3, :3]
    shares = (_centres(linear[:, 0], 1.0), _centres(linear[:, 1], 1.0), _centres(linear[:, 2], thickness))
    return np.array(list(itertools.product(*shares))) @ linear.T


def _centres(step_ijk: np.ndarray, length: float) -> np.ndarray:
    """The middles of equal parts of `length` steps about 0, each part at most one voxel long."""
    count = max(1, math.ceil(float(np.abs(step_ijk).max()) * length - _SAME))
    count = min(count, _MOST_SAMPLES)
    return length * ((np.arange(count) + 0.5) / count - 0.5)
