"""Results through files: scenes saved and loaded, markups files, points of other origin."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from profiles import FACE, HEAD
from scenes import SceneHost, a_rotation, add_transform, add_volume, detected, drawn_lines

from MedLandmarkLib.errors import MedLandmarkError, SchemeError
from MedLandmarkLib.export.mrk_json import read_mrk_json, write_mrk_json
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.mrml import (
    Provenance,
    Review,
    adopt_markups,
    calibrate_by_spacing,
    create_result,
    image_from_volume,
    is_result,
    prediction_of,
    provenance_of,
    read_landmarks,
    results,
    scheme_of,
    volume_of,
)
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import load_scheme

POINTS = np.array(FACE) + [30, 10]
PROVENANCE = Provenance("lite", "1.0", "ab12", {"flip": True})


@pytest.fixture(params=["mm", "px", "moved"])
def a_reviewed_result(request):
    """A result of every kind of edit, on an image with millimetres, without, or under a transform."""
    host = SceneHost()
    volume = add_volume(host.scene)
    if request.param != "px":
        calibrate_by_spacing(host.scene, volume, 0.5, 0.25)
    if request.param == "moved":
        volume.SetAndObserveTransformNodeID(add_transform(host.scene, a_rotation()).GetID())
    landmarks = detected(HEAD, POINTS, None if request.param == "px" else ijk_to_ras(volume))
    node = create_result(host.scene, volume, landmarks, HEAD, provenance=PROVENANCE)
    review = Review(host.scene, node)
    review.show_drawings(True)
    review.accept(["Sella", "Menton"])
    review.mark_missing(["Nasion"])
    node.SetNthControlPointPositionWorld(2, *(ijk_to_ras(volume) @ [33.5, 44.25, 0, 1])[:3])
    node.UnsetNthControlPointPosition(3)
    yield SimpleNamespace(host=host, review=review, node=node, volume=volume)
    review.close()


def as_markups_file(node, path):
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


def from_markups_file(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "loaded")
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node


def test_all_is_as_it_was_after_saving_and_loading_a_scene(a_reviewed_result, tmp_path) -> None:
    review = a_reviewed_result.review
    before, measurements, lines = review.landmarks, review.measurements, drawn_lines(review)
    statuses = [item.status for item in before.landmarks[:4]]
    assert statuses == [Status.ACCEPTED, Status.MISSING, Status.EDITED, Status.UNDEFINED]
    review.close()
    scene = a_reviewed_result.host.saved_and_loaded(tmp_path / "scene.mrb")
    (node,) = results(scene)
    assert volume_of(node).GetName() == "ceph"
    assert read_landmarks(node) == before
    assert provenance_of(node) == PROVENANCE
    nodes = scene.GetNumberOfNodes()
    loaded = Review(scene, node)
    assert loaded.landmarks == before
    assert loaded.measurements == measurements
    assert scene.GetNumberOfNodes() == nodes  # table and drawings were found again, not made anew
    assert loaded.drawings.is_shown
    np.testing.assert_allclose(drawn_lines(loaded), lines, atol=1e-3)  # Slicer writes models as float
    loaded.revert(["Orbitale", "Nasion", "Sella"])
    assert loaded.landmarks["Orbitale"].ijk == (90.0, 40.0, 0.0)
    assert loaded.landmarks["Nasion"].status is Status.PREDICTED
    node.RestoreNthControlPointPosition(18)  # a file holds no place of a missing point; the review brought it back
    assert loaded.landmarks["Articulare"].status is Status.ACCEPTED
    assert loaded.landmarks["Articulare"].ijk == (15.0, 45.0, 0.0)


def test_a_scene_imported_into_another_finds_its_own_image(a_reviewed_result, tmp_path) -> None:
    before = a_reviewed_result.review.landmarks
    a_reviewed_result.review.close()
    host = a_reviewed_result.host
    assert host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    assert host.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)  # into itself: every id is taken
    first, second = results(host.scene)
    assert volume_of(first) is not volume_of(second)
    assert read_landmarks(first) == read_landmarks(second) == before
    reviews = [Review(host.scene, node) for node in (first, second)]
    assert first.GetAttribute("MedLandmark.Result") != second.GetAttribute("MedLandmark.Result")
    reviews[1].mark_missing(["Sella"])
    assert reviews[0].landmarks == before
    assert reviews[1].stack.undo()
    assert reviews[1].landmarks == before
    assert len({review.table.node for review in reviews}) == 2


def test_a_markups_file_alone_holds_everything(a_reviewed_result, tmp_path) -> None:
    before = a_reviewed_result.review.landmarks
    path = as_markups_file(a_reviewed_result.node, tmp_path / "F.mrk.json")
    scene = a_reviewed_result.host.scene
    node = from_markups_file(scene, path)
    node.SetAndObserveTransformNodeID(a_reviewed_result.volume.GetTransformNodeID())
    assert not is_result(node)
    assert adopt_markups(scene, node, a_reviewed_result.volume, HEAD) is node
    assert read_landmarks(node) == before
    assert prediction_of(node) == prediction_of(a_reviewed_result.node)
    assert provenance_of(node) == PROVENANCE
    assert node.GetAttribute("MedLandmark.Result") != a_reviewed_result.node.GetAttribute("MedLandmark.Result")


def test_a_file_saved_by_slicer_can_be_measured_by_the_command_line(a_reviewed_result, tmp_path) -> None:
    path = as_markups_file(a_reviewed_result.node, tmp_path / "F.mrk.json")
    (read,) = read_mrk_json(path, HEAD)
    own = a_reviewed_result.review.landmarks
    assert read.unit == own.unit
    values = {item.name: item.value for item in measure(read, HEAD) if item.value is not None}
    ours = {item.name: item.value for item in a_reviewed_result.review.measurements if item.value is not None}
    if a_reviewed_result.volume.GetTransformNodeID() is None:
        assert values == pytest.approx(ours)
    assert values.keys() == ours.keys()


@pytest.mark.parametrize("in_mm", [True, False])
def test_a_file_of_the_command_line_becomes_a_result(tmp_path, in_mm: bool) -> None:
    host = SceneHost()
    volume = add_volume(host.scene)
    if in_mm:
        calibrate_by_spacing(host.scene, volume, 0.5, 0.5)
    landmarks = detected(HEAD, POINTS, ijk_to_ras(volume) if in_mm else None)
    detection = SimpleNamespace(  # what writing needs of a Detection, which itself needs torch
        image=image_from_volume(volume), scheme=HEAD, frames=[SimpleNamespace(landmarks=landmarks, measurements=())]
    )
    write_mrk_json(detection, tmp_path / "ceph.mrk.json")
    loaded = from_markups_file(host.scene, tmp_path / "ceph.mrk.json")
    node = adopt_markups(host.scene, loaded, volume, HEAD)
    assert node is not loaded
    adopted = read_landmarks(node)
    assert adopted.unit == landmarks.unit
    assert [(item.status, item.reason) for item in adopted] == [(item.status, item.reason) for item in landmarks]
    for item, original in zip(adopted.landmarks[:18], landmarks.landmarks[:18], strict=True):
        assert item.ijk == pytest.approx(original.ijk)


def test_points_placed_by_hand_are_copied_by_label_or_code() -> None:
    host = SceneHost()
    volume = add_volume(host.scene)
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    node.AddControlPointWorld([-10.0, -20.0, 0.4], "Nasion")
    node.AddControlPointWorld([-30.0, -40.0, 0.0], "L1")
    node.AddControlPointWorld([-1.0, -1.0, 0.0], "something else")
    node.SetNthControlPointDescription(1, "The rest is missing: look again. predicted")  # no status sentence
    result = adopt_markups(host.scene, node, volume, HEAD)
    landmarks = read_landmarks(result)
    assert landmarks["Nasion"].ijk == pytest.approx((10, 20, 0))
    assert landmarks["Sella"].ijk == pytest.approx((30, 40, 0))
    assert [item.status for item in landmarks][:3] == [Status.EDITED, Status.EDITED, Status.UNDEFINED]
    assert node.GetNumberOfControlPoints() == 3  # the user's own node is left alone
    assert landmarks.unit == "px"


def test_points_without_a_known_label_are_refused() -> None:
    host = SceneHost()
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    node.AddControlPointWorld([0.0, 0.0, 0.0], "F-1")
    with pytest.raises(MedLandmarkError, match="'mine' carries a label of scheme head-19: Sella"):
        adopt_markups(host.scene, node, None, HEAD)
    assert results(host.scene) == []


def test_points_without_an_image_are_measured_in_the_world() -> None:
    host = SceneHost()
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    for number, name in enumerate(load_scheme("plax-4").names):
        node.AddControlPointWorld([10.0 * number, 0.0, 0.0], name)
    review = Review(host.scene, adopt_markups(host.scene, node, None, load_scheme("plax-4")))
    assert [(item.value, item.unit) for item in review.measurements[:3]] == [(10, "mm")] * 3
    review.node.SetNthControlPointPositionWorld(0, -5.0, 0.0, 0.0)
    assert review.measurements[0].value == 15


def test_a_scheme_of_the_users_own_travels_with_the_scene(tmp_path) -> None:
    content = json.loads(resource_path("Schemes", "plax-4.json").read_text(encoding="utf-8"))
    content["id"] = "my-plax"
    path = tmp_path / "my-plax.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    scheme = load_scheme(path)
    host = SceneHost()
    landmarks = detected(scheme, [(1, 2), (3, 4), (5, 6), (7, 8)])
    create_result(host.scene, add_volume(host.scene), landmarks, scheme)
    path.unlink()
    with pytest.raises(SchemeError, match="my-plax cannot be kept"):
        create_result(host.scene, add_volume(host.scene), landmarks, scheme)
    (node,) = results(host.saved_and_loaded(tmp_path / "scene.mrb"))
    assert scheme_of(node).id == "my-plax"
    assert scheme_of(node).measurements == scheme.measurements
    assert Review(host.scene, node).landmarks == landmarks


def test_any_reason_survives_a_scene_file(tmp_path) -> None:
    host = SceneHost()
    landmarks = detected(load_scheme("plax-4"), [(1, 2), (3, 4), (5, 6), (7, 8)])
    reasons = ["; : \" ' < & > %3B \\", "Übergröße 象 µ\n\ttab", "\x01\x7f", "{}[]," * 50]
    landmarks = replace(
        landmarks,
        landmarks=tuple(
            replace(item, reason=reason, status=Status.DOUBTFUL)
            for item, reason in zip(landmarks, reasons, strict=True)
        ),
    )
    create_result(host.scene, add_volume(host.scene), landmarks, load_scheme("plax-4"))
    (node,) = results(host.saved_and_loaded(tmp_path / "scene.mrb"))
    assert read_landmarks(node) == landmarks
