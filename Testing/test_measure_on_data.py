"""Measurements on readings of real images, against published norms and against what the data say themselves."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from profiles import HEAD, measured

from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import Measurement
from MedLandmarkLib.scheme import Scheme, load_scheme


def _readings(folder: Path, scheme: Scheme, rater: str) -> Iterator[tuple[dict[str, str], LandmarkSet]]:
    """Each case of a dataset: its row of cases.csv, and its landmarks as the rater placed them, in mm."""
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        cases = {row["case"]: row for row in csv.DictReader(file)}
    rows: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    with (folder / "landmarks.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["rater"] == rater:
                rows[row["case"]][row["landmark"]] = row
    for case, by_name in rows.items():
        landmarks = [
            Landmark(
                name,
                ijk=(float(row["x"]), float(row["y"]), 0.0),
                ras=(0.0, -float(row["x_mm"]), -float(row["y_mm"])),  # a lateral film: x runs to the front
                status=Status.ACCEPTED,
            )
            if (row := by_name.get(name))
            else Landmark(name, status=Status.MISSING)
            for name in scheme.names
        ]
        yield cases[case], LandmarkSet(scheme.id, tuple(landmarks))


@pytest.fixture(scope="module")
def the_cephalograms(the_data_folder: Path) -> list[dict[str, Measurement]]:
    readings = _readings(the_data_folder / "ceph_isbi", HEAD, "senior")
    return [measured(landmarks) for _, landmarks in readings]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "norm", "tolerance"),
    [
        ("SNA", 82, 3), ("SNB", 80, 3), ("ANB", 2, 2), ("SN-GoGn", 32, 3), ("FMA", 25, 5), ("FHI", 0.65, 0.05),
        ("N-S-Ar", 123, 5), ("S-Ar-Go", 143, 6), ("Ar-Go-Me", 130, 7), ("Björk sum", 396, 6),
        ("Facial angle", 87.8, 3.6),
        ("Overjet", 2, 1.5), ("Overbite", 2, 2), ("PP-FH", 0, 5), ("N-Me", 115, 10), ("S-Go", 75, 10),
    ],
)  # fmt: skip
def test_patients_average_near_the_published_norms(the_cephalograms, name: str, norm: float, tolerance: float) -> None:
    values = [results[name].value for results in the_cephalograms]
    assert len(values) == 300
    assert np.mean(values) == pytest.approx(norm, abs=tolerance)


@pytest.mark.real_data
def test_patients_with_a_normal_bite_have_the_published_odi_and_apdi(the_cephalograms) -> None:
    normal = [
        results
        for results in the_cephalograms
        if 1 <= results["ANB"].value <= 4 and 1 < results["Overjet"].value < 5 and 0.5 < results["Overbite"].value < 4
    ]
    assert len(normal) > 20
    # Kim 1974: 74.5 ± 6.07; Kim and Vietas 1978: 81.4 ± 3.79. A wrong sign moves them by more.
    assert np.mean([results["ODI"].value for results in normal]) == pytest.approx(74.5, abs=6.07)
    assert np.mean([results["APDI"].value for results in normal]) == pytest.approx(81.4, abs=3.79)


@pytest.mark.real_data
def test_measures_of_the_same_thing_agree(the_cephalograms) -> None:
    def values(name: str) -> np.ndarray:
        return np.array([results[name].value for results in the_cephalograms])

    assert np.corrcoef(values("APDI"), values("ANB"))[0, 1] < -0.9
    assert np.corrcoef(values("ODI"), values("Overbite"))[0, 1] > 0.35
    assert np.corrcoef(values("Convexity"), values("ANB"))[0, 1] > 0.9
    assert np.corrcoef(values("MW"), values("Overjet"))[0, 1] > 0.9
    verdicts = Counter(results["ANB"].verdict for results in the_cephalograms)
    assert min(verdicts[name] for name in ("Class I", "Class II", "Class III")) > 30


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "scheme_id", "columns"),
    [
        ("camus", "a4c-4", {"LV long axis": "lv_length_mm", "Mitral annulus width": "mitral_width_mm"}),
        ("hc18", "fetal-head-4", {"HC": "hc_fitted_mm", "OFD": "ofd_mm", "BPD": "bpd_mm"}),
    ],
)
def test_measurements_equal_those_of_the_data(the_data_folder: Path, folder: str, scheme_id: str, columns) -> None:
    scheme = load_scheme(scheme_id)
    for case, landmarks in _readings(the_data_folder / folder, scheme, "derived"):
        results = measured(landmarks, scheme)
        for name, column in columns.items():
            assert results[name].value == pytest.approx(float(case[column]), abs=0.006), case["case"]


@pytest.mark.real_data
def test_heart_widths_are_near_those_of_the_contours(the_data_folder: Path) -> None:
    scheme = load_scheme("heart-lung-6")
    errors, ratios = [], []
    for case, landmarks in _readings(the_data_folder / "chest_jsrt", scheme, "derived"):
        results = measured(landmarks, scheme)
        if (ratio := results["Heart to costophrenic width"].value) is not None:
            errors.append(results["Heart width"].value - float(case["heart_width_mm"]))
            ratios.append((ratio, float(case["heart_width_mm"]) / float(case["thorax_width_mm"])))
    assert len(errors) > 100
    assert abs(np.mean(errors)) < 0.5
    assert np.std(errors) < 2
    difference = np.subtract(*np.transpose(ratios))
    assert np.mean(difference) == pytest.approx(0.014, abs=0.005)  # what the scheme's note says
