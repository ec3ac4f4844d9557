"""What beats are timed by: the motion that landmarks share, and the pulse of the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import A4C, a4c_points, a_track, contraction

from MedLandmarkLib.detection.pulse import coarse_pictures, picture_pulse, picture_rhythm
from MedLandmarkLib.errors import MedLandmarkError
from MedLandmarkLib.measure.cine import measure_track
from MedLandmarkLib.measure.timing import beat_clock, common_motion, without_drift
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import SmoothingSettings, track_from_fields, track_to_fields

TIMES = np.arange(78) / 30.0
PHASE = contraction(TIMES)


def beating_pictures() -> np.ndarray:
    """(F, 64, 96, 3): a bright bar that goes up and down, in noise."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 60, (len(TIMES), 64, 96, 3)).astype(np.uint8)
    for picture, phase in zip(pictures, PHASE, strict=True):
        top = round(40 - 20 * phase)
        picture[top : top + 8, 20:76] = 220
    return pictures


def test_the_pulse_of_pictures_follows_the_beat_with_one_sign_or_the_other() -> None:
    coarse = coarse_pictures(beating_pictures())
    assert coarse.shape == (78, 21 * 32) and coarse.dtype == np.float32
    pulse = picture_pulse(picture_rhythm(coarse, TIMES), TIMES, SmoothingSettings())
    assert abs(np.corrcoef(pulse, PHASE)[0, 1]) > 0.9


def test_a_still_picture_and_a_few_frames_have_no_pulse() -> None:
    coarse = coarse_pictures(beating_pictures())
    assert picture_rhythm(np.repeat(coarse[:1], 20, axis=0), TIMES[:20]) == ()
    assert picture_rhythm(coarse[:4], TIMES[:4]) == ()
    assert picture_pulse((), TIMES, SmoothingSettings()) is None


def test_the_pulse_steadies_the_beats_of_landmarks_that_are_found_badly() -> None:
    noisy = a4c_points(PHASE) + np.random.default_rng(3).normal(0, 2.0, (78, 4, 2))
    track = a_track(noisy, A4C, "a4c-4", TIMES)
    truth = np.array([12, 36, 60])

    def frames_away(pulse: tuple[float, ...] | None) -> np.ndarray:
        beats = measure_track(replace(track, pulse=pulse), load_scheme("a4c-4")).beats
        return np.abs(np.array([beat.end_systole for beat in beats])[:, None] - truth).min(axis=0)

    steadied = frames_away(tuple(-PHASE))
    assert steadied.max() <= 1 and steadied.sum() <= frames_away(None).sum()


def test_a_pulse_that_does_not_go_with_the_landmarks_is_not_believed() -> None:
    unrelated = np.sin(2 * np.pi * TIMES / 0.53)
    np.testing.assert_array_equal(beat_clock(PHASE, unrelated), PHASE)
    np.testing.assert_array_equal(beat_clock(PHASE, None), PHASE)
    assert np.corrcoef(beat_clock(PHASE, -PHASE), PHASE)[0, 1] == pytest.approx(1.0)


def test_the_motion_of_all_landmarks_rises_with_the_curve() -> None:
    track = a_track(a4c_points(PHASE), A4C, "a4c-4", TIMES)
    motion = common_motion(track.frames, track.detected, TIMES, 100 - 15 * PHASE)
    assert np.corrcoef(motion, -PHASE)[0, 1] > 0.99


def test_breathing_is_taken_out_of_a_long_clip_and_a_short_one_is_left_alone() -> None:
    times = np.arange(300) / 30.0
    drift, beat = 5 * np.sin(2 * np.pi * times / 8.0), contraction(times)
    left = without_drift((drift + beat)[:, None], times)[:, 0]
    assert np.corrcoef(left, beat)[0, 1] > 0.95
    np.testing.assert_array_equal(without_drift(drift[:60, None], times[:60]), drift[:60, None])


def test_a_track_remembers_its_pulse_and_refuses_one_of_another_length() -> None:
    track = a_track(a4c_points(PHASE), A4C, "a4c-4", TIMES, pulse=tuple(PHASE), rhythm=(tuple(PHASE), tuple(TIMES)))
    again = track_from_fields(track_to_fields(track))
    assert (again.pulse, again.rhythm) == (track.pulse, track.rhythm)
    older = {name: value for name, value in track_to_fields(track).items() if name != "rhythm"}
    assert track_from_fields(older).rhythm == ()
    with pytest.raises(MedLandmarkError, match="78 frames need as many"):
        replace(track, pulse=(1.0, 2.0))
    with pytest.raises(MedLandmarkError, match="78 frames need as many"):
        replace(track, rhythm=(tuple(PHASE), (1.0,)))
