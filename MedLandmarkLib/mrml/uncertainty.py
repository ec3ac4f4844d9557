"""How uncertain the place of each landmark is: kept with a result in pixels of its image, given back in patient space.

A detection in a whole volume tells a covariance for each landmark, and one in a projection the standard deviation of
the depth along its ray. In pixels they stay true when the image is moved or turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from ..plane.projection import PROJECTION_SETTING
from ..plane.sweep import VOLUME_SETTING
from .frame import PointFrame
from .nodes import to_parent_matrix
from .records import keep, kept

UNCERTAINTY_KEY = "MedLandmark.Uncertainty"
_AS_FOUND = (Status.PREDICTED, Status.DOUBTFUL, Status.ACCEPTED)


def keep_uncertainty(node: Any, settings: Mapping[str, Any], ijk_to_ras: np.ndarray) -> None:
    """Write what a detection's settings say of its uncertainty to the node of its result; nothing where they say none.

    ijk_to_ras: (4, 4), of the image at the time of the detection. Raises MedLandmarkError where they are damaged.
    """
    try:
        found = _of_settings(settings, ijk_to_ras[:3, :3])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MedLandmarkError(f"The uncertainty among the settings of a detection is damaged ({error!r}).") from error
    if found:
        keep(node, UNCERTAINTY_KEY, {name: covariance.tolist() for name, covariance in found.items()})


def kept_uncertainty(node: Any) -> dict[str, np.ndarray]:
    """{name: (3, 3) covariance in px² of the image} of what `keep_uncertainty` wrote; empty where it wrote nothing.

    Raises MedLandmarkError where it cannot be read.
    """
    try:
        return {name: _checked(values) for name, values in (kept(node, UNCERTAINTY_KEY) or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise MedLandmarkError(f"Node '{node.GetName()}' is damaged: {UNCERTAINTY_KEY} ({error!r}).") from error


def covariances_ras(
    kept_ijk: Mapping[str, np.ndarray], node: Any, landmarks: LandmarkSet, frame: PointFrame | None
) -> dict[str, np.ndarray]:
    """{name: (3, 3) mm²} in patient space of the landmarks that still are where the model found them.

    kept_ijk: from `kept_uncertainty`. Empty without an image, or under a transform that is not linear.
    """
    if not kept_ijk or frame is None:
        return {}
    try:
        axes = to_parent_matrix(node)[:3, :3] @ frame.ijk_to_local[:3, :3]
    except ValueError:  # bent: its axes differ from place to place
        return {}
    return {
        landmark.name: axes @ kept_ijk[landmark.name] @ axes.T
        for landmark in landmarks
        if landmark.name in kept_ijk and _is_as_found(landmark)
    }


def worst_sd_mm(covariance: np.ndarray) -> float:
    """The standard deviation, mm, in the direction in which a covariance (3, 3) is largest."""
    return float(np.sqrt(max(np.linalg.eigvalsh(covariance)[-1], 0.0)))


def _is_as_found(landmark: Landmark) -> bool:
    return landmark.status in _AS_FOUND and landmark.ijk is not None and landmark.ijk == landmark.predicted_ijk


def _of_settings(settings: Mapping[str, Any], axes: np.ndarray) -> dict[str, np.ndarray]:
    """{name: (3, 3) px²}. axes: (3, 3), the steps of one pixel in RAS mm."""
    to_pixels = np.linalg.inv(axes)
    in_space = settings.get(VOLUME_SETTING)
    if in_space is not None:
        found = in_space["covariance_ras_mm2"]
        return {name: to_pixels @ _checked(values) @ to_pixels.T for name, values in found.items()}
    projection = settings.get(PROJECTION_SETTING)
    if projection is None:
        return {}
    # Nobody states how well a point is placed within the picture; a pixel of it is the least.
    pixel = np.array(projection["plane_to_ijk"], float).reshape(4, 4)[:3, :2]
    found = {}
    for name, ray in projection["rays"].items():
        along = to_pixels @ np.array(ray["direction_ras"], float) * float(ray["depth_sd_mm"])
        found[name] = _checked(pixel @ pixel.T + np.outer(along, along))
    return found


def _checked(values: Any) -> np.ndarray:
    covariance = np.array(values, float)
    if covariance.shape != (3, 3) or not np.isfinite(covariance).all():
        raise ValueError(f"{values} is no covariance")
    return covariance
