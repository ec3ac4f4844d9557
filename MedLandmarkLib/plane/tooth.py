"""Labiolingual planes through teeth, as GeoSapiens reads them: one per tooth, 0.18 mm per pixel.

The pixel size is that of the GeoSapiens images (arXiv 2507.04710). How its sections are cut from the volume is not
published; here they hold the tooth's axis and the direction from the lip to the tongue.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ImageError
from .placing import plane_about
from .plane import Plane

TOOTH_PIXEL_MM = 0.18
TOOTH_SIDE_PX = 192  # 34.6 mm: a front tooth with its alveolar bone

_Points = Sequence[Sequence[float]] | np.ndarray


def tooth_plane(
    crown_ras: Sequence[float],
    apex_ras: Sequence[float],
    labial_direction: Sequence[float] | np.ndarray,
    *,
    pixel_mm: float = TOOTH_PIXEL_MM,
    side_px: int = TOOTH_SIDE_PX,
) -> Plane:
    """The labiolingual plane along a tooth, from two points on its axis.

    The labial side is on the left of the picture; the patient's upper side is up, so that an upper tooth's apex lies
    above its crown and a lower tooth's below. labial_direction: roughly from the tooth to the lip, RAS (for a front
    tooth, forward: 0, 1, 0). Raises ImageError where the points coincide or the direction runs along the tooth.
    """
    crown, apex = np.asarray(crown_ras, float), np.asarray(apex_ras, float)
    axis = crown - apex
    length = float(np.linalg.norm(axis))
    if not np.isfinite(length) or length < 1.0:
        raise ImageError(f"The two points on the tooth are {length:.2f} mm apart; give its crown and its apex.")
    axis = axis / length
    labial = np.asarray(labial_direction, float)
    across = labial - axis * (axis @ labial)
    if np.linalg.norm(across) < 0.3 * max(float(np.linalg.norm(labial)), 1e-300):
        raise ImageError("The labial direction runs along the tooth: give the direction from the tooth to the lip.")
    down = axis if axis[2] < 0 else -axis  # y of the picture runs downwards
    across = across / np.linalg.norm(across)
    # exactly along the tooth; the labiolingual direction gives way
    plane = plane_about((crown + apex) / 2, -across, down, pixel_mm, (side_px, side_px))
    return plane


def tooth_planes_along_curve(
    curve_ras: _Points,
    positions_mm: Sequence[float],
    up: Sequence[float] = (0.0, 0.0, 1.0),
    *,
    pixel_mm: float = TOOTH_PIXEL_MM,
    side_px: int = TOOTH_SIDE_PX,
) -> list[Plane]:
    """One labiolingual plane for each position along a panoramic curve, across the dental arch.

    curve_ras: (n, 3) points along the arch, from the patient's right to the left or back, at the height of the teeth.
    positions_mm: along the curve from its first point. up: the direction of the picture's upper edge, RAS. The labial
    side, away from the middle of the arch, is on the left. Raises ImageError for a curve that is none or a position off
    it.
    """
    curve = np.asarray(curve_ras, float)
    if curve.ndim != 2 or curve.shape[1:] != (3,) or len(curve) < 3 or not np.isfinite(curve).all():
        raise ImageError("A panoramic curve needs at least three points of three numbers (RAS, mm).")
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    if steps.min() <= 0:
        raise ImageError("Two neighbouring points of the panoramic curve are the same.")
    along = np.concatenate(([0.0], np.cumsum(steps)))
    middle = curve.mean(axis=0)
    planes = []
    for position in positions_mm:
        if not 0.0 <= position <= along[-1]:
            raise ImageError(f"Position {position:g} mm is off the panoramic curve, which is {along[-1]:.1f} mm long.")
        point, tangent = _at(curve, along, float(position))
        upward = np.asarray(up, float)
        labial = np.cross(tangent, upward)
        labial = labial if labial @ (point - middle) >= 0 else -labial
        planes.append(plane_about(point, -labial, -upward, pixel_mm, (side_px, side_px)))
    return planes


def _at(curve: np.ndarray, along: np.ndarray, position: float) -> tuple[np.ndarray, np.ndarray]:
    """The point of the curve at a length along it, and its direction there, over a tooth's width."""
    half = min(3.0, along[-1] / 4)

    def point(length: float) -> np.ndarray:
        return np.array([np.interp(length, along, curve[:, axis]) for axis in range(3)])

    ends = point(max(0.0, position - half)), point(min(along[-1], position + half))
    return point(position), ends[1] - ends[0]
