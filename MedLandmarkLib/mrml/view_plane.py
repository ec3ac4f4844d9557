"""What a slice view shows of a volume: one of its stored slices, or a cut through it in any direction."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..errors import ImageError
from ..image.limits import check_ijk_to_ras
from ..plane import Plane
from .calibration import ijk_to_ras
from .nodes import array_from_matrix

_SAME_SLICE = 0.1  # how far a view may leave a stored slice, in slices, from one corner of the image to another


def stored_slice_in_view(slice_node: Any, volume: Any) -> int | None:
    """The stored slice (from 0) that lies in the plane of a slice view; None where the view cuts across them.

    It may be a number outside the volume, where the view shows none of it. Raises ImageError for a bent volume, or one
    without extent.
    """
    view_to_ijk = np.linalg.inv(_ijk_to_ras(volume)) @ array_from_matrix(slice_node.GetSliceToRAS())
    normal, origin = np.cross(view_to_ijk[:3, 0], view_to_ijk[:3, 1]), view_to_ijk[:3, 3]
    if abs(normal[2]) < 1e-9 * np.linalg.norm(normal):
        return None
    columns, rows, _ = volume.GetImageData().GetDimensions()
    i, j = np.array(list(itertools.product((0, columns - 1), (0, rows - 1))), float).T
    k = origin[2] - ((i - origin[0]) * normal[0] + (j - origin[1]) * normal[1]) / normal[2]
    return round(float(k.mean())) if np.ptp(k) <= _SAME_SLICE else None


def cut_in_view(slice_node: Any, volume: Any) -> Plane | None:
    """The part of a slice view's plane that lies in its field of view and in the volume; None where there is none.

    Its pixels are square, as large as the volume's finest spacing, and lie as on screen: x to the right, y downwards.
    Raises ImageError for a bent volume or one without extent.
    """
    matrix, view_to_ras = _ijk_to_ras(volume), array_from_matrix(slice_node.GetSliceToRAS())
    crossing = _crossing(np.linalg.inv(view_to_ras) @ matrix, volume.GetImageData().GetDimensions())
    if len(crossing) == 0:
        return None
    half, pan = np.array(slice_node.GetFieldOfView()[:2]) / 2, np.array(slice_node.GetXYZOrigin()[:2])
    low = np.maximum(crossing.min(axis=0), pan - half)
    high = np.minimum(crossing.max(axis=0), pan + half)
    spacing = float(np.linalg.norm(matrix[:3, :3], axis=0).min())
    width, height = ((high - low) / spacing).tolist()
    if min(width, height) <= 0:
        return None
    view_from_plane = np.diag([spacing, -spacing, spacing, 1.0])
    view_from_plane[:2, 3] = low[0] + spacing / 2, high[1] - spacing / 2
    return Plane(view_to_ras @ view_from_plane, (math.ceil(width - 1e-6), math.ceil(height - 1e-6)))


def _ijk_to_ras(volume: Any) -> np.ndarray:
    """(4, 4), invertible. Raises ImageError for a bent volume, or one without extent (a spacing of 0)."""
    matrix = ijk_to_ras(volume)
    try:
        return check_ijk_to_ras(matrix)
    except ImageError as error:
        raise ImageError(f"Volume '{volume.GetName()}' cannot be cut: {error}") from error


def _crossing(view_from_ijk: np.ndarray, dimensions: tuple[int, int, int]) -> np.ndarray:
    """(n, 2): where the edges of the volume's box pierce the plane of the view, in mm of the view."""
    corners = np.array(list(itertools.product(*((-0.5, count - 0.5) for count in dimensions))))
    corners = corners @ view_from_ijk[:3, :3].T + view_from_ijk[:3, 3]
    found = []
    for first, second in itertools.combinations(range(8), 2):
        if (first ^ second).bit_count() != 1:  # an edge joins corners that differ in one coordinate
            continue
        start, end = corners[first], corners[second]
        if start[2] != end[2] and min(start[2], end[2]) <= 0 <= max(start[2], end[2]):
            found.append((start + (end - start) * start[2] / (start[2] - end[2]))[:2])
    return np.array(found)
