"""Control points read back as landmarks: moved, lost, reordered, without their image, damaged."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from ceph_scenes import a_ceph, a_scene, a_set_of_landmarks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import HEAD
from scenes import SceneHost, a_rotation, add_bent_transform, add_transform, add_volume

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import (
    calibrate_by_spacing,
    create_result,
    prediction_of,
    read_landmarks,
    results,
    write_landmarks,
)
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_ceph", "a_scene", "a_set_of_landmarks"]

HOST = SceneHost()


def test_bending_image_and_points_together_leaves_points_on_their_pixels(a_scene, a_ceph, a_set_of_landmarks) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    bent = add_bent_transform(a_scene)
    for moved in (a_ceph, node):
        moved.SetAndObserveTransformNodeID(bent.GetID())
    after = read_landmarks(node)
    assert [(item.ijk, item.status) for item in after] == [(item.ijk, item.status) for item in a_set_of_landmarks]
    np.testing.assert_allclose(after["Nasion"].ras, node.GetNthControlPointPositionWorld(1), atol=1e-9)
    assert after["Nasion"].ras != a_set_of_landmarks["Nasion"].ras


def test_a_bent_transform_between_image_and_points_is_refused(a_scene, a_ceph, a_set_of_landmarks) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    a_ceph.SetAndObserveTransformNodeID(add_bent_transform(a_scene).GetID())
    with pytest.raises(ImageError, match="'bent' above 'ceph' is not linear"):
        read_landmarks(node)


def test_a_missing_point_keeps_its_estimate_and_a_place_to_be_restored_to(a_scene, a_ceph, a_set_of_landmarks) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    lost = a_set_of_landmarks["Articulare"]
    assert lost.status is Status.MISSING
    node.RestoreNthControlPointPosition(18)
    restored = read_landmarks(node)["Articulare"]
    assert (restored.status, restored.ijk, restored.ras) == (Status.ACCEPTED, lost.ijk, lost.ras)


def test_what_people_do_to_points_is_read_back(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    node.SetNthControlPointPositionWorld(0, -20.0, -30.0, 0.0)
    node.SetNthControlPointPositionMissing(1)
    node.UnsetNthControlPointPosition(2)
    landmarks = read_landmarks(node)
    sella = landmarks["Sella"]
    assert (sella.status, sella.ijk, sella.ras) == (Status.EDITED, (40.0, 60.0, 0.0), (-20.0, -30.0, 0.0))
    assert sella.predicted_ijk == a_set_of_landmarks["Sella"].ijk
    assert landmarks["Nasion"].status is Status.MISSING
    assert landmarks["Nasion"].ijk == a_set_of_landmarks["Nasion"].ijk
    assert landmarks["Orbitale"].status is Status.UNDEFINED
    assert landmarks.landmarks[3:] == a_set_of_landmarks.landmarks[3:]


def test_reordered_points_are_told_by_their_ids(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    node.SwapControlPoints(0, 5)
    assert node.GetNthControlPointLabel(0) == HEAD.names[5]
    assert read_landmarks(node) == a_set_of_landmarks


def test_a_point_at_no_number_is_undefined(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    node.SetNthControlPointPosition(3, float("nan"), 0.0, 0.0)
    assert read_landmarks(node)["Porion"].status is Status.UNDEFINED


def test_a_point_off_the_picture_is_read_on_it(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    node.SetNthControlPointPositionWorld(0, -20.0, -30.0, 7.0)
    assert read_landmarks(node)["Sella"].ijk == (40.0, 60.0, 0.0)
    assert read_landmarks(node)["Sella"].ras == (-20.0, -30.0, 0.0)


def test_a_result_outlives_its_image(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    a_scene.RemoveNode(a_ceph)
    assert read_landmarks(node) == a_set_of_landmarks
    node.SetNthControlPointPositionWorld(0, -20.0, -30.0, 0.0)
    assert read_landmarks(node)["Sella"].ijk == (40.0, 60.0, 0.0)
    write_landmarks(node, a_set_of_landmarks, HEAD)
    assert read_landmarks(node) == a_set_of_landmarks


@pytest.mark.parametrize("text", ["[", "3", '{"landmarks":[]}', '{"landmarks":[{"name":1}],"scheme":"x","frame":0}'])
def test_a_damaged_node_is_said_to_be_one(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet, text: str) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    node.SetAttribute("MedLandmark.Landmarks", text)
    with pytest.raises(MedLandmarkError, match=node.GetName()):
        read_landmarks(node)


def test_a_node_of_somebody_else_is_no_result(a_scene) -> None:
    node = a_scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    assert results(a_scene) == []
    with pytest.raises(MedLandmarkError, match="'F' holds no landmarks"):
        read_landmarks(node)


FINITE = st.floats(-300, 300, allow_nan=False)
UNIT = st.none() | st.floats(0, 1)


@st.composite
def landmark_sets(draw, in_mm: bool, matrix: np.ndarray) -> LandmarkSet:
    landmarks = []
    for name in load_scheme("plax-4").names:
        status = draw(st.sampled_from(Status))
        ijk = draw(st.tuples(FINITE, FINITE, st.just(0.0)))
        if not status.is_usable and draw(st.booleans()):
            ijk = None
        ras = None if ijk is None or not in_mm else tuple(float(value) for value in (matrix @ [*ijk, 1.0])[:3])
        predicted = draw(st.none() | st.tuples(FINITE, FINITE, st.just(0.0)))
        reason = draw(st.text(max_size=20))
        landmarks.append(Landmark(name, ijk, ras, status, draw(UNIT), draw(UNIT), reason, predicted))
    return LandmarkSet("plax-4", tuple(landmarks), draw(st.integers(0, 500)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    spacing=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)),
    degrees=st.floats(-180, 180),
    is_moved=st.booleans(),
    in_mm=st.booleans(),
)
def test_any_landmarks_come_back_as_they_went(data, spacing, degrees: float, is_moved: bool, in_mm: bool) -> None:
    scene = HOST.scene
    scene.Clear(False)
    volume = add_volume(scene)
    if in_mm:
        calibrate_by_spacing(scene, volume, *spacing)
    if is_moved:
        volume.SetAndObserveTransformNodeID(add_transform(scene, a_rotation(degrees)).GetID())
    landmarks = data.draw(landmark_sets(in_mm, ijk_to_ras(volume)))
    node = create_result(scene, volume, landmarks, load_scheme("plax-4"))
    assert read_landmarks(node) == landmarks
    write_landmarks(node, read_landmarks(node), load_scheme("plax-4"))
    assert read_landmarks(node) == landmarks
    assert prediction_of(node) == landmarks
    with TemporaryDirectory() as folder:  # and through the node's own file, which knows neither image nor attributes
        path = f"{folder}/F.mrk.json"
        loaded = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "loaded")
        for do, which in (("WriteData", node), ("ReadData", loaded)):
            storage = slicer.vtkMRMLMarkupsJsonStorageNode()
            storage.SetFileName(path)
            assert getattr(storage, do)(which)
        loaded.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        assert read_landmarks(loaded) == landmarks
