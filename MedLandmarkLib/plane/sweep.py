"""Sweeps: many planes side by side, in one, two or three directions of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .placing import ANATOMICAL_AXES, plane_about
from .plane import Plane

VOLUME_SETTING = "volume"  # among the settings of a detection
DIRECTIONS = tuple(ANATOMICAL_AXES)  # sagittal, coronal, axial: planes across the first, second and third axis


def sweep(
    to_ras: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    pixel_mm: float,
    step_mm: float,
    directions: Sequence[str] = DIRECTIONS,
    size_wh: tuple[int, int] | None = None,
) -> list[Plane]:
    """Planes that cover the box from `low` to `high` of a frame, one direction after the other, at most step_mm apart.

    to_ras: (4, 4), a turn, one scale and shift; low, high: (3,), and pixel_mm and step_mm are lengths in that frame.
    size_wh: of each plane, px; by default as large as the box.
    """
    planes = []
    centre = (np.asarray(low, float) + high) / 2
    for direction in directions:
        normal = DIRECTIONS.index(direction)
        length = float(high[normal] - low[normal])
        count = max(1, math.ceil(length / step_mm - 1e-6))
        for number in range(count):
            middle = centre.copy()
            middle[normal] = low[normal] + (number + 0.5) * length / count
            wh = size_wh or tuple(
                max(2, math.ceil(float(np.abs(axis) @ (np.asarray(high) - low)) / pixel_mm))
                for axis in np.array(ANATOMICAL_AXES[direction])
            )
            planes.append(turned_plane(to_ras, middle, direction, pixel_mm, wh))
    return planes


def turned_plane(
    to_ras: np.ndarray, centre: np.ndarray, direction: str, pixel_mm: float, size_wh: tuple[int, int]
) -> Plane:
    """The plane in one of the three directions of a frame, about a point (3,) of that frame."""
    x, y = (to_ras[:3, :3] @ np.array(axis) for axis in ANATOMICAL_AXES[direction])
    scale = float(np.linalg.norm(x))
    return plane_about(to_ras[:3, :3] @ centre + to_ras[:3, 3], x, y, pixel_mm * scale, size_wh)
