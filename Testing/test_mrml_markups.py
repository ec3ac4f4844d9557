"""Landmarks as control points and back."""

from __future__ import annotations

from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import FACE, HEAD
from scenes import SceneHost, a_rotation, add_bent_transform, add_transform, add_volume, detected

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.export.mrk_json import PIXELS_NOTE as PIXELS_NOTE_OF_FILES
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import (
    Provenance,
    calibrate_by_spacing,
    create_result,
    prediction_of,
    provenance_of,
    read_landmarks,
    results,
    scheme_of,
    write_landmarks,
)
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.mrml.markups import PIXELS_NOTE
from MedLandmarkLib.scheme import load_scheme

POINTS = np.array(FACE) + [30, 10]
HOST = SceneHost()


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


def test_what_was_detected_stands_in_the_scene(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    assert node.GetNumberOfControlPoints() == 19
    assert node.GetFixedNumberOfControlPoints()
    for number, landmark in enumerate(a_set_of_landmarks):
        assert node.GetNthControlPointLabel(number) == landmark.name
        assert HEAD.landmarks[number].definition in node.GetNthControlPointDescription(number)
        assert node.GetNthControlPointAssociatedNodeID(number) == a_ceph.GetID()
        np.testing.assert_allclose(node.GetNthControlPointPositionWorld(number), landmark.ras, atol=1e-9)
    assert node.GetNthControlPointPositionStatus(18) == node.PositionMissing
    values = node.GetMeasurement("confidence").GetControlPointValues()
    assert [values.GetValue(n) for n in range(19)] == [landmark.confidence for landmark in a_set_of_landmarks]


def test_a_doubtful_point_looks_different_and_says_why(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    assert [bool(node.GetNthControlPointSelected(number)) for number in range(19)] == [True] * 17 + [False, True]
    assert node.GetNthControlPointDescription(17).endswith("doubtful: the heatmap is flat.")
    assert node.GetNthControlPointPositionStatus(17) == node.PositionDefined


def test_a_picture_without_millimetres_says_so_at_every_point(a_scene) -> None:
    volume = add_volume(a_scene)
    node = create_result(a_scene, volume, detected(HEAD, POINTS), HEAD)
    assert all(node.GetNthControlPointDescription(number).endswith(PIXELS_NOTE) for number in range(19))
    assert PIXELS_NOTE == PIXELS_NOTE_OF_FILES  # so that the command line reads what Slicer saves
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), [-30, -10, 0])
    assert read_landmarks(node).unit == "px"


def test_the_provenance_stands_with_the_result(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    provenance = Provenance("lite", "1.2", "ab12", {"flip": True, "device": "cpu"}, ("It fell back to the CPU.",))
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD, provenance=provenance)
    assert provenance_of(node) == provenance
    assert scheme_of(node) is HEAD
    assert prediction_of(node) == a_set_of_landmarks
    assert (node.GetAttribute("MedLandmark.Scheme"), node.GetAttribute("MedLandmark.Model")) == (
        f"head-19 {HEAD.version}",
        "lite 1.2",
    )


def test_points_hang_under_the_transform_of_their_image(a_scene, a_ceph) -> None:
    transform = add_transform(a_scene, a_rotation())
    a_ceph.SetAndObserveTransformNodeID(transform.GetID())
    landmarks = detected(HEAD, POINTS, ijk_to_ras(a_ceph))
    node = create_result(a_scene, a_ceph, landmarks, HEAD)
    assert node.GetTransformNodeID() == transform.GetID()
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), landmarks["Sella"].ras, atol=1e-9)
    assert read_landmarks(node) == landmarks


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


def test_a_whole_set_is_one_event(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    events = []
    node.AddObserver(slicer.vtkMRMLMarkupsNode.PointModifiedEvent, lambda *_: events.append(1))
    moved = replace(
        a_set_of_landmarks,
        landmarks=tuple(
            replace(item, ijk=(item.ijk[0] + 3, item.ijk[1], 0.0), ras=None, status=Status.EDITED, reason="")
            for item in a_set_of_landmarks
        ),
    )
    write_landmarks(node, moved, HEAD)
    assert len(events) == 1
    write_landmarks(node, moved, HEAD)  # nothing new, no event
    assert len(events) == 1


def test_writing_again_takes_every_state_into_every_other(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    for first in Status:
        for second in Status:
            for status in (first, second):
                changed = replace(a_set_of_landmarks["Menton"], status=status, reason="")
                landmarks = a_set_of_landmarks.replaced(changed)
                write_landmarks(node, landmarks, HEAD)
                assert read_landmarks(node) == landmarks, (first, second)


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


def test_millimetres_that_the_scene_does_not_show_are_refused(a_scene) -> None:
    volume = add_volume(a_scene)  # shown with 1 mm, while the file was read with 0.1 mm
    landmarks = detected(HEAD, POINTS, np.diag([-0.1, -0.1, 1, 1]))
    nodes = a_scene.GetNumberOfNodes()
    with pytest.raises(ImageError, match=r"Sella is said to lie at \(-3.00, -1.00, 0.00\) mm, but the scene shows"):
        create_result(a_scene, volume, landmarks, HEAD)
    assert results(a_scene) == []
    assert a_scene.GetNumberOfNodes() == nodes


def test_landmarks_of_another_scheme_are_refused(a_scene, a_ceph, a_set_of_landmarks: LandmarkSet) -> None:
    node = create_result(a_scene, a_ceph, a_set_of_landmarks, HEAD)
    before = read_landmarks(node)
    other = load_scheme("plax-4")
    with pytest.raises(MedLandmarkError, match="are not those of scheme plax-4"):
        write_landmarks(node, a_set_of_landmarks, other)
    with pytest.raises(MedLandmarkError, match="19 control points, scheme plax-4 has 4"):
        write_landmarks(node, LandmarkSet("plax-4", tuple(Landmark(name) for name in other.names)), other)
    assert read_landmarks(node) == before


def test_pixels_need_an_image(a_scene) -> None:
    with pytest.raises(MedLandmarkError, match="given in pixels"):
        create_result(a_scene, None, detected(HEAD, POINTS), HEAD)


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
