"""Measurements: what turning, shifting, mirroring and scaling all landmarks must and must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from profiles import FACE, HEAD, a_set, measured

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.measure import geometry, measure

offsets = st.lists(st.floats(-4, 4), min_size=38, max_size=38)
angles = st.floats(-math.pi, math.pi)


def _rotation(a: float, b: float, c: float) -> np.ndarray:
    rotation = np.eye(3)
    for angle, (i, j) in ((a, (0, 1)), (b, (0, 2)), (c, (1, 2))):
        step = np.eye(3)
        step[i, i] = step[j, j] = math.cos(angle)
        step[i, j], step[j, i] = -math.sin(angle), math.sin(angle)
        rotation = step @ rotation
    return rotation


@settings(max_examples=60, deadline=None)
@given(offsets, angles, angles, angles, st.booleans(), st.lists(st.floats(-500, 500), min_size=3, max_size=3))
def test_turning_shifting_and_mirroring_change_nothing(noise, a, b, c, mirrored, shift) -> None:
    face = np.zeros((19, 3))
    face[:, :2] = np.asarray(FACE, float) + np.reshape(noise, (19, 2))
    placed = face * ([-1, 1, 1] if mirrored else [1, 1, 1]) @ _rotation(a, b, c).T + shift
    before, after = measured(a_set(HEAD, face)), measured(a_set(HEAD, placed))
    for name, measurement in before.items():
        if name == "MW" and abs(before["Overjet"].value) < 1e-6:
            continue  # its sign is that of the overjet
        assert after[name].value == pytest.approx(measurement.value, abs=1e-6), name


@settings(max_examples=40, deadline=None)
@given(offsets, st.floats(0.05, 20))
def test_lengths_grow_with_the_scale_and_angles_do_not(noise, scale) -> None:
    face = np.asarray(FACE, float) + np.reshape(noise, (19, 2))
    before, after = measured(a_set(HEAD, face)), measured(a_set(HEAD, face * scale))
    for name, measurement in before.items():
        factor = scale if measurement.unit == "mm" else 1
        assert after[name].value == pytest.approx(measurement.value * factor, abs=1e-6 * max(scale, 1)), name


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=19, max_size=19), st.sampled_from(["mm", "px"])
)
def test_no_value_is_ever_nan_however_the_points_coincide(places, unit) -> None:
    for measurement in measure(a_set(HEAD, places, unit), HEAD):
        if measurement.value is None:
            assert measurement.status is Status.DOUBTFUL
            assert measurement.reason
            assert measurement.verdict == ""
        else:
            assert math.isfinite(measurement.value)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 179.99), angles)
def test_an_angle_keeps_its_digits_near_0_and_180_degrees(degrees, turn) -> None:
    first = np.array([math.cos(turn), math.sin(turn), 0])
    second = np.array([math.cos(turn + math.radians(degrees)), math.sin(turn + math.radians(degrees)), 0])
    assert geometry.angle(first, second) == pytest.approx(degrees, abs=1e-12 * 180)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=9, max_size=9))
def test_the_distance_from_a_line_has_the_sign_of_the_side(coordinates) -> None:
    point, start, end = np.reshape(coordinates, (3, 3))
    assume(np.linalg.norm(end - start) > 1 and np.linalg.norm(np.cross(end - start, point - start)) > 1)
    plain = geometry.point_to_line(point, (start, end), None)
    assert plain == pytest.approx(np.linalg.norm(np.cross(end - start, point - start)) / np.linalg.norm(end - start))
    assert geometry.point_to_line(point, (start, end), point) == pytest.approx(plain)
    assert geometry.point_to_line(2 * start - point, (start, end), point) == pytest.approx(-plain)
