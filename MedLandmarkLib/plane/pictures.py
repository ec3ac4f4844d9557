"""Pictures of planes: a stored slice as it is, or a cut through the image in any direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from ..image import Image
from ..image.display import Display
from ..image.limits import check_ijk_to_ras, check_size
from .plane import Plane
from .sampling import sample_plane

PLANE_SETTING = "plane"  # among the settings of a detection


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
    shows_image: False where the plane lies outside the image, so that all of it is black.
    """

    plane: Plane
    picture: np.ndarray
    frame: int
    ijk_from_plane_matrix: np.ndarray
    shows_image: bool = True

    def plane_from_ijk(self, ijk: np.ndarray) -> np.ndarray:
        """(..., 3) ijk → (..., 2) plane_xy, dropped onto the plane."""
        matrix = self.ijk_from_plane_matrix
        offset = np.asarray(ijk, float) - matrix[:3, 3]
        return (offset @ np.linalg.inv(matrix[:3, :3]).T)[..., :2]

    def ijk_from_plane(self, plane_xy: np.ndarray) -> np.ndarray:
        """(..., 2) plane_xy → (..., 3) continuous ijk of the image."""
        matrix = self.ijk_from_plane_matrix
        return np.asarray(plane_xy, float) @ matrix[:3, :2].T + matrix[:3, 3]


def oblique_plane(
    image: Image, plane: Plane, frame: int = 0, *, thickness: float = 0.0, display: Display | None = None
) -> SampledPicture:
    """The image as it is in a plane that cuts through it in any direction.

    Each pixel is interpolated linearly between the eight stored values around it; where the plane's pixels are larger
    than the image's it is the mean over the pixel's area (`sampling`). thickness: of a slab about the plane whose mean
    is shown, in steps through the plane (the length of the matrix' third column). The grey window is `display`, else
    the whole image's. What lies outside the image (further than half a pixel from its outermost centres) is black.
    Raises ImageError where the frame does not exist, or the plane has no usable size or no extent in space.
    """
    values, is_inside, matrix = plane_values(image, plane, frame, thickness=thickness)
    picture = np.where(is_inside[..., None], (display or image.display).to_uint8(values), np.uint8(0))
    picture = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return SampledPicture(plane, picture, frame, matrix, bool(is_inside.any()))


def plane_values(
    image: Image, plane: Plane, frame: int = 0, *, thickness: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (rows, columns, channels) of the image's own kind in a plane, which lie inside it, and ijk_from_plane.

    thickness and errors as in `oblique_plane`.
    """
    _require_frame(image, frame)
    try:
        check_size(plane.size_wh, bytes_per_pixel=3)
        matrix = np.linalg.inv(image.ijk_to_ras) @ check_ijk_to_ras(plane.plane_to_ras)
    except ImageError as error:
        raise ImageError(f"The plane through {_name(image)} cannot be sampled: {error}") from error
    if not (np.isfinite(thickness) and thickness >= 0):
        raise ImageError(f"The thickness of the plane is {thickness}; it must be 0 or more.")
    pixels = image.pixels[frame]
    values, is_inside = sample_plane(pixels, matrix, plane.size_wh, thickness)
    return (np.rint(values) if pixels.dtype.kind in "iu" else values).astype(pixels.dtype), is_inside, matrix


def window_of(values: np.ndarray, is_inside: np.ndarray) -> Display:
    """The automatic grey window of one plane, from what lies inside the image. Arguments as of `plane_values`."""
    return Display.for_pixels(values[is_inside] if is_inside.any() else values)


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
    _require_frame(image, frame)
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


def _require_frame(image: Image, frame: int) -> None:
    if not 0 <= frame < image.frame_count:
        raise ImageError(f"There is no frame {frame}: {_name(image)} has frames 0 to {image.frame_count - 1}.")


def _name(image: Image) -> str:
    return image.path.name if image.path else "the image"
