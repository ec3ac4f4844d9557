"""Clips in the scene: volume sequences, landmarks through time, corrections, tables and plots."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from scenes import SceneHost, drag, drawn_lines, errors_in_callbacks, is_drawn

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.image import Calibration
from MedLandmarkLib.image.clip import clip_from_pixels
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure.cine import measure_track
from MedLandmarkLib.mrml import (
    ClipReview,
    CommandStack,
    ResultCreated,
    add_clip,
    calibrate_by_spacing,
    clip_from_volume,
    create_clip_result,
    frames_of,
    open_review,
    results,
    track_of,
)
from MedLandmarkLib.mrml.clip_tables import END_DIASTOLE, END_SYSTOLE
from MedLandmarkLib.mrml.sequences import browser_of, sequence_of
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import Track, track_to_fields

A4C = load_scheme("a4c-4")
FRAMES, RATE_HZ, BEAT_S = 60, 30.0, 1.0
PLACES = np.array([(80.0, 150.0), (120.0, 150.0), (100.0, 40.0), (100.0, 190.0)])  # in the scheme's order below


def a_clip(spacing_mm: float | None = 0.5, times: bool = True):
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 255, (FRAMES, 220, 200), dtype=np.uint8)
    matrix = np.diag((-1.0, -1.0, 1.0, 1.0))
    calibration = Calibration("none", "made up")
    if spacing_mm:
        matrix[:2, :2] *= spacing_mm
        calibration = Calibration("calibrated", "made up", (spacing_mm, spacing_mm))
    times_s = tuple(np.arange(FRAMES) / RATE_HZ) if times else None
    return clip_from_pixels(pixels, ijk_to_ras=matrix, calibration=calibration, times_s=times_s)


def beating_track(clip) -> Track:
    """The apex goes down and the hinges go up and back once in a beat; every point has a pixel of noise."""
    rng, detected = np.random.default_rng(7), []
    order = {name: number for number, name in enumerate(A4C.names)}
    for frame in range(clip.frame_count):
        squeeze = 0.5 - 0.5 * np.cos(2 * np.pi * frame / RATE_HZ / BEAT_S)
        landmarks = []
        for name, number in order.items():
            x, y = PLACES[number]
            y += (18.0 if y < 100 else -18.0) * squeeze
            ijk = (float(x + rng.normal(0, 0.4)), float(y + rng.normal(0, 0.4)), 0.0)
            ras = clip.ras_from_ijk(np.array(ijk))
            landmarks.append(
                Landmark(name, ijk=ijk, ras=None if ras is None else tuple(ras.tolist()), status=Status.PREDICTED,
                         confidence=0.9, score=0.8, predicted_ijk=ijk)
            )  # fmt: skip
        detected.append(LandmarkSet(A4C.id, tuple(landmarks), frame))
    matrix = None if clip.calibration.kind == "none" else clip.ijk_to_ras
    return Track(A4C.id, tuple(detected), times_s=clip.times_s, ijk_to_ras=matrix)


@pytest.fixture
def a_scene_with_a_clip():
    host = SceneHost()
    host.sequences = slicer.vtkSlicerSequencesLogic()
    host.sequences.SetMRMLApplicationLogic(host.application)
    host.sequences.SetMRMLScene(host.scene)
    clip = a_clip()
    volume = add_clip(host.scene, clip, "loop")
    with errors_in_callbacks() as errors:
        yield SimpleNamespace(host=host, scene=host.scene, clip=clip, volume=volume)
    assert not errors


@pytest.fixture
def a_reviewed_clip(a_scene_with_a_clip):
    desk = a_scene_with_a_clip
    desk.track = beating_track(desk.clip)
    desk.node = create_clip_result(desk.scene, desk.volume, desk.track, A4C, heart_rate_bpm=61.0)
    desk.stack = CommandStack()
    desk.review = open_review(desk.scene, desk.node, desk.stack)
    yield desk
    desk.review.close()


def column(node, name: str) -> list:
    values = node.GetTable().GetColumnByName(name)
    assert values is not None, name
    return [values.GetValue(number) for number in range(values.GetNumberOfValues())]


def shown(desk, number: int) -> np.ndarray:
    return np.array(desk.node.GetNthControlPointPositionWorld(number))


def assert_same(first: LandmarkSet, second: LandmarkSet) -> None:
    """Frames that a correction moves by less than a thousandth of a pixel are left as they are."""
    for one, other in zip(first, second, strict=True):
        assert (one.name, one.status, one.reason) == (other.name, other.status, other.reason)
        np.testing.assert_allclose(one.ijk, other.ijk, rtol=0, atol=1e-3)


# --- volume sequences ---


def test_a_clip_comes_back_from_the_scene_as_it_went_in(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    again = clip_from_volume(desk.scene, desk.volume)
    assert frames_of(desk.scene, desk.volume) == again.frame_count == FRAMES
    assert again.size_wh == desk.clip.size_wh
    np.testing.assert_allclose(again.ijk_to_ras, desk.clip.ijk_to_ras)
    np.testing.assert_allclose(again.times_s, desk.clip.times_s, atol=1e-6)
    assert again.calibration == desk.clip.calibration
    for frame in (0, 17, FRAMES - 1):
        np.testing.assert_array_equal(again.picture(frame), desk.clip.picture(frame))


def test_playing_shows_the_pictures_one_after_another(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    browser = browser_of(desk.scene, desk.volume)
    for frame in (0, 1, 2, 30):
        browser.SetSelectedItemNumber(frame)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(desk.volume)[0], desk.clip.picture(frame))


def test_a_sequence_that_is_not_indexed_by_time_has_no_times(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    sequence_of(desk.scene, desk.volume).SetIndexUnit("")
    clip = clip_from_volume(desk.scene, desk.volume)
    assert clip.times_s is None
    assert "not by time" in clip.time_source


def test_times_in_milliseconds_are_understood(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    sequence_of(desk.scene, desk.volume).SetIndexUnit("ms")
    clip = clip_from_volume(desk.scene, desk.volume)
    np.testing.assert_allclose(clip.times_s, np.array(desk.clip.times_s) / 1000, atol=1e-6)


def test_a_single_image_is_no_clip(a_scene_with_a_clip) -> None:
    scene = a_scene_with_a_clip.scene
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "still")
    slicer.util.updateVolumeFromArray(volume, np.zeros((1, 40, 50), np.uint8))
    assert frames_of(scene, volume) == 1
    with pytest.raises(ImageError, match="still"):
        clip_from_volume(scene, volume)


def test_frames_of_another_size_are_named(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    frame = sequence_of(desk.scene, desk.volume).GetNthDataNode(9)
    slicer.util.updateVolumeFromArray(frame, np.zeros((1, 100, 90, 3), np.uint8))
    with pytest.raises(ImageError, match="Frame 9"):
        clip_from_volume(desk.scene, desk.volume)


# --- landmarks through time ---


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


# --- corrections ---


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


# --- the scene ---


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
