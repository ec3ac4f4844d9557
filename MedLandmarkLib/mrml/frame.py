"""Where the pixels of an image lie in the coordinates of the markups node that marks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from .calibration import ijk_to_local, ijk_to_ras
from .nodes import to_parent_matrix

_SAME_MM = 1e-6  # relative above 1 mm; control points are stored as double, in files too


@dataclass(frozen=True, eq=False)
class PointFrame:
    """ijk_to_local: (4, 4), from continuous (column, row, slice) to a markups node's own coordinates, mm.

    is_flat: whether the image has one slice only, so that every point belongs at k = 0.
    """

    ijk_to_local: np.ndarray
    is_flat: bool

    def local_from_ijk(self, ijk: Any) -> np.ndarray:
        """(..., 3) → (..., 3)."""
        return np.asarray(ijk, float) @ self.ijk_to_local[:3, :3].T + self.ijk_to_local[:3, 3]

    def ijk_from_local(self, local: Any) -> np.ndarray:
        """(..., 3) → (..., 3), on the image plane where the image has one slice only."""
        offset = np.asarray(local, float) - self.ijk_to_local[:3, 3]
        ijk = offset @ np.linalg.inv(self.ijk_to_local[:3, :3]).T
        if self.is_flat:
            ijk[..., 2] = 0.0
        return ijk

    def is_same(self, other: PointFrame | None) -> bool:
        return other is not None and is_same_place(self.ijk_to_local, other.ijk_to_local)


def point_frame(points: Any, volume: Any) -> PointFrame:
    """The frame of a markups node on a volume.

    Where both hang under the same transform it cancels out and may be of any kind; otherwise the transforms must be
    linear, and ImageError is raised where one is not.
    """
    is_flat = volume.GetImageData() is not None and volume.GetImageData().GetDimensions()[2] == 1
    if (points.GetTransformNodeID() or None) == (volume.GetTransformNodeID() or None):
        return PointFrame(ijk_to_local(volume), is_flat)
    try:
        return PointFrame(np.linalg.inv(to_parent_matrix(points)) @ ijk_to_ras(volume), is_flat)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise ImageError(
            f"The points of '{points.GetName()}' cannot be placed on '{volume.GetName()}': {error}."
        ) from error


def is_same_place(first: Any, second: Any) -> bool:
    """Whether two points, or two matrices, are equal but for rounding."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    return bool(np.all(np.abs(first - second) <= _SAME_MM * np.maximum(1.0, np.abs(first))))
