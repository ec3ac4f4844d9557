"""Points one by one: which prediction belongs to a reference point, and how sure the figures over them are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_data import predicted, write_dataset
from hypothesis import given
from hypothesis import strategies as st

from MedLandmarkLib.evaluation import bootstrap_intervals, cumulative_curve, evaluate_landmarks, radial_errors
from MedLandmarkLib.scheme import ReferenceLength, Scheme, load_scheme

HEAD = load_scheme("fetal-head-4")
CHEST = load_scheme("heart-lung-6")
AXES = {"OFD_1": (10.0, 40.0), "OFD_2": (50.0, 41.0), "BPD_1": (30.0, 20.0), "BPD_2": (30.4, 60.0)}


def swapped(points: dict[str, tuple[float, float]], one: str, other: str) -> dict[str, tuple[float, float]]:
    return {**points, one: points[other], other: points[one]}


@pytest.mark.parametrize("pair", HEAD.interchangeable)
def test_the_ends_of_an_axis_may_come_the_other_way_round(pair: tuple[str, str], tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": AXES}})
    evaluation = evaluate_landmarks(dataset, "reader", {"one": predicted(HEAD, swapped(AXES, *pair))}, HEAD)
    assert (evaluation.overall.largest, evaluation.exchanged) == (0.0, 1)
    assert any("1 pairs of ends" in note for note in evaluation.notes)


def test_ends_that_no_scheme_calls_interchangeable_keep_their_names(tmp_path: Path) -> None:
    scheme = replace(HEAD, interchangeable=())
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": AXES}})
    evaluation = evaluate_landmarks(
        dataset, "reader", {"one": predicted(HEAD, swapped(AXES, "OFD_1", "OFD_2"))}, scheme
    )
    assert evaluation.per_landmark["OFD_1"].mean == pytest.approx(0.5 * math.hypot(40, 1))


def test_the_confidence_goes_with_the_end_that_it_was_given_for(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": AXES}})
    landmarks = predicted(HEAD, swapped(AXES, "OFD_1", "OFD_2"))
    landmarks = landmarks.replaced(replace(landmarks["OFD_1"], confidence=0.9))
    evaluation = evaluate_landmarks(dataset, "reader", {"one": landmarks}, HEAD)
    assert {item.landmark: item.confidence for item in evaluation.results}["OFD_2"] == 0.9


def test_an_axis_of_which_one_end_is_missing_is_left_as_it_is(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": AXES}})
    points = {name: xy for name, xy in swapped(AXES, "OFD_1", "OFD_2").items() if name != "OFD_2"}
    evaluation = evaluate_landmarks(dataset, "reader", {"one": predicted(HEAD, points)}, HEAD)
    assert (evaluation.exchanged, evaluation.overall.unpredicted) == (0, 1)
    assert evaluation.per_landmark["OFD_1"].mean > 10


def test_a_point_that_is_loose_along_one_axis_counts_along_the_other(tmp_path: Path) -> None:
    points = {name: (10.0 + 5 * number, 30.0) for number, name in enumerate(CHEST.names)}
    moved = {name: (x + 2, y + 12) for name, (x, y) in points.items()}
    dataset = write_dataset(tmp_path / "chest", CHEST.names, {"one": {"reader": points}})
    evaluation = evaluate_landmarks(dataset, "reader", {"one": predicted(CHEST, moved)}, CHEST)
    assert evaluation.per_landmark["left_heart_border"].mean == pytest.approx(1.0)
    assert evaluation.per_landmark["left_lung_apex"].mean == pytest.approx(0.5 * math.hypot(2, 12))
    assert "right_heart_border in x" in evaluation.notes[-1]


def test_an_error_along_y_leaves_x_out() -> None:
    assert radial_errors({"a": (3, 4)}, {"a": (0.0, 0.0)}, (1.0, 2.0), {"a": "y"}) == {"a": 8.0}


@pytest.fixture
def a_scheme_with_a_length() -> Scheme:
    lines = ((("OFD_1",), ("OFD_2",)), (("BPD_1",), ("BPD_2",)))
    return replace(HEAD, reference_length=ReferenceLength("mean axis", lines), interchangeable=())


def test_without_millimetres_errors_are_told_in_parts_of_a_length(
    tmp_path: Path, a_scheme_with_a_length: Scheme
) -> None:
    points = {"OFD_1": (0.0, 0.0), "OFD_2": (60.0, 0.0), "BPD_1": (30.0, 10.0), "BPD_2": (30.0, 50.0)}  # 60 and 40 px
    moved = {name: (x + 3, y + 4) for name, (x, y) in points.items()}
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": points}}, spacing=("", ""))
    evaluation = evaluate_landmarks(dataset, "reader", {"one": predicted(HEAD, moved)}, a_scheme_with_a_length)
    assert (evaluation.unit, evaluation.overall.mean) == ("px", pytest.approx(5.0))
    assert evaluation.relative.mean == pytest.approx(10.0)


def test_a_length_that_nobody_read_gives_no_relative_error(tmp_path: Path, a_scheme_with_a_length: Scheme) -> None:
    points = {"OFD_1": (5.0, 5.0)}
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"one": {"reader": points}}, spacing=("", ""))
    evaluation = evaluate_landmarks(dataset, "reader", {"one": predicted(HEAD, points)}, a_scheme_with_a_length)
    assert (evaluation.overall.points, evaluation.relative.points) == (1, 0)


def test_an_interval_has_about_the_width_that_theory_gives() -> None:
    """Of 400 subjects with one error of SD 1 each: 1.96 / sqrt(400) = 0.098 to either side of the mean."""
    errors = np.random.default_rng(3).normal(5, 1, 400)
    (low, high), shares = bootstrap_intervals([[error] for error in errors], (5.0,))
    assert errors.mean() - low == pytest.approx(0.098, rel=0.15)
    assert high - errors.mean() == pytest.approx(0.098, rel=0.15)
    assert shares[5.0][1] - shares[5.0][0] == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.15)


def test_points_of_one_subject_are_drawn_together() -> None:
    """Ten equal points of a subject tell no more than one."""
    errors = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    alone, _ = bootstrap_intervals([[error] for error in errors], ())
    tenfold, _ = bootstrap_intervals([[error] * 10 for error in errors], ())
    assert tenfold == pytest.approx(alone)


def test_an_interval_is_the_same_each_time_and_one_subject_has_none() -> None:
    groups = [[1.0, 2.0], [4.0, None], [2.5]]
    assert bootstrap_intervals(groups, (2.0, 3.0)) == bootstrap_intervals(groups, (2.0, 3.0))
    assert bootstrap_intervals([[1.0, 2.0]], (2.0,)) == (None, {})
    assert bootstrap_intervals([[None], [None]], (2.0,)) == (None, {2.0: (0.0, 0.0)})


@given(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=4), min_size=2, max_size=8))
def test_an_interval_of_the_mean_lies_within_the_errors(groups: list[list[float]]) -> None:
    (low, high), shares = bootstrap_intervals(groups, (10.0,))
    errors = [error for group in groups for error in group]
    assert min(errors) - 1e-9 <= low <= high <= max(errors) + 1e-9
    assert 0 <= shares[10.0][0] <= shares[10.0][1] <= 1


def test_the_curve_ends_below_one_where_a_point_has_no_prediction() -> None:
    curve = cumulative_curve([1.0, 3.0, None, 2.0], 4.0, steps=4)
    assert curve == [(0.0, 0.0), (1.0, 0.25), (2.0, 0.5), (3.0, 0.75), (4.0, 0.75)]
    assert cumulative_curve([], 4.0) == []
