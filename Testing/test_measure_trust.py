"""Measurements: their units, their status and reason, and what is said where they do not exist."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from profiles import FACE, HEAD, a_set, measured, moved, with_status

from MedLandmarkLib.errors import SchemeError
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import DegenerateGeometry, geometry, measure
from MedLandmarkLib.scheme import LandmarkDefinition, MeasurementClass, MeasurementDefinition, load_scheme


@pytest.fixture
def a_face() -> LandmarkSet:
    return a_set(HEAD, FACE)


def test_without_calibration_lengths_are_in_px_and_have_no_norm() -> None:
    results = measured(a_set(HEAD, FACE, unit="px"))
    assert (results["N-Me"].unit, results["N-Me"].value) == ("px", pytest.approx(math.hypot(10, 122)))
    assert "no calibration" in results["N-Me"].reason
    assert results["MW"] == replace(results["MW"], unit="px", normal_range=None, verdict="", status=Status.PREDICTED)
    assert "no calibration" in results["MW"].reason


def test_without_calibration_angles_and_ratios_remain() -> None:
    in_px, in_mm = measured(a_set(HEAD, FACE, unit="px")), measured(a_set(HEAD, FACE))
    for name in ("SNA", "ANB", "ODI", "APDI", "FHI", "FMA (ISBI 2015)", "Jarabak ratio"):
        assert in_px[name] == in_mm[name]
    assert in_px["FHI"].verdict == "normal"


def test_one_uncalibrated_landmark_makes_all_lengths_px(a_face: LandmarkSet) -> None:
    mixed = a_face.replaced(replace(a_face["Orbitale"], ras=None))
    assert measured(mixed)["N-Me"].unit == "px"


def test_a_range_without_classes_gives_a_plain_verdict() -> None:
    scheme = load_scheme("fetal-head-4")
    verdicts = [
        measured(a_set(scheme, [(0, 0), (100, 0), (50, 0), (50, width)]), scheme)["Cephalic index"].verdict
        for width in (70, 80, 90)
    ]
    assert verdicts == ["below normal range", "normal", "above normal range"]


def test_a_missing_landmark_makes_its_measurements_missing(a_face: LandmarkSet) -> None:
    results = measured(with_status(a_face, "Subspinale (A point)", Status.MISSING))
    for name in ("SNA", "ANB", "ODI", "APDI"):  # ODI and APDI only through what they are made from
        assert (results[name].value, results[name].status) == (None, Status.MISSING)
        assert results[name].reason == "Subspinale (A point) is missing"
        assert results[name].verdict == ""
    assert results["SNB"].status is Status.PREDICTED


def test_an_undefined_or_absent_landmark_counts_as_missing(a_face: LandmarkSet) -> None:
    undefined = a_face.replaced(Landmark("Nasion"))
    absent = LandmarkSet(HEAD.id, tuple(item for item in a_face if item.name != "Nasion"))
    for landmarks in (undefined, absent):
        result = measured(landmarks)["SNA"]
        assert (result.value, result.status, result.reason) == (None, Status.MISSING, "Nasion is undefined")


def test_a_landmark_placed_in_another_frame_cannot_be_measured_with(a_face: LandmarkSet) -> None:
    landmarks = a_face.replaced(replace(a_face["Nasion"], ijk=None)).replaced(replace(a_face["Sella"], ras=None))
    result = measured(landmarks)["SNA"]
    assert (result.value, result.status) == (None, Status.MISSING)
    assert result.reason == "Nasion is not placed in the frame of the others"


def test_a_doubtful_landmark_makes_its_measurements_doubtful(a_face: LandmarkSet) -> None:
    results = measured(with_status(a_face, "Subspinale (A point)", Status.DOUBTFUL, "two peaks"))
    assert results["ANB"].status is Status.DOUBTFUL
    assert results["ANB"].value == pytest.approx(math.degrees(math.atan2(4, 100)))
    assert results["ANB"].reason == "Subspinale (A point) is doubtful (two peaks)"
    assert results["SNB"].reason == ""


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Status.ACCEPTED, Status.ACCEPTED, Status.ACCEPTED),
        (Status.ACCEPTED, Status.PREDICTED, Status.PREDICTED),
        (Status.EDITED, Status.PREDICTED, Status.PREDICTED),
        (Status.EDITED, Status.ACCEPTED, Status.ACCEPTED),
        (Status.EDITED, Status.EDITED, Status.EDITED),
        (Status.EDITED, Status.DOUBTFUL, Status.DOUBTFUL),
        (Status.DOUBTFUL, Status.MISSING, Status.MISSING),
    ],
)
def test_a_measurement_is_as_certain_as_its_least_certain_landmark(
    a_face: LandmarkSet, first: Status, second: Status, expected: Status
) -> None:
    landmarks = with_status(with_status(a_face, "Nasion", first), "Menton", second)
    assert measured(landmarks)["N-Me"].status is expected


def test_coincident_points_give_no_value_and_the_reason(a_face: LandmarkSet) -> None:
    results = measured(moved(a_face, Menton=FACE[1], Porion=FACE[2]))
    for name, reason in (("N-Me", "the two points coincide"), ("Overjet", "span a line coincide")):
        assert (results[name].value, results[name].status) == (None, Status.DOUBTFUL)
        assert reason in results[name].reason
    assert results["FHI"].reason == "N-Me has no value"
    assert results["SNA"].value == pytest.approx(90)


def test_a_sign_that_no_landmark_decides_gives_no_value() -> None:
    along, up = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    origin = np.zeros(3)
    with pytest.raises(DegenerateGeometry, match="parallel"):
        geometry.angle_between_lines((origin, along), (origin, up), (up, up + along))


def test_a_ratio_by_nothing_gives_no_value() -> None:
    definitions = (
        MeasurementDefinition("width", "", "distance_along", "mm", "", "", (("a",), ("b",)), ((("a",), ("c",)),)),
        replace(HEAD.measurement("FHI"), name="ratio", terms=tuple(
            replace(term, measurement="width") for term in HEAD.measurement("FHI").terms
        )),
    )  # fmt: skip
    scheme = replace(HEAD, landmarks=tuple(LandmarkDefinition(n, "") for n in "abc"), measurements=definitions)
    result = measured(a_set(scheme, [(0, 0), (0, 5), (5, 0)]), scheme)["ratio"]
    assert (result.value, result.status) == (None, Status.DOUBTFUL)
    assert "width is 0" in result.reason


def test_values_beyond_any_number_give_none(a_face: LandmarkSet) -> None:
    result = measured(moved(a_face, Menton=(1e308, 1e308)))["N-Me"]
    assert (result.value, result.status) == (None, Status.DOUBTFUL)


def test_a_class_holds_its_bounds_as_written() -> None:
    closed, opened = MeasurementClass("x", at_least=1, at_most=2), MeasurementClass("x", above=1, below=2)
    assert [closed.holds(value) for value in (0.9, 1, 2, 2.1)] == [False, True, True, False]
    assert [opened.holds(value) for value in (1, 1.5, 2)] == [False, True, False]


def test_landmarks_of_another_anatomy_are_refused(a_face: LandmarkSet) -> None:
    with pytest.raises(SchemeError, match=r"of scheme head-19 .* share no name with scheme plax-4"):
        measure(a_face, load_scheme("plax-4"))


def test_a_scheme_of_ones_own_measures_the_landmarks_of_another(a_face: LandmarkSet) -> None:
    own = replace(HEAD, id="mine", measurements=HEAD.measurements[:1])
    assert [result.name for result in measure(a_face, own)] == ["SNA"]


def test_measuring_keeps_up_with_a_dragged_point(a_face: LandmarkSet) -> None:
    durations = []
    for _ in range(20):
        start = time.perf_counter()
        measure(a_face, HEAD)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.002
