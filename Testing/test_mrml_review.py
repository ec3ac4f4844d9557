"""A review: its commands, how it ends with its scene or before it, and how quickly it follows a move."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from ceph_scenes import POINTS, a_desk, world
from profiles import HEAD
from scenes import SceneHost, add_volume, detected, drag, errors_in_callbacks

from MedLandmarkLib.errors import MedLandmarkError, SchemeError
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import Review, calibrate_by_spacing, create_result, next_to_review, read_landmarks
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_desk"]


def test_the_reviewers_commands(a_desk) -> None:
    review = a_desk.review
    names = HEAD.names
    assert next_to_review(review.landmarks) == names[17]
    assert next_to_review(review.landmarks, names[17]) == names[17]
    assert review.accept_all_confident() == names[:17]
    assert [item.status for item in review.landmarks] == [Status.ACCEPTED] * 17 + [Status.DOUBTFUL, Status.MISSING]
    assert review.accept(names) == (names[17],)
    assert next_to_review(review.landmarks) == ""
    assert review.accept(names) == ()
    assert review.mark_missing(["Sella", "Nasion"]) == ("Sella", "Nasion")
    assert review.landmarks["Sella"].ijk == a_desk.detected["Sella"].ijk
    assert review.revert(names) == names[:18]
    assert review.landmarks == a_desk.detected
    assert review.stack.undo_text == "revert 18 landmarks"
    with pytest.raises(SchemeError, match="no landmark 'Sela'"):
        review.accept(["Sela"])


def test_an_edit_is_not_turned_into_an_acceptance(a_desk) -> None:
    drag(a_desk.node, 0, world(a_desk, 31, 10))
    assert a_desk.review.accept(["Sella"]) == ()
    assert a_desk.review.landmarks["Sella"].status is Status.EDITED


def test_a_deleted_result_is_said_to_be_one(a_desk) -> None:
    a_desk.scene.RemoveNode(a_desk.node)
    with pytest.raises(MedLandmarkError, match="not in the scene any more"):
        a_desk.review.accept(["Sella"])


def test_a_scene_closed_under_an_open_review_does_no_harm(a_desk) -> None:
    a_desk.review.show_drawings(True)
    a_desk.node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    a_desk.node.SetNthControlPointPositionWorld(0, *world(a_desk, 31, 10))
    a_desk.scene.Clear(False)
    with pytest.raises(MedLandmarkError, match="not in the scene any more"):
        a_desk.review.mark_missing(["Sella"])


def test_a_broken_observer_would_be_noticed(a_desk) -> None:
    def broken(names) -> None:
        raise RuntimeError("broken")

    a_desk.review._on_change = broken
    with errors_in_callbacks() as errors:
        drag(a_desk.node, 0, world(a_desk, 31, 10))
    assert {str(error) for error in errors} == {"broken"}
    a_desk.review._on_change = a_desk.told.append


def test_a_closed_review_hears_nothing(a_desk) -> None:
    a_desk.review.close()
    drag(a_desk.node, 0, world(a_desk, 31, 10))
    a_desk.volume.SetSpacing(3, 3, 1)
    assert a_desk.told == []
    assert a_desk.review.landmarks == a_desk.detected


def test_a_drag_that_never_ends_is_kept_when_the_review_is_closed(a_desk) -> None:
    a_desk.node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    a_desk.node.SetNthControlPointPositionWorld(0, *world(a_desk, 31, 10))
    a_desk.review.close()
    assert a_desk.node.GetNthControlPointDescription(0).endswith("edited.")
    assert a_desk.review.stack.undo_text == "edit Sella"


def test_two_reviews_of_one_result_agree(a_desk) -> None:
    other = Review(a_desk.scene, a_desk.node)
    drag(a_desk.node, 0, world(a_desk, 31, 10))
    assert other.landmarks == a_desk.review.landmarks
    other.accept_all_confident()
    assert a_desk.review.landmarks == other.landmarks == read_landmarks(a_desk.node)
    other.close()


@pytest.fixture
def sixty_landmarks(tmp_path):
    """A scheme of 60 landmarks of which the 19 of a cephalogram are measured in every way, twice."""
    content = json.loads(resource_path("Schemes", "head-19.json").read_text(encoding="utf-8"))
    content["id"] = "head-60"
    content["landmarks"] += [{"name": f"point {n}", "definition": f"Point {n}."} for n in range(41)]
    for measurement in list(content["measurements"]):
        if "terms" not in measurement:
            content["measurements"].append({**measurement, "name": f"{measurement['name']} again"})
    path = tmp_path / "head-60.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return load_scheme(path)


@pytest.mark.parametrize("with_drawings", [False, True])
def test_a_move_among_sixty_points_takes_less_than_ten_milliseconds(sixty_landmarks, with_drawings, capsys) -> None:
    host = SceneHost()
    volume = add_volume(host.scene, (1, 500, 300))
    calibrate_by_spacing(host.scene, volume, 0.5, 0.5)
    points = [*POINTS.tolist(), *((150 + 10 * (n % 10), 20 + 6 * n) for n in range(41))]
    started = time.process_time()
    node = create_result(host.scene, volume, detected(sixty_landmarks, points, ijk_to_ras(volume)), sixty_landmarks)
    review = Review(host.scene, node)
    into_scene_s = time.process_time() - started
    review.show_drawings(with_drawings)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    times_s = []
    for step in range(60):
        place = (ijk_to_ras(volume) @ [30 + step, 12, 0, 1])[:3]
        started = time.process_time()  # of this process alone: others may keep the machine busy
        node.SetNthControlPointPositionWorld(0, *place)
        times_s.append(time.process_time() - started)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
    assert review.landmarks["Sella"].ijk == pytest.approx((89, 12, 0))
    assert len(review.measurements) > 40
    with capsys.disabled():
        print(
            f" [{len(review.measurements)} measurements, {'with' if with_drawings else 'without'} drawings: "
            f"{1000 * np.median(times_s):.2f} ms a move; into the scene in {1000 * into_scene_s:.0f} ms]",
            end="",
        )
    assert np.median(times_s) < 0.010
    assert into_scene_s < 0.2
