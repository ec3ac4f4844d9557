"""The picture that landmarks are drawn on, where that is no stored slice: a cut through a volume, or a projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ImageError
from ..image import Calibration, Image
from ..image.display import Display, HighByte
from ..image.limits import MIN_SIDE_PX
from ..landmark import Landmark
from ..plane import DIRECTIONS, PLANE_SETTING, Plane, picture_of, plane_about
from ..plane.placing import ANATOMICAL_AXES, box_ras, finest_spacing
from ..plane.projection import PROJECTION_SETTING, depth_through, project
from ..plane.sweep import VOLUME_SETTING

_MOST_PX = 320  # along the longest side of a volume that is projected only to be looked at


def as_drawn(image: Image, settings: Mapping[str, Any], result: Any) -> tuple[Image, Any]:
    """Image and frame result to draw, where the landmarks do not lie in one stored slice.

    Of a detection in a cut or in a projection that is its picture; of one in a whole volume, the mean of the volume
    along the anatomical axis along which the landmarks spread least. Landmarks are dropped onto the picture's plane.
    Everything else is given back as it is. Raises ImageError where the settings are damaged.
    """
    frame = min(result.landmarks.frame, image.frame_count - 1)
    if settings.get(PLANE_SETTING) is not None:
        cut = picture_of(image, settings, frame, 0)
        plane, picture = cut.plane, cut.picture
    elif settings.get(PROJECTION_SETTING) is not None:
        plane, picture = _projection(image, settings[PROJECTION_SETTING], frame)
    elif settings.get(VOLUME_SETTING) is not None:
        plane, picture = _overview(image, result.landmarks, frame)
    else:
        return image, result
    to_plane = np.linalg.inv(plane.plane_to_ras) @ image.ijk_to_ras

    def on_plane(landmark: Landmark) -> Landmark:
        if landmark.ijk is None:
            return landmark
        x, y = (to_plane @ [*landmark.ijk, 1.0])[:2].tolist()
        return replace(landmark, ijk=(x, y, 0.0))

    stated = image.calibration
    if stated.spacing_mm is not None:
        x, y = (float(side) for side in np.linalg.norm(plane.plane_to_ras[:3, :2], axis=0))
        stated = Calibration(stated.kind, stated.source, (x, y))
    drawn = Image(picture[None, None], plane.plane_to_ras, stated, path=image.path, display=Display(HighByte()))
    landmarks = replace(result.landmarks, landmarks=tuple(map(on_plane, result.landmarks)), frame=0)
    return drawn, replace(result, landmarks=landmarks)


def _projection(image: Image, kept: Mapping[str, Any], frame: int) -> tuple[Plane, np.ndarray]:
    """The plane of a detection's projection, in an image that may have been moved since, and its picture."""
    try:
        in_space = image.ijk_to_ras @ np.array(kept["plane_to_ijk"], float)
        plane = Plane.from_fields({"plane_to_ras": in_space, "size_wh": kept["size_wh"]})
        return plane, project(image, plane, float(kept["depth_mm"]), kept["kind"], frame=frame).picture
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"The projection among the settings is damaged ({error!r}).") from error


def _overview(image: Image, landmarks: Any, frame: int) -> tuple[Plane, np.ndarray]:
    """All of a volume on one picture: its mean along an anatomical axis."""
    found = [image.ijk_to_ras[:3, :3] @ landmark.ijk for landmark in landmarks if landmark.ijk is not None]
    normal = int(np.argmin(np.ptp(found, axis=0))) if found else 0
    low, high = box_ras(image)
    pixel = max(finest_spacing(image), float((high - low).max()) / _MOST_PX)
    axes = np.array(ANATOMICAL_AXES[DIRECTIONS[normal]])
    sides_mm = np.abs(axes) @ (high - low)
    pixel = min(pixel, float(sides_mm.min()) / MIN_SIDE_PX)
    size_wh = tuple(round(float(side) / pixel) for side in sides_mm)
    plane = plane_about((low + high) / 2, *axes, pixel, size_wh)
    return plane, project(image, plane, depth_through(image, plane), "mean", step_mm=pixel, frame=frame).picture
