"""What goes with the pictures' own rhythm stays sharp in the course of a landmark; what does not changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import A4C, a4c_points, a_track

from MedLandmarkLib.landmark import Landmark, Status
from MedLandmarkLib.track import Track

RATE_HZ = 32.0
TIMES = np.arange(90) / RATE_HZ
ENDS = (26, 52, 78)  # the frames of end-diastole


def kicked(times: np.ndarray) -> np.ndarray:
    """Contraction with a corner at each end-diastole: 0.3 before the atrial kick, 0 at its end, then ejection."""
    phase = (times * RATE_HZ) % 26 / 26
    return np.interp(phase, (0.0, 0.36, 0.6, 0.84, 1.0), (0.0, 1.0, 0.35, 0.3, 0.0))


def noisy_track(noise_px: float = 0.0, seed: int = 0, **options: object) -> tuple[Track, np.ndarray]:
    truth = a4c_points(kicked(TIMES))
    noisy = truth + np.random.default_rng(seed).normal(0.0, noise_px, truth.shape)
    return a_track(noisy, A4C, "a4c-4", TIMES, **options), truth


def xy(track: Track) -> np.ndarray:
    return np.array([[item.ijk[:2] for item in frame] for frame in track.frames])


def rhythm_of(*components: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(component.tolist()) for component in components)


def short_of_the_peak(track: Track, truth: np.ndarray) -> float:
    """How much nearer to the apex the septal hinge stands at end-diastole than it should, px."""
    return float(np.mean([truth[frame, 0, 1] - xy(track)[frame, 0, 1] for frame in ENDS]))


def test_a_corner_that_smoothing_rounds_off_is_kept_with_the_rhythm() -> None:
    track, truth = noisy_track()
    assert short_of_the_peak(track, truth) > 0.6  # of 15 px of motion
    with_rhythm = replace(track, rhythm=rhythm_of(-3.0 * kicked(TIMES) + 7.0))
    assert short_of_the_peak(with_rhythm, truth) == pytest.approx(0.0, abs=0.01)
    np.testing.assert_allclose(xy(with_rhythm), truth, atol=0.02)


def test_in_noise_the_corner_is_kept_and_the_jitter_hardly_grows() -> None:
    short, jitters = {True: [], False: []}, {True: [], False: []}
    for seed in range(8):
        track, truth = noisy_track(2.0, seed)
        seen = kicked(TIMES) + np.random.default_rng(100 + seed).normal(0.0, 0.02, len(TIMES))
        for has_rhythm in (True, False):
            one = replace(track, rhythm=rhythm_of(seen)) if has_rhythm else track
            short[has_rhythm].append(short_of_the_peak(one, truth))
            jitters[has_rhythm].append(np.diff(xy(one) - truth, axis=0).std())
    assert abs(np.mean(short[True])) < 0.5 * np.mean(short[False])
    assert np.mean(jitters[True]) < 1.1 * np.mean(jitters[False])


def test_a_rhythm_of_something_else_changes_next_to_nothing() -> None:
    track, truth = noisy_track(1.0)
    noise = np.random.default_rng(5).normal(0.0, 1.0, (2, len(TIMES)))
    with_noise = replace(track, rhythm=rhythm_of(*noise))
    error, usual = (np.abs(xy(one) - truth).mean() for one in (with_noise, track))
    assert error < 1.1 * usual


def test_a_constant_and_a_repeated_component_and_a_short_clip_do_no_harm() -> None:
    track, _ = noisy_track(1.0)
    for rhythm in (rhythm_of(np.ones(len(TIMES))), rhythm_of(kicked(TIMES), kicked(TIMES))):
        assert np.isfinite(xy(replace(track, rhythm=rhythm))).all()
    short = a_track(a4c_points(kicked(TIMES))[:10], A4C, "a4c-4", TIMES[:10], rhythm=rhythm_of(kicked(TIMES)[:10]))
    np.testing.assert_array_equal(xy(short), xy(replace(short, rhythm=())))


def test_a_key_frame_does_not_move_what_is_far_from_it() -> None:
    track, _ = noisy_track(1.0, rhythm=rhythm_of(kicked(TIMES)))
    placed = Landmark("lv_apex", ijk=(130.0, 60.0, 0.0), status=Status.EDITED)
    moved = np.linalg.norm(xy(track.with_fixed(12, placed)) - xy(track), axis=2)[:, 2]
    assert moved[12] > 20.0 and moved[45:].max() < 0.01
