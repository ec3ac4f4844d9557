"""Landmark sets to measure on, which the tests of measurements share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import Measurement, measure
from MedLandmarkLib.scheme import Scheme, load_scheme

HEAD = load_scheme("head-19")

# A made-up profile that looks to +x with y down (mm), in the order of head-19: its Frankfort horizontal lies along x.
FACE = [
    (0, 0), (70, 0), (60, 30), (-20, 30), (70, 60), (66, 100), (68, 115), (60, 122), (65, 120), (0, 80),
    (72, 82), (75, 84), (88, 78), (85, 90), (85, 62), (78, 117), (20, 50), (72, 52), (-15, 35),
]  # fmt: skip


def a_set(scheme: Scheme, points: object, unit: str = "mm", status: Status = Status.PREDICTED) -> LandmarkSet:
    """The landmarks of a scheme at the given places, (n, 2) or (n, 3), as calibrated or as pixels only."""
    places = np.zeros((len(scheme), 3))
    given_places = np.asarray(points, float)
    places[:, : given_places.shape[1]] = given_places
    return LandmarkSet(
        scheme.id,
        tuple(
            Landmark(name, ijk=tuple(place), ras=tuple(place) if unit == "mm" else None, status=status)
            for name, place in zip(scheme.names, places, strict=True)
        ),
    )


def moved(landmarks: LandmarkSet, **places: tuple[float, float]) -> LandmarkSet:
    """The same set with some landmarks at other places; a keyword is the landmark's name with _ for a blank."""
    for key, place in places.items():
        landmark = landmarks[key.replace("_", " ")]
        landmarks = landmarks.replaced(replace(landmark, ijk=(*place, 0.0), ras=landmark.ras and (*place, 0.0)))
    return landmarks


def with_status(landmarks: LandmarkSet, name: str, status: Status, reason: str = "") -> LandmarkSet:
    return landmarks.replaced(replace(landmarks[name], status=status, reason=reason))


def measured(landmarks: LandmarkSet, scheme: Scheme = HEAD) -> dict[str, Measurement]:
    return {measurement.name: measurement for measurement in measure(landmarks, scheme)}
