"""Curves, beats and values of a clip, against figures that were worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import A4C, PLAX, a4c_points, a_track, contraction, plax_points

from MedLandmarkLib.errors import SchemeError
from MedLandmarkLib.landmark import Landmark, Status
from MedLandmarkLib.measure.beats import Beat, find_beats
from MedLandmarkLib.measure.cine import CineMeasurement, measure_track
from MedLandmarkLib.measure.formulas import (
    cube_mass_g,
    relative_change_percent,
    relative_wall_thickness,
    teichholz_volume_ml,
)
from MedLandmarkLib.measure.geometry import DegenerateGeometry
from MedLandmarkLib.scheme import load_scheme

TIMES = np.arange(78) / 30.0  # 2.6 s: three beats of 0.8 s


def measured(
    points: np.ndarray, names: tuple, scheme: str, times: np.ndarray | None = TIMES, **options
) -> CineMeasurement:
    rate = options.pop("heart_rate_bpm", None)
    return measure_track(a_track(points, names, scheme, times, **options), load_scheme(scheme), heart_rate_bpm=rate)


@pytest.fixture
def a_parasternal_clip() -> CineMeasurement:
    return measured(plax_points(contraction(TIMES)), PLAX, "plax-4")


@pytest.fixture
def an_apical_clip() -> CineMeasurement:
    return measured(a4c_points(contraction(TIMES)), A4C, "a4c-4")


def test_the_mass_of_the_cube_formula() -> None:
    # (1.0 + 5.0 + 1.0)^3 - 5.0^3 = 343 - 125 = 218 ml; 0.8 x 1.04 x 218 + 0.6
    assert cube_mass_g(10, 50, 10) == pytest.approx(181.976)
    # (0.9 + 4.8 + 0.9)^3 - 4.8^3 = 287.496 - 110.592 = 176.904 ml: 147.8 g, a normal heart
    assert cube_mass_g(9, 48, 9) == pytest.approx(147.784, abs=1e-3)


def test_the_volumes_and_the_ejection_fraction_of_teichholz() -> None:
    # 7 / (2.4 + 5.0) x 125 and 7 / (2.4 + 3.5) x 42.875
    end_diastolic, end_systolic = teichholz_volume_ml(50), teichholz_volume_ml(35)
    assert (end_diastolic, end_systolic) == (pytest.approx(118.243, abs=1e-3), pytest.approx(50.869, abs=1e-3))
    assert relative_change_percent(end_diastolic, end_systolic) == pytest.approx(56.98, abs=0.01)


def test_fractional_shortening_and_relative_wall_thickness() -> None:
    assert relative_change_percent(50, 35) == pytest.approx(30.0)
    assert relative_wall_thickness(9, 48) == pytest.approx(0.375)
    for formula in (relative_change_percent, lambda zero, other: relative_wall_thickness(other, zero)):
        with pytest.raises(DegenerateGeometry):
            formula(0.0, 1.0)


def test_a_parasternal_clip_is_measured_at_both_ends_of_the_beat(a_parasternal_clip: CineMeasurement) -> None:
    expected = {
        "IVSd": 9.0, "LVIDd": 48.0, "LVPWd": 10.0, "LVIDs": 32.0, "FS": 100 / 3, "EDV": teichholz_volume_ml(48),
        "ESV": teichholz_volume_ml(32), "SV": teichholz_volume_ml(48) - teichholz_volume_ml(32),
        "EF": relative_change_percent(teichholz_volume_ml(48), teichholz_volume_ml(32)),
        "LV mass": cube_mass_g(9, 48, 10), "RWT": 20 / 48,
    }  # fmt: skip
    assert [value.name for value in a_parasternal_clip.values] == list(expected)
    for name, value in expected.items():
        found = a_parasternal_clip.value(name)
        assert found.mean == pytest.approx(value, rel=0.01), name
        assert found.status is Status.PREDICTED and found.sd < 0.02 * value and len(found.per_beat) == 3
    assert [a_parasternal_clip.value(name).unit for name in ("LVIDd", "EDV", "LV mass", "EF")] == ["mm", "ml", "g", "%"]


def test_an_apical_clip_is_measured_along_the_long_axis(an_apical_clip: CineMeasurement) -> None:
    for name, value in {
        "LV length ED": 100.0, "LV length ES": 85.0, "Longitudinal shortening": 15.0, "Annulus width ED": 40.0,
        "Annular excursion": 15.0, "Septal excursion": 15.0, "Lateral excursion": 15.0,
    }.items():  # fmt: skip
        assert an_apical_clip.value(name).mean == pytest.approx(value, rel=0.01), name


def test_beats_and_heart_rate_follow_from_the_curve(an_apical_clip: CineMeasurement) -> None:
    assert [beat.end_systole for beat in an_apical_clip.beats] == [12, 36, 60]
    assert [beat.end_diastole for beat in an_apical_clip.beats] == [0, 24, 48]
    assert [beat.next_end_diastole for beat in an_apical_clip.beats] == [24, 48, 72]
    assert an_apical_clip.heart_rate.bpm == pytest.approx(75.0)


def test_a_clip_that_begins_in_systole_waits_for_the_next_diastole() -> None:
    beats, _ = find_beats(1 - contraction(TIMES + 0.25) + 10, TIMES, 0.0)
    assert beats[0].end_diastole > 10 and beats[0].end_systole > beats[0].end_diastole


def test_one_contraction_cut_at_its_beginning_is_measured_against_the_diastole_behind_it() -> None:
    times = np.arange(26) / 30.0
    beats, _ = find_beats(20 - 5 * contraction(times + 0.3), times, 0.1)
    assert beats == (Beat(end_diastole=15, end_systole=3),)


def test_a_dip_in_the_middle_of_diastole_is_no_beat() -> None:
    curve = 10 - contraction(TIMES) ** 3 - 0.15 * np.cos(8 * np.pi * TIMES / 0.8)
    beats, _ = find_beats(curve, TIMES, 0.0)
    assert len(beats) == 3


@pytest.mark.parametrize(
    ("curve", "noise", "reason"),
    [
        (np.full(78, 60.0), 0.0, "nothing beats"),
        (60 + 2 * np.random.default_rng(0).normal(size=78), 2.0, "no beat stands out"),
        (60 + 10 * TIMES, 0.1, "no whole contraction"),
        (np.where(np.arange(78) < 30, 60.0, np.nan), 0.1, "30 of 78 frames"),
    ],
)
def test_why_there_are_no_beats_is_told(curve: np.ndarray, noise: float, reason: str) -> None:
    beats, why = find_beats(curve, TIMES, noise)
    assert beats == () and reason in why


def test_a_still_picture_has_no_values_and_says_why() -> None:
    found = measured(a4c_points(np.zeros(100)), A4C, "a4c-4", np.arange(100) / 30)
    assert not found.beats and "nothing beats" in found.notes[0]
    assert all(
        value.mean is None and value.status is Status.MISSING and "no beats" in value.reason for value in found.values
    )


def test_two_frames_are_too_few_for_a_beat() -> None:
    found = measured(a4c_points(np.array([0.0, 1.0])), A4C, "a4c-4", np.array([0.0, 0.04]))
    assert "2 frames are too few" in found.notes[0] and len(found.curve("LV long axis").values) == 2


def test_without_calibration_lengths_are_in_px_and_volumes_are_not_given() -> None:
    found = measured(plax_points(contraction(TIMES)), PLAX, "plax-4", mm_per_px=None)
    assert found.value("LVIDd").unit == "px" and found.value("FS").mean == pytest.approx(100 / 3, rel=0.01)
    assert found.value("RWT").mean == pytest.approx(20 / 48, rel=0.01)
    for name in ("EDV", "ESV", "LV mass"):
        assert found.value(name).mean is None and "needs millimetres" in found.value(name).reason


def test_without_frame_times_there_is_no_rate_unless_the_file_states_one() -> None:
    points = a4c_points(contraction(TIMES))
    found = measured(points, A4C, "a4c-4", None)
    assert found.heart_rate.bpm is None and any("no frame times" in note for note in found.notes)
    assert len(found.beats) == 3
    assert measured(points, A4C, "a4c-4", None, heart_rate_bpm=71.0).heart_rate.bpm == 71.0


def test_a_stated_heart_rate_that_differs_is_told() -> None:
    found = measured(a4c_points(contraction(TIMES)), A4C, "a4c-4", heart_rate_bpm=50.0)
    assert found.heart_rate.bpm == pytest.approx(75.0)
    assert any("beats 75 times a minute; the file states 50" in note for note in found.notes)


def test_walls_that_are_not_crossed_at_right_angles_are_flagged() -> None:
    points = plax_points(contraction(TIMES))
    height = points[:, 1, 1] - points[:, 0, 1]
    points[:, 0, 0] += np.tan(np.radians(40)) * height  # the septum's line bends by 40 degrees
    found = measured(points, PLAX, "plax-4")
    assert found.value("IVSd").status is Status.DOUBTFUL and "bend by 40°" in found.value("IVSd").reason
    assert found.value("LV mass").status is Status.DOUBTFUL and found.value("LVPWd").status is Status.PREDICTED
    points[:, 0, 0] = 100 + np.tan(np.radians(25)) * height
    assert measured(points, PLAX, "plax-4").value("IVSd").status is Status.PREDICTED


def test_a_doubtful_beat_is_left_out_of_the_mean() -> None:
    points = a4c_points(contraction(TIMES))
    track = a_track(points, A4C, "a4c-4", TIMES, missing=(23, 24, 25))
    found = measure_track(track, load_scheme("a4c-4")).value("LV length ED")
    assert sum(item.status is Status.DOUBTFUL for item in found.per_beat) == 1
    assert found.status is Status.PREDICTED and "1 of 3 beats left out" in found.reason


def test_a_correction_changes_what_is_measured() -> None:
    track = a_track(a4c_points(contraction(TIMES)), A4C, "a4c-4", TIMES)
    corrected = track.with_fixed(12, Landmark("lv_apex", (100.0, 40.0, 0.0), status=Status.EDITED))
    before, after = (measure_track(one, load_scheme("a4c-4")) for one in (track, corrected))
    assert after.curve("LV long axis").values[12] == pytest.approx(95.0, abs=0.1)
    assert after.curve("LV long axis").statuses[12] is Status.PREDICTED  # of points of which two were not edited
    assert after.value("LV length ES").mean != before.value("LV length ES").mean


def test_a_view_that_the_model_does_not_know_is_asked_about() -> None:
    track = a_track(a4c_points(contraction(TIMES)), A4C, "a4c-4", TIMES)
    doubt = tuple(
        replace(frame, landmarks=tuple(replace(item, status=Status.DOUBTFUL, reason="weak") for item in frame))
        for frame in track.detected
    )
    found = measure_track(replace(track, detected=doubt), load_scheme("a4c-4"))
    assert any("is this the right view" in note for note in found.notes)
    assert found.value("LV length ED").status is Status.DOUBTFUL


def test_a_scheme_without_beats_is_refused() -> None:
    track = a_track(a4c_points(contraction(TIMES)), A4C, "a4c-4", TIMES)
    with pytest.raises(SchemeError, match="does not say what is measured through a clip"):
        measure_track(track, load_scheme("head-19"))


def test_a_curve_or_value_that_is_not_there_is_named(an_apical_clip: CineMeasurement) -> None:
    with pytest.raises(SchemeError, match=r"no curve 'LV long axes'; did you mean 'LV long axis'"):
        an_apical_clip.curve("LV long axes")
    with pytest.raises(SchemeError, match="no value 'EF'"):
        an_apical_clip.value("EF")
