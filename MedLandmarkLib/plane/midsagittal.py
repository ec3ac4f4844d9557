"""The plane of left-right symmetry of a head, found in its volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..image import Image
from .sampling import trilinear

_SIDE = 56  # blocks along the longest side: symmetry is a coarse thing
_POINTS = 4000
_YAW_ROLL = np.radians(np.arange(-24.0, 25.0, 6.0))
# Below this a volume is not symmetrical about any upright plane.
LEAST_SYMMETRY = 0.5


@dataclass(frozen=True, eq=False)
class SymmetryPlane:
    """point, normal: (3,) RAS; the normal has unit length and points to the patient's right. sd_mm: of its place.

    symmetry: correlation of the volume with its mirror image there, -1..1.
    """

    point: np.ndarray
    normal: np.ndarray
    sd_mm: float
    symmetry: float


def find_midsagittal(image: Image, frame: int = 0) -> SymmetryPlane:
    """The plane, within 30 degrees of upright, about which the volume is most like its mirror image.

    The volume is averaged over blocks, all near planes are tried and the best bettered by shrinking steps.
    sd_mm is two thirds of a block: heads are not exactly symmetrical, and finer than that the answer depends on them.
    Raises ImageError where no plane gives a correlation of LEAST_SYMMETRY.
    """
    values, matrix, block_mm = _reduced(image, frame)
    weight = values.ravel() - values.min()
    if not weight.sum() > 0:
        raise ImageError("The volume has one value everywhere: it has no mid-sagittal plane.")
    rng = np.random.default_rng(0)
    taken = rng.choice(values.size, min(_POINTS, values.size), replace=False, p=weight / weight.sum())
    k, j, i = np.unravel_index(taken, values.shape[:3])
    points = np.stack((i, j, k), axis=1) @ matrix[:3, :3].T + matrix[:3, 3]
    own = values.ravel()[taken]
    centre = np.average(points, axis=0, weights=own - values.min() + 1e-9)
    to_ijk = np.linalg.inv(matrix)

    def symmetry(parameters: np.ndarray) -> float:
        normal = _normal(parameters)
        distance = (points - centre) @ normal - parameters[2]
        mirrored = (points - 2.0 * distance[:, None] * normal) @ to_ijk[:3, :3].T + to_ijk[:3, 3]
        inside = np.all((mirrored >= -0.5) & (mirrored <= np.array(values.shape[2::-1]) - 0.5), axis=1)
        if inside.mean() < 0.5:
            return -1.0
        found = trilinear(values, list(mirrored[inside].T))[:, 0]
        correlation = np.corrcoef(found, own[inside])[0, 1]
        return float(correlation) if np.isfinite(correlation) else -1.0

    shifts = np.arange(-4, 5) * 2.0 * block_mm
    starts = [np.array((yaw, roll, shift)) for yaw in _YAW_ROLL for roll in _YAW_ROLL for shift in shifts]
    best = max(starts, key=symmetry)
    step = np.array((_YAW_ROLL[1] - _YAW_ROLL[0], _YAW_ROLL[1] - _YAW_ROLL[0], 2.0 * block_mm)) / 2
    score = symmetry(best)
    for _ in range(6):  # steps shrink to a hundredth of a turn of the grid
        moved = True
        while moved:
            moved = False
            for axis in range(3):
                for sign in (-1.0, 1.0):
                    trial = best.copy()
                    trial[axis] += sign * step[axis]
                    if (value := symmetry(trial)) > score + 1e-6:
                        best, score, moved = trial, value, True
        step = step / 2
    if score < LEAST_SYMMETRY:
        raise ImageError(
            f"No mid-sagittal plane was found (best symmetry {score:.2f} below {LEAST_SYMMETRY}): the volume may be "
            "cut, or may not show a head."
        )
    normal = _normal(best)
    return SymmetryPlane(centre + best[2] * normal, normal, 2.0 / 3.0 * block_mm, score)


def _normal(parameters: np.ndarray) -> np.ndarray:
    """(3,) RAS, turned from the patient's right by yaw (about the long axis) and roll (about the line of sight)."""
    yaw, roll = parameters[:2]
    return np.array((np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)))


def _reduced(image: Image, frame: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The volume as displayed averaged over blocks (k, j, i, 1) float32, its ijk_to_ras, and a block's length in mm."""
    spacing = np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0)
    length = float((spacing * image.size).max()) / _SIDE
    block = np.minimum(np.maximum(1, np.rint(length / spacing)).astype(int), image.size)
    count = np.array(image.size) // block
    values = np.empty((count[2], count[1], count[0], 1), np.float32)
    for number in range(count[2]):
        slab = image.pixels[frame, number * block[2] : (number + 1) * block[2]]
        slab = image.display.to_uint8(slab[:, : count[1] * block[1], : count[0] * block[0]]).mean(axis=(0, 3))
        values[number, ..., 0] = slab.reshape(count[1], block[1], count[0], block[0]).mean(axis=(1, 3))
    step = np.diag([*block.astype(float), 1.0])
    step[:3, 3] = (block - 1) / 2
    return values, image.ijk_to_ras @ step, length
