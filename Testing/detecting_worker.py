"""An engine without a network, for tests of the module: its landmarks stand at known places of the picture.

The scheme's landmarks lie on an ellipse; the second is doubtful. It works for $MEDLANDMARK_TEST_SECONDS, in steps.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from MedLandmarkLib.engine.clip_exchange import clip_document, clip_from_fields
from MedLandmarkLib.engine.image_exchange import image_from_fields
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.server import serve
from MedLandmarkLib.engine.standard_jobs import standard_jobs
from MedLandmarkLib.errors import DetectionCancelled
from MedLandmarkLib.export.landmarks_json import landmarks_document
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.plane import PLANE_SETTING, Plane, oblique_plane, plane_setting
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import Track


@dataclass(frozen=True)
class ModelIdentity:
    id: str
    version: str
    sha256: str


def expected_ijk(
    number: int, count: int, size: tuple[int, int, int], slice_index: int = 0
) -> tuple[float, float, float]:
    """Where landmark `number` of `count` is found in a picture of (columns, rows, slices)."""
    angle = 2 * math.pi * (number + 0.25) / count
    columns, rows, _ = size
    return columns * (0.5 + 0.3 * math.cos(angle)), rows * (0.5 + 0.35 * math.sin(angle)), float(slice_index)


def detect(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    seconds = float(os.environ.get("MEDLANDMARK_TEST_SECONDS", "0.05"))
    image, scheme = image_from_fields(fields["image"]), load_scheme(fields["scheme"])
    end, begin = time.monotonic() + seconds, time.monotonic()
    while (now := time.monotonic()) < end:
        if context.should_stop():
            raise DetectionCancelled("stopped")
        context.progress((now - begin) / seconds, "Looking for landmarks")
        time.sleep(0.01)
    places, settings = _places(image, len(scheme), fields)
    landmarks = LandmarkSet(scheme.id, tuple(_landmark(k, image, scheme, ijk) for k, ijk in enumerate(places)))
    detection = SimpleNamespace(
        image=image, scheme=scheme, model=SimpleNamespace(id=fields["model"], version="double", sha256="0" * 64),
        settings={"device": "cpu", "precision": "fp32", "flip": False, **settings}, notes=(),
        frames=(SimpleNamespace(landmarks=landmarks, measurements=tuple(measure(landmarks, scheme))),),
    )  # fmt: skip
    return landmarks_document(detection)


def _places(image: Any, count: int, fields: Mapping[str, Any]) -> tuple[list[tuple[float, ...]], dict[str, Any]]:
    """Where the landmarks are found, and what is noted of the plane; in a cut the first is its brightest pixel."""
    if fields["directions"] is not None:
        return _in_space(image, count, fields)
    if fields["projection"] is not None:
        return _on_rays(image, count, fields)
    if fields["plane"] is None:
        return [expected_ijk(k, count, image.size, fields["slice_index"] or 0) for k in range(count)], {}
    plane = Plane.from_fields(fields["plane"])
    cut = oblique_plane(image, plane)
    found = np.array([expected_ijk(k, count, (*plane.size_wh, 1))[:2] for k in range(count)])
    row, column = np.unravel_index(np.argmax(cut.picture[..., 0]), cut.picture.shape[:2])
    found[0] = column, row
    return [tuple(ijk) for ijk in cut.ijk_from_plane(found).tolist()], {PLANE_SETTING: plane_setting(image, plane)}


def _in_space(image: Any, count: int, fields: Mapping[str, Any]) -> tuple[list[tuple[float, ...]], dict[str, Any]]:
    """On an ellipse in each of many slices; a standard deviation of 1, 2 and 3 mm along R, A and S."""
    slices = image.size[2]
    places = [expected_ijk(k, count, image.size, (k * 7) % slices) for k in range(count)]
    covariance = np.diag([1.0, 4.0, 9.0]).tolist()
    names = load_scheme(fields["scheme"]).names
    covariances = dict.fromkeys(names, covariance)
    return places, {"volume": {"directions": fields["directions"], "covariance_ras_mm2": covariances}}


def _on_rays(image: Any, count: int, fields: Mapping[str, Any]) -> tuple[list[tuple[float, ...]], dict[str, Any]]:
    """As in a cut along the projection's plane, with 5 mm of uncertainty along the rays."""
    plane = Plane.from_fields(fields["projection"]["plane"])
    found = np.array([expected_ijk(k, count, (*plane.size_wh, 1))[:2] for k in range(count)])
    normal = np.cross(plane.plane_to_ras[:3, 0], plane.plane_to_ras[:3, 1])
    ray = {"direction_ras": (normal / np.linalg.norm(normal)).tolist(), "depth_sd_mm": 5.0, "how": "by the double"}
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ plane.plane_to_ras
    kept = {"kind": fields["projection"]["kind"], "plane_to_ijk": to_ijk.tolist(), "size_wh": [*plane.size_wh]}
    kept |= {
        "depth_mm": fields["projection"]["depth_mm"],
        "rays": dict.fromkeys(load_scheme(fields["scheme"]).names, ray),
    }
    places = plane.ras_from_plane(found) @ np.linalg.inv(image.ijk_to_ras)[:3, :3].T
    places += np.linalg.inv(image.ijk_to_ras)[:3, 3]
    return [tuple(ijk) for ijk in places.tolist()], {"projection": kept}


