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

from .errors import ImageError
from .image import Image
from .image.limits import check_ijk_to_ras, check_size

PLANE_SETTING = "plane"  # among the settings of a detection


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


@dataclass(frozen=True)
class PlanePicture:
    """What a plane shows: picture uint8 (rows, columns, 3) RGB of one frame and, of a stored slice, its index."""

    plane: Plane
    picture: np.ndarray
    frame: int
    slice_index: int

    def plane_from_ijk(self, ijk: np.ndarray) -> np.ndarray:
        """(..., 3) ijk → (..., 2) plane_xy, dropped onto the plane."""
        return np.asarray(ijk, float)[..., :2]

    def ijk_from_plane(self, plane_xy: np.ndarray) -> np.ndarray:
        """(..., 2) plane_xy → (..., 3) continuous ijk of the image: the stored slice is the plane, pixel by pixel."""
        plane_xy = np.asarray(plane_xy, float)
        k = np.full((*plane_xy.shape[:-1], 1), float(self.slice_index))
        return np.concatenate((plane_xy, k), axis=-1)


@dataclass(frozen=True)
class SampledPicture:
    """What a plane that cuts through an image shows: picture uint8 (rows, columns, 3) RGB of one frame, black outside.

    ijk_from_plane_matrix: (4, 4), from (plane x, plane y, steps through the plane) to continuous ijk of the image.
    """

    plane: Plane
    picture: np.ndarray
    frame: int
    ijk_from_plane_matrix: np.ndarray

    def plane_from_ijk(self, ijk: np.ndarray) -> np.ndarray:
        """(..., 3) ijk → (..., 2) plane_xy, dropped onto the plane."""
        matrix = self.ijk_from_plane_matrix
        offset = np.asarray(ijk, float) - matrix[:3, 3]
        return (offset @ np.linalg.inv(matrix[:3, :3]).T)[..., :2]

    def ijk_from_plane(self, plane_xy: np.ndarray) -> np.ndarray:
        """(..., 2) plane_xy → (..., 3) continuous ijk of the image."""
        matrix = self.ijk_from_plane_matrix
        return np.asarray(plane_xy, float) @ matrix[:3, :2].T + matrix[:3, 3]


def oblique_plane(image: Image, plane: Plane, frame: int = 0) -> SampledPicture:
    """The image as it is in a plane that cuts through it in any direction.

    Each pixel is interpolated linearly between the eight stored values around it, with the grey window of the whole
    image; what lies outside the image (further than half a pixel from its outermost centres) is black.
    Raises ImageError where the frame does not exist, or the plane has no usable size or no extent in space.
    """
    if not 0 <= frame < image.frame_count:
        raise ImageError(f"There is no frame {frame}: {_name(image)} has frames 0 to {image.frame_count - 1}.")
    try:
        check_size(plane.size_wh, bytes_per_pixel=3)
        matrix = np.linalg.inv(image.ijk_to_ras) @ check_ijk_to_ras(plane.plane_to_ras)
    except ImageError as error:
        raise ImageError(f"The plane through {_name(image)} cannot be sampled: {error}") from error
    values, is_inside = _sampled(image.pixels[frame], matrix, plane.size_wh)
    picture = np.where(is_inside[..., None], image.display.to_uint8(values), np.uint8(0))
    picture = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return SampledPicture(plane, picture, frame, matrix)


def _sampled(values: np.ndarray, ijk_from_plane: np.ndarray, size_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Values (slices, rows, columns, channels) at the plane's pixels, and which of these lie inside them.

    Everything happens in pixels of the image: there any geometry, also a sheared or left-handed one, is an affine map.
    """
    import SimpleITK as sitk

    volume = sitk.GetImageFromArray(values, isVector=True)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(ijk_from_plane[:3, :3].ravel().tolist())
    transform.SetTranslation(ijk_from_plane[:3, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize((*size_wh, 1))  # spacing 1, origin 0
    resampler.SetTransform(transform)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetOutputPixelType(sitk.sitkVectorFloat64)  # whole numbers would be cut off, not rounded
    cut = sitk.GetArrayFromImage(resampler.Execute(volume)).reshape(size_wh[1], size_wh[0], values.shape[-1])
    cut = (np.rint(cut) if values.dtype.kind in "iu" else cut).astype(values.dtype)
    x, y = np.arange(size_wh[0])[None, :], np.arange(size_wh[1])[:, None]
    is_inside = np.ones((size_wh[1], size_wh[0]), bool)
    for axis, count in enumerate(values.shape[2::-1]):
        along = ijk_from_plane[axis, 0] * x + ijk_from_plane[axis, 1] * y + ijk_from_plane[axis, 3]
        is_inside &= (along >= -0.5) & (along <= count - 0.5)
    return cut, is_inside


def plane_setting(image: Image, plane: Plane) -> dict[str, list]:
    """How a detection keeps its plane among its settings: in pixels of the image, which may be moved later."""
    return {
        "plane_to_ijk": (np.linalg.inv(image.ijk_to_ras) @ plane.plane_to_ras).tolist(),
        "size_wh": [*plane.size_wh],
    }


def picture_of(
    image: Image, settings: Mapping[str, Any], frame: int, slice_index: int
) -> PlanePicture | SampledPicture:
    """The picture in which a detection with these settings was made: its plane, else a stored slice. Raises ImageError.

    The detection of a plane may have been made where the image was elsewhere in space.
    """
    kept = settings.get(PLANE_SETTING)
    if kept is None:
        return stored_plane(image, frame, slice_index)
    try:
        in_space = image.ijk_to_ras @ np.array(kept["plane_to_ijk"], float)
        fields = {"plane_to_ras": in_space, "size_wh": kept["size_wh"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"The plane among the settings is damaged ({error!r}).") from error
    return oblique_plane(image, Plane.from_fields(fields), frame)


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
