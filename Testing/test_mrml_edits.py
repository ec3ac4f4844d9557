"""What people do to points and to their image while a review is open, and what the review makes of it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
from ceph_scenes import a_desk, world
from profiles import HEAD
from scenes import SceneHost, a_rotation, add_bent_transform, add_transform, add_volume, detected, drag

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import EditObserver, Review, create_result, read_landmarks, write_landmarks
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_desk"]


def test_a_drag_makes_a_landmark_edited_while_it_lasts(a_desk) -> None:
    seen = []
    a_desk.review._on_change = lambda names: seen.append((names, a_desk.review.landmarks["Sella"]))
    drag(a_desk.node, 0, world(a_desk, 31, 10), world(a_desk, 32, 11), world(a_desk, 33, 12))
    assert [names for names, _ in seen[:3]] == [("Sella",)] * 3
    assert [item.ijk for _, item in seen[:3]] == [(31, 10, 0), (32, 11, 0), (33, 12, 0)]
    assert all(item.status is Status.EDITED for _, item in seen)
    sella = read_landmarks(a_desk.node)["Sella"]
    assert (sella.status, sella.ijk, sella.predicted_ijk) == (Status.EDITED, (33, 12, 0), (30, 10, 0))
    assert a_desk.node.GetNthControlPointDescription(0).endswith("edited.")
    assert a_desk.review.landmarks.landmarks[1:] == a_desk.detected.landmarks[1:]


def test_measurements_are_live_during_a_drag(a_desk) -> None:
    def value() -> float:
        return next(item.value for item in a_desk.review.measurements if item.name == "S-Go")

    values = []
    a_desk.review._on_change = lambda names: values.append(value())
    drag(a_desk.node, 0, world(a_desk, 30, 20), world(a_desk, 30, 30))  # gonion lies at (30, 90), 0.5 mm a pixel
    assert values[:2] == pytest.approx([35, 30])


def test_a_click_without_a_move_is_no_edit(a_desk) -> None:
    drag(a_desk.node, 0)
    assert a_desk.told == []
    assert a_desk.review.landmarks == a_desk.detected
    assert a_desk.review.stack.undo_text == ""


def test_a_dragged_doubtful_point_is_doubtful_no_more(a_desk) -> None:
    assert a_desk.detected["Posterior nasal spine"].status is not Status.DOUBTFUL
    doubtful = a_desk.detected.landmarks[17].name
    drag(a_desk.node, 17, world(a_desk, 50, 50))
    landmark = a_desk.review.landmarks[doubtful]
    assert (landmark.status, landmark.reason) == (Status.EDITED, "")
    assert a_desk.node.GetNthControlPointSelected(17)
    a_desk.review.revert([doubtful])
    assert a_desk.review.landmarks == a_desk.detected
    assert not a_desk.node.GetNthControlPointSelected(17)


def test_another_module_that_moves_a_point_has_edited_it(a_desk) -> None:
    a_desk.node.SetNthControlPointPositionWorld(4, *world(a_desk, 60, 61))
    assert a_desk.told[0] == ("Subspinale (A point)",)
    assert read_landmarks(a_desk.node)["Subspinale (A point)"].status is Status.EDITED
    assert a_desk.review.stack.undo_text == "edit Subspinale (A point)"


def test_a_batch_of_moves_is_one_edit(a_desk) -> None:
    was_disabled = a_desk.node.StartModify()
    for number in range(5):
        a_desk.node.SetNthControlPointPositionWorld(number, *world(a_desk, 10 + number, 12))
    a_desk.node.EndModify(was_disabled)
    assert a_desk.review.stack.undo_text == "edit 5 landmarks"
    assert a_desk.review.stack.undo()
    assert a_desk.review.landmarks == a_desk.detected


@pytest.mark.parametrize(
    ("do", "status", "text"),
    [
        ("SetNthControlPointPositionMissing", Status.MISSING, "mark missing Nasion"),
        ("UnsetNthControlPointPosition", Status.UNDEFINED, "unset Nasion"),
    ],
)
def test_slicers_own_states_are_taken_over(a_desk, do: str, status: Status, text: str) -> None:
    getattr(a_desk.node, do)(1)
    assert a_desk.review.landmarks["Nasion"].status is status
    assert next(item for item in a_desk.review.measurements if item.name == "SNA").status is Status.MISSING
    assert a_desk.review.stack.undo_text == text
    a_desk.node.SetNthControlPointPositionWorld(1, *world(a_desk, 70, 20))
    assert a_desk.review.landmarks["Nasion"].status is Status.EDITED
    assert a_desk.review.stack.undo() and a_desk.review.stack.undo()
    assert a_desk.review.landmarks == a_desk.detected


def test_a_point_being_placed_is_not_placed_yet(a_desk) -> None:
    a_desk.node.UnsetNthControlPointPosition(1)
    a_desk.node.ResetNthControlPointPosition(1)  # what place mode does: the point follows the mouse
    assert a_desk.node.GetNthControlPointPositionStatus(1) == a_desk.node.PositionPreview
    assert a_desk.review.landmarks["Nasion"].status is Status.UNDEFINED


def test_a_point_at_no_number_is_put_back(a_desk) -> None:
    a_desk.node.SetNthControlPointPosition(0, float("nan"), 1.0, 2.0)
    assert a_desk.node.GetNthControlPointPositionWorld(0) == pytest.approx(world(a_desk, 30, 10))
    assert a_desk.review.landmarks == a_desk.detected


def test_points_stay_on_the_picture(a_desk) -> None:
    drag(a_desk.node, 0, (*world(a_desk, 40, 50)[:2], 12.5))
    assert a_desk.node.GetNthControlPointPositionWorld(0) == pytest.approx(world(a_desk, 40, 50))
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((40, 50, 0))


def test_points_of_a_volume_may_go_to_any_slice() -> None:
    host = SceneHost()
    volume = add_volume(host.scene, (9, 60, 60), (1, 1, 3))
    node = create_result(host.scene, volume, detected(load_scheme("plax-4"), [(9, 9)] * 4, ijk_to_ras(volume)),
                         load_scheme("plax-4"))  # fmt: skip
    review = Review(host.scene, node)
    node.SetNthControlPointPositionWorld(0, -20.0, -30.0, 12.0)
    assert review.landmarks.landmarks[0].ijk == pytest.approx((20, 30, 4))


def test_what_the_module_writes_is_no_edit(a_desk) -> None:
    changed = []
    observer = EditObserver(a_desk.node, changed.append, changed.append)
    moved = a_desk.detected.replaced(
        type(a_desk.detected["Sella"])("Sella", ijk=(50.0, 50.0, 0.0), status=Status.PREDICTED)
    )
    write_landmarks(a_desk.node, moved, HEAD)  # by anybody, without telling the review
    assert changed == []
    assert a_desk.review.landmarks["Sella"].status is Status.PREDICTED
    assert a_desk.review.stack.undo_text == ""
    observer.close()
    a_desk.node.SetNthControlPointPositionWorld(4, *world(a_desk, 60, 61))
    assert changed == []


def test_reordering_points_by_hand_is_undone(a_desk) -> None:
    a_desk.node.SwapControlPoints(0, 5)
    assert [a_desk.node.GetNthControlPointLabel(number) for number in range(19)] == list(HEAD.names)
    assert a_desk.review.landmarks == a_desk.detected
    drag(a_desk.node, 0, world(a_desk, 31, 10))
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((31, 10, 0))


def test_the_image_takes_its_points_along(a_desk) -> None:
    node, volume, review = a_desk.node, a_desk.volume, a_desk.review
    drag(node, 0, world(a_desk, 31, 10))
    before, values = review.landmarks, [item.value for item in review.measurements]
    transform = add_transform(a_desk.scene, a_rotation())

    def check() -> None:
        assert [(item.ijk, item.status) for item in review.landmarks] == [(i.ijk, i.status) for i in before]
        np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), world(a_desk, 31, 10), atol=1e-9)
        np.testing.assert_allclose(review.landmarks["Sella"].ras, world(a_desk, 31, 10), atol=1e-6)
        assert [item.value for item in review.measurements] == pytest.approx(values)

    volume.SetAndObserveTransformNodeID(transform.GetID())
    check()
    assert review.landmarks["Sella"].ras != before["Sella"].ras
    other = add_transform(a_desk.scene, a_rotation(-70, (1, 2, 3)))
    transform.SetAndObserveTransformNodeID(other.GetID())
    check()
    volume.HardenTransform()
    check()
    volume.SetOrigin(100, 200, 300)
    check()
    volume.SetAndObserveTransformNodeID(None)
    check()
    assert review.stack.undo_text == "edit Sella"  # none of that is an edit of a landmark


def test_a_spacing_set_elsewhere_keeps_points_on_their_pixels_but_not_their_millimetres(a_desk) -> None:
    a_desk.volume.SetSpacing(0.1, 0.1, 1)
    assert [item.ijk for item in a_desk.review.landmarks] == [item.ijk for item in a_desk.detected]
    assert a_desk.review.landmarks.unit == "px"
    np.testing.assert_allclose(a_desk.node.GetNthControlPointPositionWorld(0), [-3, -1, 0], atol=1e-9)


def test_a_bent_image_keeps_its_points(a_desk) -> None:
    a_desk.volume.SetAndObserveTransformNodeID(add_bent_transform(a_desk.scene).GetID())
    drag(a_desk.node, 0, tuple(np.array(a_desk.node.GetNthControlPointPositionWorld(0)) + [1, 0, 0]))
    assert a_desk.review.landmarks["Sella"].status is Status.EDITED
    assert a_desk.review.landmarks.landmarks[1].ijk == a_desk.detected.landmarks[1].ijk