def _landmark(number: int, image: Any, scheme: Any, ijk: tuple[float, ...]) -> Landmark:
    ras = image.ras_from_ijk(ijk)
    is_doubtful = number == 1
    return Landmark(
        scheme.names[number],
        ijk=ijk,
        ras=None if ras is None else tuple(float(value) for value in ras),
        status=Status.DOUBTFUL if is_doubtful else Status.PREDICTED,
        confidence=0.31 if is_doubtful else 0.92,
        score=0.4 if is_doubtful else 0.9,
        reason="confidence 0.31 is below 0.50" if is_doubtful else "",
        predicted_ijk=ijk,
    )


def detect_clip(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """The landmarks go up and down by a tenth of the picture, three times in the clip; "slow" takes a minute."""
    end = time.monotonic() + (60 if fields["device"] == "slow" else 0)
    context.progress(0.1, "Looking for landmarks")
    while time.monotonic() < end:
        if context.should_stop():
            raise DetectionCancelled("stopped")
        time.sleep(0.01)
    clip, scheme = clip_from_fields(fields["image"]), load_scheme(fields["scheme"])
    frames = []
    for frame in range(clip.frame_count):
        places = np.array([expected_ijk(k, len(scheme), (*clip.size_wh, 1)) for k in range(len(scheme))])
        shift = 0.1 * clip.size_wh[1] * math.sin(6 * math.pi * frame / clip.frame_count)
        places[:, 1] += np.where(places[:, 1] < clip.size_wh[1] / 2, shift, 0)
        image = clip.header_image()
        found = tuple(_landmark(k, image, scheme, tuple(ijk)) for k, ijk in enumerate(places.tolist()))
        frames.append(LandmarkSet(scheme.id, found, frame))
    matrix = None if clip.calibration.kind == "none" else clip.ijk_to_ras
    return clip_document(
        SimpleNamespace(
            track=Track(scheme.id, tuple(frames), clip.times_s, matrix), notes=(),
            model=ModelIdentity(fields["model"], "double", "0" * 64),
            settings={"device": "cpu", "precision": "fp32", "flip": False},
            sector=SimpleNamespace(found=True, box=(0, 0, *clip.size_wh)),
        )
    )  # fmt: skip


if __name__ == "__main__":
    registry = standard_jobs()
    registry.register("detect_clip", detect_clip)
    for kind in ("detect", "detect_volume", "detect_projection"):
        registry.register(kind, detect)
    serve(registry)
