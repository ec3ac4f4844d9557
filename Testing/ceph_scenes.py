"""A cephalogram in a scene with its detected landmarks: alone, and on the desk of a review."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from profiles import FACE, HEAD
from scenes import SceneHost, add_volume, detected, errors_in_callbacks

from MedLandmarkLib.landmark import LandmarkSet
from MedLandmarkLib.mrml import Review, calibrate_by_spacing, create_result
from MedLandmarkLib.mrml.calibration import ijk_to_ras

POINTS = np.array(FACE) + [30, 10]


@pytest.fixture
def a_scene():
    host = SceneHost()
    yield host.scene
    host.scene.Clear(True)


@pytest.fixture
def a_ceph(a_scene):
    volume = add_volume(a_scene)
    calibrate_by_spacing(a_scene, volume, 0.5, 0.5)
    return volume


@pytest.fixture
def a_set_of_landmarks(a_ceph) -> LandmarkSet:
    return detected(HEAD, POINTS, ijk_to_ras(a_ceph))


@pytest.fixture
def a_desk():
    """A review of a fresh detection, with a list of what it told."""
    host = SceneHost()
    volume = add_volume(host.scene)
    calibrate_by_spacing(host.scene, volume, 0.5, 0.5)
    landmarks = detected(HEAD, POINTS, ijk_to_ras(volume))
    node = create_result(host.scene, volume, landmarks, HEAD)
    told: list[tuple[str, ...]] = []
    review = Review(host.scene, node, on_change=told.append)
    with errors_in_callbacks() as errors:
        yield SimpleNamespace(scene=host.scene, volume=volume, node=node, detected=landmarks, review=review, told=told)
        review.close()
    assert errors == []
    host.scene.Clear(True)


def world(desk, i: float, j: float, k: float = 0.0) -> tuple[float, ...]:
    return tuple((ijk_to_ras(desk.volume) @ [i, j, k, 1.0])[:3])
