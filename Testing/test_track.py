"""Landmarks through time: what smoothing keeps, what it flags, what it refuses to invent, and what a person fixes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from clips import A4C, a4c_points, a_track, contraction
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.errors import MedLandmarkError, SchemeError
from MedLandmarkLib.landmark import Landmark, Status
from MedLandmarkLib.track import SmoothingSettings, Track, track_from_fields, track_to_fields
from MedLandmarkLib.track.penalised import smoothed
from MedLandmarkLib.track.smoothing import variance_of_confidence

APEX = "lv_apex"
SEPTAL = "mitral_hinge_septal"


def beating(rate_hz: float = 50.0, seconds: float = 2.4, noise_px: float = 0.0, **options: object) -> tuple:
    """A track, the truth (F, 4, 2), and the times."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    truth = a4c_points(contraction(times))
    noisy = truth + np.random.default_rng(1).normal(0, noise_px, truth.shape)
    return a_track(options.pop("points", noisy), A4C, "a4c-4", times, **options), truth, times


def xy(track: Track) -> np.ndarray:
    return np.array([[item.ijk[:2] for item in frame] for frame in track.frames])


@pytest.mark.parametrize("rate_hz", [25, 30, 50, 80])
def test_smoothing_keeps_peaks_and_does_not_lag(rate_hz: int) -> None:
    track, truth, _ = beating(rate_hz)
    np.testing.assert_allclose(xy(track)[3:-3], truth[3:-3], atol=0.05)  # of 15 px of motion


@pytest.mark.parametrize("rate_hz", [25, 30, 50, 80])
def test_smoothing_at_least_halves_the_jitter(rate_hz: int) -> None:
    track, truth, _ = beating(rate_hz, seconds=4, noise_px=1.0)
    raw = np.array([[item.ijk[:2] for item in frame] for frame in track.detected])
    assert np.std(np.diff(xy(track) - truth, axis=0)) < 0.5 * np.std(np.diff(raw - truth, axis=0))


def test_the_stated_frequency_is_halved() -> None:
    times = np.arange(400) / 100.0
    for frequency, gain in ((6.0, 0.5), (2.0, 1.0), (18.0, 0.0)):
        wave = np.sin(2 * np.pi * frequency * times)[:, None]
        course = smoothed(wave, np.ones(400), times, 6.0 / 100.0)
        assert np.std(course[100:300]) / np.std(wave[100:300]) == pytest.approx(gain, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 60), st.integers(0, 1000), st.tuples(*[st.floats(-50, 50)] * 3))
def test_constant_acceleration_passes_unchanged_on_uneven_times(count: int, seed: int, terms: tuple) -> None:
    times = np.cumsum(np.random.default_rng(seed).uniform(0.5, 2.0, count))
    unit = times / times[-1]
    course = (terms[0] + terms[1] * unit + terms[2] * unit**2)[:, None]
    np.testing.assert_allclose(smoothed(course, np.ones(count), times, 0.1), course, atol=1e-4)


def test_a_frame_counts_by_its_confidence() -> None:
    _, truth, times = beating(noise_px=0)
    bad = truth.copy()
    bad[40, 2] += (3.0, 0)
    sure, unsure = np.full(len(times), 0.9), np.full(len(times), 0.9)
    unsure[40] = 0.3
    pulled = [abs(xy(a_track(bad, A4C, "a4c-4", times, confidence=one))[40, 2, 0] - 100) for one in (sure, unsure)]
    assert pulled[1] < 0.6 * pulled[0]


def test_the_variance_of_a_confidence_is_that_of_a_rayleigh_distribution() -> None:
    errors = np.linalg.norm(np.random.default_rng(0).normal(0, 2.0, (200_000, 2)), axis=1)
    confidence = np.mean(errors <= 3.0)
    assert variance_of_confidence(np.array(confidence), 3.0) == pytest.approx(4.0, rel=0.02)


def test_a_frame_that_disagrees_is_flagged_and_bridged() -> None:
    _, truth, times = beating()
    wrong = truth + np.random.default_rng(2).normal(0, 0.3, truth.shape)
    wrong[30, 2] += (40, 0)
    wrong[60:62, 2] += (0, 30)  # two in a row
    track = a_track(wrong, A4C, "a4c-4", times)
    for frame in (30, 60, 61):
        apex = track.frames[frame][APEX]
        assert apex.status is Status.DOUBTFUL and "px from the course of its neighbours" in apex.reason
        assert np.linalg.norm(np.subtract(apex.ijk[:2], truth[frame, 2])) < 1.0
        assert apex.predicted_ijk[:2] == tuple(wrong[frame, 2])
    flagged = {frame for frame, one in enumerate(track.frames) if one[APEX].status is not Status.PREDICTED}
    assert flagged == {30, 60, 61}
    assert all(one[SEPTAL].status is Status.PREDICTED for one in track.frames)


def test_a_short_gap_is_bridged_and_a_long_one_stays_missing() -> None:
    track, truth, _ = beating(missing=(20, 21, 22, *range(60, 75)))
    assert all(track.frames[frame][APEX].status is Status.DOUBTFUL for frame in (20, 21, 22))
    assert "bridged" in track.frames[21][APEX].reason
    np.testing.assert_allclose(track.frames[21][SEPTAL].ijk[:2], truth[21, 0], atol=0.3)
    gap = [track.frames[frame][APEX] for frame in range(60, 75)]
    assert all(item.status is Status.MISSING and "0.15 s" in item.reason for item in gap)
    longer = replace(track, settings=SmoothingSettings(longest_gap_s=0.4))
    assert longer.frames[67][APEX].status is Status.DOUBTFUL


