"""Planes: 2D sampling grids placed in patient space. The detector sees nothing else.

A radiograph is one plane, a frame of a cine is one plane at one time, and a stored slice of a volume is one plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import ImageError
from .image import Image


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


@dataclass(frozen=True)
class PlanePicture:
    """What a plane shows: picture uint8 (rows, columns, 3) RGB of one frame and, of a stored slice, its index."""

    plane: Plane
    picture: np.ndarray
    frame: int
    slice_index: int

    def ijk_from_plane(self, plane_xy: np.ndarray) -> np.ndarray:
        """(..., 2) plane_xy → (..., 3) continuous ijk of the image: the stored slice is the plane, pixel by pixel."""
        plane_xy = np.asarray(plane_xy, float)
        k = np.full((*plane_xy.shape[:-1], 1), float(self.slice_index))
        return np.concatenate((plane_xy, k), axis=-1)


def stored_plane(image: Image, frame: int = 0, slice_index: int | None = None) -> PlanePicture:
    """The plane of one stored slice of an image, as it would be shown.

    Raises ImageError where the frame or the slice does not exist, or where a volume's slice is not named.
    """
    columns, rows, slices = image.size
    if not 0 <= frame < image.frame_count:
        raise ImageError(f"There is no frame {frame}: {_name(image)} has frames 0 to {image.frame_count - 1}.")
    if slice_index is None:
        if slices > 1:
            raise ImageError(f"{_name(image)} is a volume of {slices} slices; name one with --slice 0 to {slices - 1}.")
        slice_index = 0
    if not 0 <= slice_index < slices:
        raise ImageError(f"There is no slice {slice_index}: {_name(image)} has slices 0 to {slices - 1}.")
    plane_to_ras = np.array(image.ijk_to_ras, float)
    plane_to_ras[:3, 3] += slice_index * plane_to_ras[:3, 2]
    plane = Plane(plane_to_ras, (columns, rows))
    return PlanePicture(plane, image.display_rgb(frame, slice_index), frame, slice_index)


def _name(image: Image) -> str:
    return image.path.name if image.path else "the image"
