"""Landmarks through time in the scene: frame by frame, in tables and plots, undone, saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest
from clip_scenes import A4C, FRAMES, a_clip, a_reviewed_clip, a_scene_with_a_clip, beating_track, column, shown
from scenes import drag

from MedLandmarkLib.errors import MedLandmarkError
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure.cine import measure_track
from MedLandmarkLib.mrml import (
    ClipReview,
    CommandStack,
    ResultCreated,
    create_clip_result,
    open_review,
    results,
    track_of,
)
from MedLandmarkLib.mrml.clip_tables import END_DIASTOLE, END_SYSTOLE
from MedLandmarkLib.mrml.sequences import browser_of
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import Track, track_to_fields

__all__ = ["a_reviewed_clip", "a_scene_with_a_clip"]


def assert_same(first: LandmarkSet, second: LandmarkSet) -> None:
    """Frames that a correction moves by less than a thousandth of a pixel are left as they are."""
    for one, other in zip(first, second, strict=True):
        assert (one.name, one.status, one.reason) == (other.name, other.status, other.reason)
        np.testing.assert_allclose(one.ijk, other.ijk, rtol=0, atol=1e-3)


def test_every_frame_shows_its_own_landmarks(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    assert isinstance(desk.review, ClipReview)
    assert browser_of(desk.scene, desk.node) is browser_of(desk.scene, desk.volume)
    for frame in (5, 0, 40):
        desk.review.go_to(frame)
        assert desk.review.landmarks == desk.track.frames[frame]
        assert desk.review.prediction == desk.track.detected[frame]
        for number, landmark in enumerate(desk.track.frames[frame]):
            np.testing.assert_allclose(shown(desk, number), landmark.ras, atol=1e-6)


def test_the_scene_holds_one_list_of_points(a_reviewed_clip) -> None:
    assert a_reviewed_clip.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1


def test_a_track_of_another_length_is_refused_and_leaves_nothing(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    short = beating_track(a_clip())
    short = Track(A4C.id, short.detected[:10])
    before = desk.scene.GetNumberOfNodes()
    with pytest.raises(MedLandmarkError, match="10 frames"):
        create_clip_result(desk.scene, desk.volume, short, A4C)
    assert desk.scene.GetNumberOfNodes() == before


def test_the_tables_hold_curves_beats_and_values(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    expected = measure_track(desk.track, A4C, heart_rate_bpm=61.0)
    assert len(expected.beats) >= 1
    table = desk.review.curves.node
    curve = expected.curve("LV long axis")
    np.testing.assert_allclose(column(table, "LV long axis (mm)"), curve.values)
    np.testing.assert_allclose(column(table, "time (s)"), desk.clip.times_s)
    systoles = np.flatnonzero(np.isfinite(column(table, END_SYSTOLE)))
    assert list(systoles) == [beat.end_systole for beat in expected.beats]
    assert column(table, "phase")[expected.beats[0].end_diastole] == "ED"
    values = dict(zip(column(desk.review.values.node, "Value"), column(desk.review.values.node, "Mean"), strict=True))
    np.testing.assert_allclose(values["Longitudinal shortening"], expected.value("Longitudinal shortening").mean)


def test_the_chart_shows_the_curves_and_the_marks_of_the_beats(a_reviewed_clip) -> None:
    chart, table = a_reviewed_clip.review.plot.node, a_reviewed_clip.review.curves.node
    series = [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]
    assert series[0].GetName() == "LV long axis"
    assert {END_DIASTOLE, END_SYSTOLE} <= {one.GetName() for one in series}
    for one in series:
        assert one.GetTableNode() is table
        assert table.GetTable().GetColumnByName(one.GetXColumnName()) is not None
        assert table.GetTable().GetColumnByName(one.GetYColumnName()) is not None
    assert (chart.GetXAxisTitle(), chart.GetYAxisTitle()) == ("time (s)", "mm")


def test_a_scheme_that_measures_nothing_through_time_still_has_its_frames(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    scheme = load_scheme("fetal-head-4")
    assert scheme.cine is None
    frames = [
        LandmarkSet(
            scheme.id,
            tuple(
                Landmark(
                    name, ijk=(20.0 + 9 * k, 30.0, 0.0), ras=(-10.0 - 4.5 * k, -15.0, 0.0), status=Status.PREDICTED
                )
                for k, name in enumerate(scheme.names)
            ),
            frame,
        )
        for frame in range(FRAMES)
    ]
    track = Track(scheme.id, tuple(frames), times_s=desk.clip.times_s, ijk_to_ras=desk.clip.ijk_to_ras)
    review = open_review(desk.scene, create_clip_result(desk.scene, desk.volume, track, scheme), CommandStack())
    assert review.measurement is None
    assert column(review.curves.node, "frame")[-1] == FRAMES - 1
    review.close()


def test_a_saved_scene_comes_back_equal(a_reviewed_clip, tmp_path) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(12)
    drag(desk.node, 0, shown(desk, 0) + [3.0, 4.0, 0.0])
    fields, landmarks = track_to_fields(desk.review.track), desk.review.landmarks
    curve = column(desk.review.curves.node, "LV long axis (mm)")
    desk.review.close()
    scene = desk.host.saved_and_loaded(tmp_path / "clip.mrb")
    (node,) = results(scene)
    review = open_review(scene, node, CommandStack())
    assert isinstance(review, ClipReview)
    assert review.frame == 12
    assert track_to_fields(review.track) == fields == track_to_fields(track_of(scene, node))
    assert review.landmarks == landmarks
    np.testing.assert_array_equal(column(review.curves.node, "LV long axis (mm)"), curve)
    kinds = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLSequenceNode")
    assert [scene.GetNumberOfNodesByClass(kind) for kind in kinds] == [3, 1, len(review.plot.series), 2]
    review.go_to(30)
    assert_same(review.landmarks, review.track.frames[30])
    assert review.revert_frame() == ()
    review.go_to(12)
    assert review.revert_frame() == (A4C.names[0],)
    review.close()


def test_undoing_a_detection_takes_everything_away_and_redo_brings_it_back(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    kinds = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLMarkupsNode")
    command = ResultCreated(desk.scene, desk.node, "detect landmarks")
    there = [desk.scene.GetNumberOfNodesByClass(kind) for kind in kinds]
    desk.review.close()
    command.undo()
    assert [desk.scene.GetNumberOfNodesByClass(kind) for kind in kinds] == [0, 0, 0, 0]
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 1
    browser_of(desk.scene, desk.volume).SetSelectedItemNumber(8)
    command.redo()
    assert [desk.scene.GetNumberOfNodesByClass(kind) for kind in kinds] == there
    review = open_review(desk.scene, results(desk.scene)[0], CommandStack())
    for frame in (8, 21):
        review.go_to(frame)
        assert review.landmarks == desk.track.frames[frame]
    review.close()


def test_a_point_moved_while_nobody_watched_becomes_a_key_frame(a_reviewed_clip) -> None:
    desk = a_reviewed_clip
    desk.review.go_to(12)
    desk.review.close()
    place = shown(desk, 0) + [3.0, 4.0, 0.0]
    desk.node.SetNthControlPointPositionWorld(0, *place)
    review = open_review(desk.scene, desk.node, CommandStack())
    assert review.track.key_frames == (12,)
    np.testing.assert_allclose(shown(desk, 0), place, atol=0.01)
    review.close()
