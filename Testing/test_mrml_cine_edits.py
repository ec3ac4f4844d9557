"""Corrections of a clip: key frames and the frames that follow them, undone, reverted, calibrated."""

from __future__ import annotations

import numpy as np
from clip_scenes import A4C, a_reviewed_clip, a_scene_with_a_clip, column, shown
from scenes import drag, drawn_lines, is_drawn

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import calibrate_by_spacing
from MedLandmarkLib.track import track_to_fields

__all__ = ["a_reviewed_clip", "a_scene_with_a_clip"]


def test_an_edit_becomes_a_key_frame_that_its_neighbours_follow(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    number = A4C.index("lv_apex")
    desk.review.go_to(12)
    before, curve_before = desk.review.track, column(desk.review.curves.node, "LV long axis (mm)")
    target = shown(desk, number) + [3.0, 4.0, 0.0]
    drag(desk.node, number, target)
    assert desk.review.track.key_frames == (12,)
    np.testing.assert_allclose(shown(desk, number), target, atol=0.01)
    assert desk.review.landmarks["lv_apex"].status is Status.EDITED
    assert desk.review.landmarks["lv_apex"].predicted_ijk == desk.track.detected[12]["lv_apex"].ijk
    desk.review.go_to(13)  # the neighbour followed, a part of the way
    moved = np.linalg.norm(shown(desk, number) - before.frames[13]["lv_apex"].ras)
    assert 0.3 < moved < 5.0
    assert desk.review.landmarks["lv_apex"].status is Status.PREDICTED
    desk.review.go_to(45)
    np.testing.assert_allclose(shown(desk, number), before.frames[45]["lv_apex"].ras, atol=0.05)
    curve = column(desk.review.curves.node, "LV long axis (mm)")
    assert abs(curve[12] - curve_before[12]) > 1.0
    assert column(desk.review.curves.node, "key frame")[12] == "lv_apex"


def test_undo_and_redo_of_an_edit_go_to_its_frame(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(12)
    before = track_to_fields(desk.review.track)
    drag(desk.node, 0, shown(desk, 0) + [3.0, 4.0, 0.0])
    after, values = track_to_fields(desk.review.track), column(desk.review.curves.node, "LV long axis (mm)")
    desk.review.go_to(30)
    assert "frame 12" in desk.stack.undo_text
    assert desk.stack.undo()
    assert desk.review.frame == 12
    assert track_to_fields(desk.review.track) == before
    assert desk.review.landmarks == desk.review.track.frames[12]
    assert desk.stack.redo()
    assert track_to_fields(desk.review.track) == after
    np.testing.assert_allclose(column(desk.review.curves.node, "LV long axis (mm)"), values)


def test_a_key_frame_is_left_to_the_model_again(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(12)
    drag(desk.node, 0, shown(desk, 0) + [3.0, 4.0, 0.0])
    desk.review.mark_missing([A4C.names[1]])
    assert desk.review.landmarks[A4C.names[1]].status is Status.MISSING
    assert desk.review.revert([A4C.names[1]]) == (A4C.names[1],)
    assert desk.review.landmarks[A4C.names[1]].status is Status.PREDICTED
    assert desk.review.revert_frame() == (A4C.names[0],)
    assert desk.review.track.key_frames == ()
    assert track_to_fields(desk.review.track) == track_to_fields(desk.track)
    np.testing.assert_allclose(shown(desk, 0), desk.track.frames[12][A4C.names[0]].ras, atol=1e-3)
    assert desk.review.revert_frame() == ()


def test_accepting_a_frame_fixes_its_landmarks(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(20)
    assert len(desk.review.accept_all_confident()) == len(A4C)
    assert set(desk.review.track.fixed[20]) == set(A4C.names)
    assert all(item.status is Status.ACCEPTED for item in desk.review.landmarks)


def test_lines_and_angles_stay_shown_from_frame_to_frame(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.show_drawings(True)
    for frame in (10, 25):
        desk.review.go_to(frame)
        points = {item.name: shown(desk, number) for number, item in enumerate(desk.review.landmarks)}
        middle = (points["mitral_hinge_septal"] + points["mitral_hinge_lateral"]) / 2
        assert is_drawn(drawn_lines(desk.review), points["lv_apex"], middle)
    desk.review.show_drawings(False)
    desk.review.go_to(11)
    assert not len(drawn_lines(desk.review))


def test_an_unset_point_fixes_nothing_until_it_is_placed(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(3)
    desk.node.UnsetNthControlPointPosition(2)
    assert desk.review.track.key_frames == ()
    desk.node.SetNthControlPointPositionWorld(2, -50.0, -40.0, 0.0)
    assert set(desk.review.track.fixed[3]) == {A4C.names[2]}


def test_a_calibration_moves_all_frames_and_their_measurements(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(12)
    drag(desk.node, 0, shown(desk, 0) + [3.0, 4.0, 0.0])
    before = np.array(column(desk.review.curves.node, "LV long axis (mm)"))
    pixels = [landmark.ijk for landmark in desk.review.track.frames[40]]
    calibrate_by_spacing(desk.scene, desk.volume, 0.25, 0.25)
    np.testing.assert_allclose(column(desk.review.curves.node, "LV long axis (mm)"), before / 2, rtol=1e-9)
    desk.review.go_to(40)
    assert desk.volume.GetSpacing()[:2] == (0.25, 0.25)
    np.testing.assert_allclose([landmark.ijk for landmark in desk.review.landmarks], pixels, atol=1e-6)
    np.testing.assert_allclose(shown(desk, 0), [-0.25 * pixels[0][0], -0.25 * pixels[0][1], 0], atol=1e-6)
    desk.stack.undo()  # of the edit: the pixels are what counts
    assert desk.review.track.key_frames == ()
    np.testing.assert_allclose(desk.review.track.ijk_to_ras[0, 0], -0.25)
