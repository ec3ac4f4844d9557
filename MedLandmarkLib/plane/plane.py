"""Planes: 2D sampling grids placed in patient space. The detector sees nothing else.

A radiograph is one plane, a frame of a cine is one plane at one time, and a stored slice of a volume is one plane. So
is any cut through a volume: its picture is sampled.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from ..image.limits import check_ijk_to_ras


@dataclass(frozen=True)
class Plane:
    """A grid of `size_wh` (columns, rows) pixels in patient space.

    plane_to_ras: (4, 4) float64; its columns are one pixel to the right, one pixel down and one step through the plane
    (mm), and the centre of the first pixel. plane_xy is continuous, a pixel's centre at its integer.
    """

    plane_to_ras: np.ndarray
    size_wh: tuple[int, int]

    def ras_from_plane(self, plane_xy: np.ndarray) -> np.ndarray:
        """(..., 2) plane_xy → (..., 3) RAS mm."""
        plane_xy = np.asarray(plane_xy, float)
        return plane_xy @ self.plane_to_ras[:3, :2].T + self.plane_to_ras[:3, 3]

    def plane_from_ras(self, ras: np.ndarray) -> np.ndarray:
        """(..., 3) RAS mm → (..., 3): plane_xy, and how many steps through the plane the point lies off it."""
        offset = np.asarray(ras, float) - self.plane_to_ras[:3, 3]
        return offset @ np.linalg.inv(self.plane_to_ras[:3, :3]).T

    def to_fields(self) -> dict[str, list]:
        """As plain data: {"plane_to_ras": four rows of four numbers, "size_wh": two numbers}."""
        matrix = np.asarray(self.plane_to_ras, float)
        return {"plane_to_ras": matrix.tolist(), "size_wh": [int(side) for side in self.size_wh]}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Plane:
        """The plane that `to_fields` wrote. Raises ImageError where this is none."""
        try:
            columns, rows = (operator.index(side) for side in fields["size_wh"])
            return cls(check_ijk_to_ras(np.array(fields["plane_to_ras"], float)), (columns, rows))
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(f"This is no plane: {str(fields)[:80]} ({error!r}).") from error
