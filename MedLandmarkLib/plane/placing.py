"""Where planes are put: by three points, about a point, or by number along an anatomical axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..errors import ImageError
from ..image import Image
from .plane import Plane

# The two in-plane directions (RAS) of each anatomical plane, as radiology shows it: the patient's left on the right of
# axial and coronal pictures, the front on the left of sagittal ones, the top of the head upwards.
ANATOMICAL_AXES = {
    "sagittal": ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
    "coronal": ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "axial": ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
}
_NORMALS = {"sagittal": 0, "coronal": 1, "axial": 2}  # the RAS axis through the plane


def plane_about(
    centre_ras: Sequence[float] | np.ndarray,
    x_direction: Sequence[float] | np.ndarray,
    y_direction: Sequence[float] | np.ndarray,
    pixel_mm: float,
    size_wh: tuple[int, int],
) -> Plane:
    """The plane whose middle lies at a point, with rows along x_direction and columns as near y_direction as can be.

    Directions need not have unit length. The step through the plane is one pixel long, along x × y.
    Raises ImageError where the directions span no plane or the pixel has no size.
    """
    if not (math.isfinite(pixel_mm) and pixel_mm > 0):
        raise ImageError(f"A pixel of {pixel_mm} mm was asked for; it must be above 0.")
    x, y = np.asarray(x_direction, float), np.asarray(y_direction, float)
    x = x / max(float(np.linalg.norm(x)), 1e-300)
    y = y - x * (x @ y)
    length = float(np.linalg.norm(y))
    if not np.all(np.isfinite((x, y))) or length < 1e-9 or np.linalg.norm(x) < 0.5:
        raise ImageError(f"The directions {tuple(x_direction)} and {tuple(y_direction)} span no plane.")
    y = y / length
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack((x, y, np.cross(x, y)), axis=1) * pixel_mm
    matrix[:3, 3] = np.asarray(centre_ras, float) - matrix[:3, :2] @ ((np.array(size_wh) - 1.0) / 2.0)
    return Plane(matrix, size_wh)


def plane_through_points(
    points_ras: Sequence[Sequence[float]] | np.ndarray, pixel_mm: float, size_wh: tuple[int, int]
) -> Plane:
    """The plane through three points (RAS, mm), their centre in its middle.

    Rows run from the first point towards the second; the third lies below that line. Raises ImageError where the points
    lie (nearly) on one line.
    """
    points = np.asarray(points_ras, float)
    if points.shape != (3, 3) or not np.all(np.isfinite(points)):
        raise ImageError(f"A plane needs three points of three numbers (RAS, mm), not {points_ras}.")
    along, across = points[1] - points[0], points[2] - points[0]
    lengths = np.linalg.norm(along), np.linalg.norm(across)
    if min(lengths) == 0 or np.linalg.norm(np.cross(along, across)) < 1e-6 * lengths[0] * lengths[1]:
        raise ImageError(f"The three points lie on one line and span no plane: {points.tolist()}.")
    return plane_about(points.mean(axis=0), along, across, pixel_mm, size_wh)


def anatomical_plane(image: Image, axis: str, index: int, pixel_mm: float | None = None) -> Plane:
    """Plane number `index` from 0 along an anatomical axis, over the whole volume, however it lies in storage.

    axis: "sagittal" (counted from the left), "coronal" (from the back) or "axial" (from below). Planes are one pixel
    apart; pixel_mm is the finest spacing of the volume unless given. Raises ImageError for a number outside.
    """
    if axis not in ANATOMICAL_AXES:
        raise ImageError(f"'{axis}' is no anatomical axis: give {', '.join(ANATOMICAL_AXES)}.")
    pixel_mm = pixel_mm or finest_spacing(image)
    low, high = box_ras(image)
    normal = _NORMALS[axis]
    count = max(1, math.ceil((high[normal] - low[normal]) / pixel_mm - 1e-6))
    if not 0 <= index < count:
        raise ImageError(
            f"There is no {axis} plane {index}: the volume has planes 0 to {count - 1} of {pixel_mm:g} mm."
        )
    x, y = (np.array(direction) for direction in ANATOMICAL_AXES[axis])
    centre = (low + high) / 2
    centre[normal] = low[normal] + (index + 0.5) * pixel_mm
    size = tuple(max(1, math.ceil(float(np.abs(direction) @ (high - low)) / pixel_mm - 1e-6)) for direction in (x, y))
    return plane_about(centre, x, y, pixel_mm, size)


def finest_spacing(image: Image) -> float:
    """The shortest step between neighbouring pixels, mm."""
    return float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).min())


def box_ras(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest (3,) RAS of the volume, pixels' extent included."""
    return box_in(image, np.eye(4))


def box_in(image: Image, to_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The volume's box in another frame that to_ras (4, 4) brings to RAS."""
    corners = np.array(list(itertools.product(*((-0.5, side - 0.5) for side in image.size))))
    matrix = np.linalg.inv(to_ras) @ image.ijk_to_ras
    placed = corners @ matrix[:3, :3].T + matrix[:3, 3]
    return placed.min(axis=0), placed.max(axis=0)
