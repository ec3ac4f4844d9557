"""Planes: 2D sampling grids placed in patient space. The detector sees nothing else.

A radiograph is one plane, a frame of a cine is one plane at one time, and a stored slice of a volume is one plane. So
is any cut through a volume: its picture is sampled. A volume is a sweep of planes, or a projection through a slab.
"""

from .pictures import (
    PLANE_SETTING,
    PlanePicture,
    SampledPicture,
    oblique_plane,
    picture_of,
    plane_setting,
    plane_values,
    stored_plane,
    window_of,
)
from .placing import anatomical_plane, plane_about, plane_through_points
from .plane import Plane
from .sweep import DIRECTIONS, sweep

__all__ = [
    "DIRECTIONS",
    "PLANE_SETTING",
    "Plane",
    "PlanePicture",
    "SampledPicture",
    "anatomical_plane",
    "oblique_plane",
    "picture_of",
    "plane_about",
    "plane_setting",
    "plane_through_points",
    "plane_values",
    "stored_plane",
    "sweep",
    "window_of",
]
