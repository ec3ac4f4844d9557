"""From a point of a projection back into the volume: a ray, and how deep along it the point lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..image import Image
from .midsagittal import SymmetryPlane
from .projection import BONE_HU, Projection, attenuation_per_mm
from .sampling import trilinear

_REACH_MM = 1.0  # around the ray, what is taken along: a point of a radiograph is no finer


@dataclass(frozen=True, eq=False)
class RayPoint:
    """A point of a projection in patient space.

    point_ras: (3,). direction: (3,), unit length, along which the place is uncertain. depth_sd_mm: by how much.
    how: what the depth was taken from. depth_range_mm: (first, last) where the ray meets the volume, from the plane.
    """

    point_ras: np.ndarray
    direction: np.ndarray
    depth_sd_mm: float
    how: str
    depth_range_mm: tuple[float, float]


def point_on_ray(
    image: Image,
    projection: Projection,
    plane_xy: np.ndarray,
    midsagittal: SymmetryPlane | None = None,
    frame: int = 0,
) -> RayPoint:
    """Where along its ray a point of a projection lies.

    With `midsagittal` the point is known to lie on that plane: the ray is cut with it, and the uncertainty is the
    plane's own. Else the depth is taken from what the ray meets: in a maximum projection the place of the maximum; in a
    radiograph or a mean the middle of what casts the shadow, with the standard deviation of its spread over the depth,
    which for a paired structure, such as the two jaw angles, covers both of them. Raises ImageError where the ray
    misses the volume or runs along the plane.
    """
    origin, direction = projection.plane.ras_from_plane(plane_xy), projection.direction
    depths, weights = _shadow(image, projection, origin, direction, frame)
    extent = (float(depths[0]), float(depths[-1]))
    if midsagittal is not None:
        slope = float(direction @ midsagittal.normal)
        if abs(slope) < 0.2:
            raise ImageError("The projection is seen along the mid-sagittal plane: depths on it cannot be told apart.")
        depth = float((midsagittal.point - origin) @ midsagittal.normal) / slope
        return RayPoint(
            origin + depth * direction, direction, midsagittal.sd_mm / abs(slope), "on the mid-sagittal plane", extent
        )
    if weights.max() <= 0:
        depth, how = float(depths.mean()), "nothing along the ray stands out"
        spread = float(np.ptp(depths)) / np.sqrt(12.0)
    elif projection.kind == "maximum":
        depth, how = float(depths[int(np.argmax(weights))]), "at the maximum"
        near = weights > 0.9 * weights.max()
        spread = float(np.sqrt(np.average((depths[near] - depth) ** 2)))
    else:
        depth = float(np.average(depths, weights=weights))
        spread = float(np.sqrt(np.average((depths - depth) ** 2, weights=weights)))
        how = "in the middle of what casts the shadow"
    return RayPoint(origin + depth * direction, direction, max(spread, _step(depths)), how, extent)


def _shadow(
    image: Image, projection: Projection, origin: np.ndarray, direction: np.ndarray, frame: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depths (n,) mm from the plane inside the volume, and what each adds to the picture there (n,)."""
    step = float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).min())
    depths = np.arange(-projection.depth_mm / 2, projection.depth_mm / 2, step) + step / 2
    to_ijk = np.linalg.inv(image.ijk_to_ras)
    axes = projection.plane.plane_to_ras[:3, :2] / np.linalg.norm(projection.plane.plane_to_ras[:3, :2], axis=0)
    total = np.zeros(len(depths))
    ras = origin + depths[:, None] * direction
    ijk = ras @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    is_inside = np.all((ijk >= -0.5) & (ijk <= np.array(image.size) - 0.5), axis=1)
    if not is_inside.any():
        raise ImageError("The ray of this point does not meet the volume: its depth cannot be found.")
    for across in (np.zeros(3), *(_REACH_MM / 2 * sign * axis for axis in axes.T for sign in (-1.0, 1.0))):
        place = (ras + across) @ to_ijk[:3, :3].T + to_ijk[:3, 3]
        values = trilinear(image.pixels[frame], list(place.T)).mean(axis=-1)
        if projection.kind == "radiograph":
            values = np.where(values > BONE_HU, attenuation_per_mm(values) - attenuation_per_mm(np.array(0.0)), 0.0)
        else:
            values = values - float(values[is_inside].min())
        total += np.nan_to_num(values).clip(min=0.0)
    return depths[is_inside], total[is_inside]


def _step(depths: np.ndarray) -> float:
    return float(depths[1] - depths[0]) if len(depths) > 1 else 0.0