def test_nothing_is_invented_before_the_first_good_frame_or_behind_the_last() -> None:
    track, _, times = beating(missing=(0, 1, 119))
    assert len(times) == 120
    assert [track.frames[frame][APEX].status for frame in (0, 1, 119)] == [Status.MISSING] * 3
    assert track.frames[2][APEX].status is Status.PREDICTED


def test_a_key_frame_is_met_and_its_neighbours_follow() -> None:
    track, _, _ = beating(noise_px=0.3)
    placed = Landmark(APEX, (130.0, 60.0, 0.0), status=Status.EDITED)
    corrected = track.with_fixed(12, placed)
    apex = corrected.frames[12][APEX]
    assert apex.ijk == (130.0, 60.0, 0.0) and apex.ras == (-130.0, -60.0, 0.0) and apex.status is Status.EDITED
    assert apex.predicted_ijk == track.detected[12][APEX].ijk
    assert corrected.frames[13][APEX].ijk[0] > track.frames[13][APEX].ijk[0] + 5
    np.testing.assert_allclose(xy(corrected)[40:], xy(track)[40:], atol=0.05)
    assert corrected.key_frames == (12,) and track.key_frames == ()


def test_a_key_frame_can_be_taken_back() -> None:
    track, _, _ = beating(noise_px=0.3)
    fixed = track.with_fixed(5, Landmark(APEX, (1.0, 2.0, 0.0), status=Status.EDITED))
    fixed = fixed.with_fixed(5, Landmark(SEPTAL, (3.0, 4.0, 0.0), status=Status.ACCEPTED))
    assert fixed.without_fixed(5, APEX).fixed == {5: {SEPTAL: fixed.fixed[5][SEPTAL]}}
    assert fixed.without_fixed(5).frames == track.frames


def test_a_landmark_that_a_person_removed_is_missing_there_alone() -> None:
    track, _, _ = beating()
    removed = track.with_fixed(50, Landmark(APEX, status=Status.MISSING))
    statuses = [removed.frames[frame][APEX].status for frame in (49, 50, 51)]
    assert statuses == [Status.PREDICTED, Status.MISSING, Status.PREDICTED]


@pytest.mark.parametrize(
    ("frame", "landmark", "error", "message"),
    [
        (500, Landmark(APEX, (1, 1, 0), status=Status.EDITED), MedLandmarkError, "no frame 500"),
        (0, Landmark("nose", (1, 1, 0), status=Status.EDITED), SchemeError, "no landmark 'nose'"),
        (0, Landmark(APEX, (1, 1, 0), status=Status.PREDICTED), MedLandmarkError, "is predicted; a key frame holds"),
    ],
)
def test_a_key_frame_that_cannot_be_is_refused(frame: int, landmark: Landmark, error: type, message: str) -> None:
    track, _, _ = beating()
    with pytest.raises(error, match=message):
        track.with_fixed(frame, landmark)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_few_frames_are_left_as_they_are_or_smoothed_but_never_lost(count: int) -> None:
    truth = a4c_points(np.linspace(0, 1, count))
    track = a_track(truth, A4C, "a4c-4", np.arange(count) / 30.0)
    np.testing.assert_allclose(xy(track), truth, atol=0.5)


def test_a_clip_without_times_is_smoothed_at_the_assumed_rate() -> None:
    track, _, _ = beating(rate_hz=30, noise_px=1.0)
    np.testing.assert_allclose(xy(replace(track, times_s=None)), xy(track), atol=1e-6)


def test_a_clip_without_calibration_has_no_place_in_the_patient() -> None:
    track, _, _ = beating(mm_per_px=None)
    assert all(item.ras is None for frame in track.frames for item in frame)


def test_a_track_survives_being_written_down() -> None:
    track, _, _ = beating(noise_px=1.0, missing=(7, 8))
    track = track.with_fixed(12, Landmark(APEX, (130.0, 60.0, 0.0), status=Status.EDITED))
    again = track_from_fields(json.loads(json.dumps(track_to_fields(track))))
    assert again.frames == track.frames and again.key_frames == (12,)


@pytest.mark.parametrize("change", [{"schema_version": "9"}, {"names": None}, {"detected": []}, {"ijk_to_ras": [1]}])
def test_a_damaged_record_of_a_track_is_refused(change: dict) -> None:
    track, _, _ = beating()
    with pytest.raises(MedLandmarkError):
        track_from_fields({**track_to_fields(track), **change})


@pytest.mark.parametrize("change", [{"cutoff_hz": 0}, {"most_of_rate": 0.5}, {"longest_gap_s": math.nan}])
def test_settings_that_cannot_be_are_refused(change: dict) -> None:
    with pytest.raises(MedLandmarkError, match=next(iter(change))):
        SmoothingSettings(**change)


def test_times_that_do_not_rise_are_refused() -> None:
    track, _, times = beating()
    with pytest.raises(MedLandmarkError, match="each later than the last"):
        replace(track, times_s=tuple(times[::-1]))
