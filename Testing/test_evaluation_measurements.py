"""Measurements made from predictions against those of the reference, their classes, and Cobb angles."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from evaluation_data import noisy_predictions, predicted, write_dataset

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.evaluation import (
    cobb_angles,
    compare_measurements,
    debiased_calibration_error,
    evaluate_landmarks,
    expected_calibration_error,
    reliability,
    smape,
)
from MedLandmarkLib.evaluation.measurements import NO_CLASS, REFERENCE_POINTS, read_by
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.scheme import load_scheme

HEAD, SPINE, CEPH = load_scheme("fetal-head-4"), load_scheme("spine-68"), load_scheme("head-19")
AXES = {"OFD_1": (10.0, 40.0), "OFD_2": (50.0, 40.0), "BPD_1": (30.0, 20.0), "BPD_2": (30.0, 60.0)}  # 20 mm each


def longer(by_px: float) -> dict[str, tuple[float, float]]:
    return {**AXES, "BPD_2": (30.0, 60.0 + by_px)}


def test_bias_spread_and_correlation_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    readings = {case: {"reader": longer(by_px)} for case, by_px in (("a", 0), ("b", 4), ("c", 8))}  # 20, 22, 24 mm
    dataset = write_dataset(tmp_path / "heads", HEAD.names, readings)
    predictions = {case: predicted(HEAD, longer(by_px)) for case, by_px in (("a", 2), ("b", 2), ("c", 10))}
    by_name = {item.name: item for item in compare_measurements(dataset, "reader", predictions, HEAD)}
    item = by_name["BPD"]  # differences of 1, -1 and 1 mm
    assert (item.unit, item.compared, item.not_given) == ("mm", 3, 0)
    assert (item.mae, item.bias) == (pytest.approx(1.0), pytest.approx(1 / 3))
    assert (item.sd, item.largest) == (pytest.approx(math.sqrt(4 / 3)), pytest.approx(1.0))
    assert item.correlation == pytest.approx(np.corrcoef([21, 21, 25], [20, 22, 24])[0, 1])
    assert by_name["OFD"].mae == pytest.approx(0.0) and by_name["OFD"].correlation is None


def test_a_measurement_that_the_prediction_does_not_give_is_counted_and_not_guessed(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"a": {"reader": AXES}})
    predictions = {"a": predicted(HEAD, AXES, BPD_1=Status.MISSING, OFD_1=Status.DOUBTFUL)}
    by_name = {item.name: item for item in compare_measurements(dataset, "reader", predictions, HEAD)}
    assert (by_name["BPD"].compared, by_name["BPD"].not_given, by_name["BPD"].mae) == (0, 1, None)
    assert (by_name["OFD"].compared, by_name["OFD"].doubtful) == (1, 1)


def test_values_of_the_case_table_are_compared_where_they_are_named(tmp_path: Path) -> None:
    columns = {"bpd_mm": {"a": "19", "b": ""}}
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {case: {"reader": AXES} for case in "ab"}, columns=columns)
    predictions = {case: predicted(HEAD, AXES) for case in "ab"}
    item = compare_measurements(dataset, "reader", predictions, HEAD, {"BPD": "bpd_mm"})[-1]
    assert (item.against, item.compared, item.bias) == ("bpd_mm", 1, pytest.approx(1.0))
    with pytest.raises(DatasetError, match="'Width' is no measurement of fetal-head-4"):
        compare_measurements(dataset, "reader", predictions, HEAD, {"Width": "bpd_mm"})
    with pytest.raises(DatasetError, match="no case has a number in column 'nowhere'"):
        compare_measurements(dataset, "reader", predictions, HEAD, {"BPD": "nowhere"})


def test_without_spacing_lengths_are_compared_in_px(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "heads", HEAD.names, {"a": {"reader": AXES}}, spacing=("", ""))
    by_name = {m.name: m for m in compare_measurements(dataset, "reader", {"a": predicted(HEAD, longer(6))}, HEAD)}
    assert (by_name["BPD"].unit, by_name["BPD"].mae) == ("px", pytest.approx(6.0))


def test_the_classification_rate_is_the_share_of_images_in_the_same_class(tmp_path: Path) -> None:
    """MW, the distance of the incisor edges: 3 mm is normal, 6 a large overjet, 1 in no class of the source."""

    def incisors(mm: float) -> dict[str, tuple[float, float]]:
        points = {name: (5.0 + number, 70.0 - number) for number, name in enumerate(CEPH.names)}
        frankfort = {"Porion": (5.0, 20.0), "Orbitale": (40.0, 20.0)}
        edges = {"Lower incisal incision": (30.0, 50.0), "Upper incisal incision": (30.0 + 2 * mm, 50.0)}
        return {**points, **frankfort, **edges}

    pairs = {"a": (3, 3.5), "b": (3, 6), "c": (6, 6.1), "d": (1, 1.5), "e": (1, 3)}  # reference, prediction
    dataset = write_dataset(
        tmp_path / "ceph", CEPH.names, {case: {"reader": incisors(mm)} for case, (mm, _) in pairs.items()}
    )
    predictions = {case: predicted(CEPH, incisors(mm)) for case, (_, mm) in pairs.items()}
    by_name = {item.name: item for item in compare_measurements(dataset, "reader", predictions, CEPH)}
    classes = by_name["MW"].classes
    assert (classes.images, classes.rate) == (5, pytest.approx(3 / 5))
    assert classes.confusion["normal", "large overjet"] == classes.confusion[NO_CLASS, "normal"] == 1
    assert "Wang" in classes.source and by_name["Overjet"].classes is None


def test_the_eight_measurements_of_the_challenge_have_classes() -> None:
    classed = {item.name for item in CEPH.measurements if item.classes}
    assert classed == {"SNA", "SNB", "ANB", "ODI", "APDI", "FHI", "FMA (ISBI 2015)", "MW"}


def spine(tilts_deg: list[float]) -> dict[str, np.ndarray]:
    """Vertebrae one below the other, each tilted."""
    points = {}
    for number, tilt in enumerate(tilts_deg, start=1):
        across = np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt)), 0])
        down = np.array([-across[1], across[0], 0])
        for corner, (x, y) in {"TL": (-20, -8), "TR": (20, -8), "BL": (-20, 8), "BR": (20, 8)}.items():
            points[f"V{number:02d}_{corner}"] = np.array([100, 30.0 * number, 0]) + x * across + y * down
    return points


def test_the_largest_cobb_angle_is_that_between_the_most_tilted_vertebrae() -> None:
    angles = cobb_angles(spine([0, 5, 12, 3, -10, -18, -4, 0]))
    assert angles["Cobb angle, largest"] == pytest.approx(30)


def test_a_turned_or_mirrored_spine_has_the_same_cobb_angles() -> None:
    points = spine([0, 5, 12, 3, -10, -18, -4, 2])
    turn = math.radians(15)
    matrix = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    turned = {name: matrix @ point for name, point in points.items()}
    assert cobb_angles(turned) == pytest.approx(cobb_angles(points))
    mirrored = {n[:-1] + {"L": "R", "R": "L"}[n[-1]]: p * (-1, 1, 1) for n, p in points.items()}
    assert cobb_angles(mirrored) == pytest.approx(cobb_angles(points))


def test_a_vertebra_without_all_its_corners_is_passed_over() -> None:
    points = spine([0, 10, -10, 0])
    del points["V02_TL"]
    assert cobb_angles(points)["Cobb angle, largest"] == pytest.approx(10)
    del points["V01_TL"]
    assert cobb_angles(points) is None


def test_smape_weighs_each_images_summed_difference_by_its_summed_angles() -> None:
    assert smape(np.array([[30.0, 10, 10], [20, 0, 0]]), np.array([[20.0, 10, 20], [20, 0, 0]])) == pytest.approx(10)


def test_the_calibration_error_weighs_the_gap_of_each_bin() -> None:
    confidence, is_right = [0.95, 0.95, 0.55, 0.55], [True, True, True, False]
    assert expected_calibration_error(confidence, is_right) == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    last = reliability([1.0], [True])[-1]
    assert (last.points, last.confidence, last.right) == (1, 1.0, 1.0)


@pytest.mark.real_data
def test_the_cobb_angles_are_those_of_the_source(the_data_folder: Path) -> None:
    """The largest of every image to a tenth of a degree; the lesser two in all but the few that cut at mid-image."""
    dataset = read_dataset(the_data_folder / "spine_aasce")
    angles = [list(cobb_angles(read_by(case, "source", SPINE).points()).values()) for case in dataset]
    published = [[float(case.attributes[f"cobb_{number}_deg"]) for number in (1, 2, 3)] for case in dataset]
    difference = np.abs(np.array(angles) - published)  # (150, 3)
    assert difference[:, 0].max() < 0.1
    assert (difference.max(axis=1) < 0.5).mean() > 0.98


COLUMNS = {
    "hc18": {"HC": "hc_reference_mm", "OFD": "ofd_mm", "BPD": "bpd_mm"},
    "camus": {"LV long axis": "lv_length_mm", "Mitral annulus width": "mitral_width_mm"},
    "chest_jsrt": {"Heart width": "heart_width_mm"},
    "spine_aasce": {"Cobb angle, largest": "cobb_1_deg"},
}


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "scheme_id"),
    [
        ("hc18", "fetal-head-4"), ("camus", "a4c-4"), ("chest_jsrt", "heart-lung-6"), ("spine_aasce", "spine-68"),
        ("hand_xray", "hand-37"),
    ],
)  # fmt: skip
def test_each_dataset_is_scored_by_its_scheme(folder: str, scheme_id: str, the_data_folder: Path) -> None:
    """Reference points with a noise of 2 px: errors near 2 px x sqrt(pi / 2); measurements that follow the table's."""
    dataset, scheme = read_dataset(the_data_folder / folder), load_scheme(scheme_id)
    predictions = noisy_predictions(dataset, scheme, "val", noise_px=2.0)
    evaluation = evaluate_landmarks(dataset, dataset.reference_rater(), predictions, scheme)
    assert set(evaluation.per_landmark) == set(scheme.names)
    spacings = [np.mean(dataset[case].spacing_mm) if evaluation.unit == "mm" else 1.0 for case in predictions]
    along = [name for name in scheme.names if not scheme.landmarks[scheme.index(name)].scored_along]
    errors = [item.error for item in evaluation.results if item.landmark in along]
    expected = 2 * math.sqrt(math.pi / 2) * np.mean(spacings)  # mean of a Rayleigh distribution, whose SD is 0.52 of it
    assert np.mean(errors) == pytest.approx(expected, rel=3 * 0.52 / math.sqrt(len(errors)) + 0.02)
    columns = COLUMNS.get(folder)
    for item in compare_measurements(dataset, dataset.reference_rater(), predictions, scheme, columns):
        assert item.compared > 0 and item.not_given == 0
        assert item.against == REFERENCE_POINTS or item.correlation > 0.95


def test_the_debiased_calibration_error_is_about_none_for_a_perfect_model_and_the_gap_for_another() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1.0, size=(400, 150))
    drawn = generator.uniform(size=confidence.shape)

    def mean_square(shift: float) -> float:
        errors = [debiased_calibration_error(c, d < c - shift) for c, d in zip(confidence, drawn, strict=True)]
        return float(np.mean(np.square(errors)))

    plain = [expected_calibration_error(c, d < c) for c, d in zip(confidence, drawn, strict=True)]
    assert np.mean(plain) > 0.05  # of a perfect model
    assert mean_square(0.0) < 0.02**1.5
    assert mean_square(0.2) == pytest.approx(0.2**2, rel=0.1)
    assert debiased_calibration_error([0.9], [True]) == 0.0
