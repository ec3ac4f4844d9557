"""Landmarks in a projection of a volume, such as a lateral cephalogram from a head CT, and where they lie in depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import ImageError
from ..image import Calibration, Image
from ..image.display import Display, HighByte
from ..landmark import Landmark, LandmarkSet, Status
from ..measure import measure
from ..plane.midsagittal import SymmetryPlane, find_midsagittal
from ..plane.placing import box_in, finest_spacing, plane_about
from ..plane.projection import PROJECTION_SETTING, Projection, project, require_hounsfield
from ..plane.ray import RayPoint, point_on_ray
from .pipeline import LandmarkDetector
from .result import Detection, FrameResult
from .volume.check import require_volume

_MOST_PX = 1024  # along the longer side of a cephalogram
_FINEST_MM = 0.25
_SIMULATED = "found in a simulated radiograph; the model learned from real ones"

Progress = Callable[[float, str], None]


def lateral_cephalogram(
    image: Image, midsagittal: SymmetryPlane | None = None, frame: int | None = None
) -> tuple[Projection, SymmetryPlane]:
    """A radiograph of a head as from a cephalostat with parallel rays: seen from its right side, the face to the right.

    Rays run along the normal of the mid-sagittal plane (found in the volume where it is not given). Returns the
    projection and that plane. Raises ImageError where the volume is not in Hounsfield units or shows no symmetry.
    """
    frame = require_volume(image, frame)
    require_hounsfield(image, frame)
    midsagittal = midsagittal or find_midsagittal(image, frame)
    forward, down = np.array((0.0, 1.0, 0.0)), np.array((0.0, 0.0, -1.0))
    forward = forward - midsagittal.normal * (forward @ midsagittal.normal)
    down = down - midsagittal.normal * (down @ midsagittal.normal)
    turned = np.eye(4)
    turned[:3, :3] = plane_about(midsagittal.point, forward, down, 1.0, (2, 2)).plane_to_ras[:3, :3]
    low, high = box_in(image, turned)
    pixel = max(finest_spacing(image), _FINEST_MM, float((high - low)[:2].max()) / _MOST_PX)
    size = (math.ceil((high[0] - low[0]) / pixel), math.ceil((high[1] - low[1]) / pixel))
    centre = turned[:3, :3] @ ((low + high) / 2)
    plane = plane_about(centre, turned[:3, 0], turned[:3, 1], pixel, size)
    return project(image, plane, float(high[2] - low[2]), "radiograph", frame=frame), midsagittal


def detect_in_projection(
    detector: LandmarkDetector,
    image: Image,
    projection: Projection,
    midsagittal: SymmetryPlane | None = None,
    *,
    frame: int = 0,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Detection:
    """The scheme's landmarks in a projection, each brought back into the volume along its ray (`point_on_ray`).

    Landmarks that the scheme calls mid-sagittal are placed on that plane where it is given. A point's depth and its
    uncertainty stand in its reason and among the settings. Nobody has measured how the model does on simulated
    radiographs, so that no point is better than doubtful. Measurements are of the projection, as on a radiograph.
    """
    drawn = projected_image(image, projection)
    flat = detector.detect(drawn, progress=progress, should_stop=should_stop)
    landmarks, on_plane, rays = [], [], {}
    for definition, landmark in zip(detector.scheme.landmarks, flat.frames[0].landmarks, strict=True):
        landmark = _believed_less(landmark, _SIMULATED)
        on_plane.append(landmark)
        ray = _ray(image, projection, landmark, midsagittal if definition.midsagittal else None, frame)
        if ray is None:
            landmarks.append(
                replace(landmark, ijk=None, ras=None, status=Status.MISSING, predicted_ijk=None,
                        reason="its ray does not meet the volume")
            )  # fmt: skip
            continue
        depth = f"depth ± {ray.depth_sd_mm:.1f} mm, {ray.how}"
        landmarks.append(_in_volume(landmark, ray, image, depth))
        rays[definition.name] = {
            "direction_ras": ray.direction.tolist(), "depth_sd_mm": ray.depth_sd_mm, "how": ray.how,
        }  # fmt: skip
    flat_set = LandmarkSet(detector.scheme.id, tuple(on_plane), frame)
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ projection.plane.plane_to_ras
    settings = {
        PROJECTION_SETTING: {
            "kind": projection.kind,
            "plane_to_ijk": to_ijk.tolist(),
            "size_wh": [*projection.plane.size_wh],
            "depth_mm": projection.depth_mm,
            "rays": rays,
        }
    }
    return replace(
        flat,
        image=image,
        settings={**flat.settings, **settings},
        frames=(
            FrameResult(
                LandmarkSet(detector.scheme.id, tuple(landmarks), frame), tuple(measure(flat_set, detector.scheme))
            ),
        ),
        notes=(*image.warnings, *(note for note in flat.notes if note not in image.warnings)),
    )


def projected_image(image: Image, projection: Projection) -> Image:
    """The projection as an image of one slice that lies on its plane, with the volume's calibration."""
    x, y = (float(side) for side in np.linalg.norm(projection.plane.plane_to_ras[:3, :2], axis=0))
    calibration = image.calibration
    if calibration.kind != "none":
        calibration = Calibration(calibration.kind, f"{projection.kind} projection: {calibration.source}", (x, y))
    return Image(
        projection.picture[None, None], projection.plane.plane_to_ras, calibration,
        path=image.path, display=Display(HighByte()),
    )  # fmt: skip


def _ray(
    image: Image, projection: Projection, landmark: Landmark, midsagittal: SymmetryPlane | None, frame: int
) -> RayPoint | None:
    if landmark.ijk is None:
        return None
    try:
        return point_on_ray(image, projection, np.array(landmark.ijk[:2]), midsagittal, frame)
    except ImageError:
        return None


def _believed_less(landmark: Landmark, why: str) -> Landmark:
    if landmark.status is not Status.PREDICTED:
        return landmark
    return replace(landmark, status=Status.DOUBTFUL, reason=why)


def _in_volume(landmark: Landmark, ray: RayPoint, image: Image, depth: str) -> Landmark:
    ijk = np.linalg.solve(image.ijk_to_ras[:3, :3], ray.point_ras - image.ijk_to_ras[:3, 3])
    position = tuple(ijk.tolist())
    is_missing = landmark.status is Status.MISSING
    return replace(
        landmark,
        ijk=position,
        ras=tuple(ray.point_ras.tolist()),
        reason=f"{landmark.reason}; {depth}" if landmark.reason else depth,
        predicted_ijk=None if is_missing else position,
    )
