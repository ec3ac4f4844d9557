"""Landmarks as control points: what stands in the scene, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from ceph_scenes import POINTS, a_ceph, a_scene, a_set_of_landmarks
from profiles import HEAD
from scenes import a_rotation, add_transform, add_volume, detected

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.export.mrk_json import PIXELS_NOTE as PIXELS_NOTE_OF_FILES
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import (
    Provenance,
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

__all__ = ["a_ceph", "a_scene", "a_set_of_landmarks"]


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
