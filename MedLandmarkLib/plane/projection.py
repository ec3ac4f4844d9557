"""Projections: all that lies in a slab, seen along one direction, as one picture on a plane."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..image import Image
from ..image.display import Display, robust_window
from ..image.limits import check_ijk_to_ras, check_size
from .plane import Plane
from .sampling import sample_plane

PROJECTION_SETTING = "projection"  # among the settings of a detection
KINDS = ("maximum", "mean", "radiograph")

# Linear attenuation of water at 60 keV, a usual effective energy of cephalometric and skull radiographs, per mm
# (NIST XCOM: 0.2059 cm²/g). Hounsfield units are defined by it: HU = 1000 (µ - µ_water) / µ_water.
WATER_PER_MM = 0.02059
_AIR_HU = -1000.0
# What is denser casts the shadows that are read on a radiograph; about where cancellous bone begins.
BONE_HU = 250.0


@dataclass(frozen=True, eq=False)
class Projection:
    """A slab seen along the direction through its plane.

    plane: where the picture lies, in the middle of the slab. depth_mm: of the slab. picture: uint8 (rows, columns, 3).
    values: float32 (rows, columns): the maximum, the mean, or the attenuation -ln(I / I0) of the rays.
    """

    kind: str
    plane: Plane
    depth_mm: float
    picture: np.ndarray
    values: np.ndarray

    @property
    def direction(self) -> np.ndarray:
        """(3,) RAS, unit length: away from who looks at the picture."""
        normal = np.cross(self.plane.plane_to_ras[:3, 0], self.plane.plane_to_ras[:3, 1])
        return normal / np.linalg.norm(normal)


def project(
    image: Image,
    plane: Plane,
    depth_mm: float,
    kind: str = "radiograph",
    *,
    step_mm: float | None = None,
    display: Display | None = None,
    frame: int = 0,
) -> Projection:
    """The slab of depth_mm about a plane, whose third column is its direction, seen along it (parallel beam).

    kind: "maximum" and "mean" of the values along each ray; "radiograph": the attenuation of X-rays by Beer and
    Lambert, the sum of µ over the path, µ = µ_water (1 + HU / 1000) and not below 0, for volumes in Hounsfield units.
    Outside the volume there is nothing (air). step_mm: between samples along a ray, by default the finest spacing.
    The picture's grey window is `display`, else found from the rays that meet the volume.
    Raises ImageError for an unknown kind, a slab without depth, one that misses the volume, or a plane of no use.
    """
    if kind not in KINDS:
        raise ImageError(f"'{kind}' is no projection: give {', '.join(KINDS)}.")
    if not (math.isfinite(depth_mm) and depth_mm > 0):
        raise ImageError(f"The slab is {depth_mm} mm deep; it must be above 0.")
    check_size(plane.size_wh, bytes_per_pixel=4)
    matrix = check_ijk_to_ras(plane.plane_to_ras)
    through = np.cross(matrix[:3, 0], matrix[:3, 1])
    through /= np.linalg.norm(through)
    step_mm = step_mm or float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).min())
    count = max(1, math.ceil(depth_mm / step_mm))
    shape = (plane.size_wh[1], plane.size_wh[0])
    total = np.full(shape, -np.inf, np.float32) if kind == "maximum" else np.zeros(shape, np.float64)
    length = np.zeros(shape, np.float64)  # steps of each ray inside the volume
    for number in range(count):
        there = matrix.copy()
        there[:3, 2] = through
        there[:3, 3] += through * ((number + 0.5) / count - 0.5) * depth_mm
        values, is_inside = sample_plane(image.pixels[frame], np.linalg.inv(image.ijk_to_ras) @ there, plane.size_wh)
        values = values.mean(axis=-1)
        length += is_inside
        if kind == "maximum":
            np.maximum(total, values, out=total, where=is_inside)
        elif kind == "mean":
            total += np.where(is_inside, values, 0.0)
        else:
            total += np.where(is_inside, attenuation_per_mm(values), 0.0)
    met = length > 0
    if not met.any():
        raise ImageError("The slab lies outside the volume: nothing would be seen.")
    if kind == "mean":
        total /= np.maximum(length, 1.0)
    elif kind == "radiograph":
        total *= depth_mm / count
    values = np.where(met, total, 0.0).astype(np.float32)
    display = display or Display(robust_window(values[met]))
    picture = np.where(met, display.to_uint8(values), np.uint8(0))
    picture = np.ascontiguousarray(np.broadcast_to(picture[..., None], (*shape, 3)))
    return Projection(kind, Plane(matrix, plane.size_wh), depth_mm, picture, values)


def depth_through(image: Image, plane: Plane) -> float:
    """The depth, mm, of the slab about a plane that holds all of a volume: twice its farthest corner's distance."""
    matrix = check_ijk_to_ras(plane.plane_to_ras)
    corners = np.array(list(itertools.product(*((-0.5, count - 0.5) for count in image.size))))
    offset = corners @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3] - matrix[:3, 3]
    normal = np.cross(matrix[:3, 0], matrix[:3, 1])
    return 2.0 * float(np.abs(offset @ normal).max() / np.linalg.norm(normal))


def attenuation_per_mm(hounsfield: np.ndarray) -> np.ndarray:
    """Linear attenuation, per mm, of values in Hounsfield units; air and what is below it attenuate nothing."""
    return WATER_PER_MM * np.maximum(0.0, 1.0 + hounsfield / 1000.0)


def require_hounsfield(image: Image, frame: int = 0) -> None:
    """Raises ImageError where the values cannot be Hounsfield units, so that a radiograph would mean nothing."""
    values = image.pixels[frame]
    lowest = float(values.reshape(-1)[:: max(1, values.size // 1_000_000) | 1].min())
    if image.pixels.shape[-1] != 1 or lowest > -200.0:
        name = image.path.name if image.path else "The image"
        raise ImageError(
            f"{name} is not in Hounsfield units (its lowest value is {lowest:g}; air is {_AIR_HU:g}): only a CT or a "
            "calibrated CBCT can be made into a radiograph. Use a mean or maximum projection."
        )
