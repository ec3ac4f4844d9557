"""The figures of an evaluation, against numbers worked out by hand, and the command that prints them."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import DetectorDouble, spiral_landmarks, write_picture
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.dataset import LandmarkDataset, read_dataset
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.evaluation import error_statistics, evaluate_landmarks, radial_errors
from MedLandmarkLib.export import write_landmarks_json
from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.scheme import Scheme, load_scheme

NAMES = load_scheme("a4c-4").names


@pytest.fixture
def a_scheme() -> Scheme:
    return replace(load_scheme("a4c-4"), sdr_radii=(2.0, 4.0), sdr_unit="mm", tolerance=2.0)


@pytest.fixture
def a_dataset(tmp_path: Path) -> LandmarkDataset:
    """Two cases of 60 x 80 px; the second lacks the last landmark. One rater, pixels of 0.5 x 0.25 mm."""
    return make_dataset(tmp_path / "echo", spacing=("0.5", "0.25"))


def make_dataset(folder: Path, spacing: tuple[str, str]) -> LandmarkDataset:
    (folder / "images").mkdir(parents=True)
    rows = []
    for seed, case in enumerate(("one", "two")):
        write_picture(folder / "images" / f"{case}.png", 60, 80, seed)
        rows += [(case, "reader", name, 10 * n, 20) for n, name in enumerate(NAMES) if (case, n) != ("two", 3)]
    (folder / "dataset.json").write_text(json.dumps({"name": "echo", "landmarks": [{"name": name} for name in NAMES]}))
    with (folder / "landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("case", "rater", "landmark", "x", "y"), *rows])
    with (folder / "cases.csv").open("w", newline="") as file:
        header = ("case", "file", "width", "height", "spacing_x_mm", "spacing_y_mm", "split")
        splits = {"one": "val", "two": "test"}
        cases = [(case, f"images/{case}.png", 60, 80, *spacing, split) for case, split in splits.items()]
        csv.writer(file).writerows([header, *cases])
    return read_dataset(folder)


def shifted(offsets: dict[str, tuple[float, float]], status: Status = Status.PREDICTED) -> LandmarkSet:
    """Predictions that miss the reference by `offsets`, in px."""
    return LandmarkSet(
        "a4c-4",
        tuple(
            Landmark(name, ijk=(10 * n + offsets[name][0], 20 + offsets[name][1], 0.0), status=status)
            for n, name in enumerate(NAMES)
            if name in offsets
        ),
    )


def test_errors_are_in_millimetres_along_each_axis() -> None:
    errors = radial_errors({"a": (3, 4, 9), "b": (1, 1, 0)}, {"a": (0.0, 0.0), "c": (5.0, 5.0)}, (2.0, 1.0))
    assert errors == {"a": pytest.approx(math.hypot(6, 4))}


def test_the_figures_are_those_worked_out_by_hand(a_dataset: LandmarkDataset, a_scheme: Scheme) -> None:
    predictions = {
        "one": shifted({NAMES[0]: (2, 0), NAMES[1]: (0, 8), NAMES[2]: (6, 0), NAMES[3]: (0, 0)}),  # 1, 2, 3, 0 mm
        "two": shifted({NAMES[0]: (10, 0), NAMES[1]: (0, 0), NAMES[2]: (0, 0), NAMES[3]: (0, 0)}),  # 5, 0, 0 mm, none
    }
    evaluation = evaluate_landmarks(a_dataset, "reader", predictions, a_scheme)
    overall = evaluation.overall
    assert (evaluation.unit, overall.points, overall.unpredicted, evaluation.absent) == ("mm", 7, 0, 1)
    assert overall.mean == pytest.approx(11 / 7)
    assert overall.sd == pytest.approx(math.sqrt(sum((value - 11 / 7) ** 2 for value in (1, 2, 3, 0, 5, 0, 0)) / 6))
    assert (overall.median, overall.largest) == (pytest.approx(1), pytest.approx(5))
    assert overall.sdr == {2.0: pytest.approx(5 / 7), 4.0: pytest.approx(6 / 7)}
    assert evaluation.per_landmark[NAMES[0]].mean == pytest.approx(3)
    assert evaluation.per_landmark[NAMES[3]].points == 1
    assert evaluation.image_means == {"one": pytest.approx(1.5), "two": pytest.approx(5 / 3)}


def test_an_excluded_landmark_counts_apart(a_dataset: LandmarkDataset, a_scheme: Scheme) -> None:
    predictions = {"one": shifted({name: (20.0 if name == NAMES[1] else 2.0, 0) for name in NAMES})}
    evaluation = evaluate_landmarks(a_dataset, "reader", predictions, a_scheme, exclude=[NAMES[1]])
    assert (evaluation.overall.points, evaluation.overall.mean) == (3, pytest.approx(1))
    assert evaluation.per_landmark[NAMES[1]].mean == pytest.approx(10)
    assert evaluation.image_means == {"one": pytest.approx(1)}
    with pytest.raises(DatasetError, match="'nose' cannot be excluded"):
        evaluate_landmarks(a_dataset, "reader", predictions, a_scheme, exclude=["nose"])


def test_a_point_without_prediction_is_a_failure_and_no_error(a_dataset: LandmarkDataset, a_scheme: Scheme) -> None:
    predictions = {"one": shifted({NAMES[0]: (0, 0), NAMES[1]: (0, 0)})}
    overall = evaluate_landmarks(a_dataset, "reader", predictions, a_scheme).overall
    assert (overall.points, overall.unpredicted, overall.mean) == (2, 2, 0.0)
    assert overall.sdr[2.0] == 0.5


def test_what_the_model_called_missing_is_counted_by_its_estimate(a_dataset: LandmarkDataset, a_scheme: Scheme) -> None:
    predictions = {case: shifted(dict.fromkeys(NAMES, (2, 0)), Status.MISSING) for case in ("one", "two")}
    evaluation = evaluate_landmarks(a_dataset, "reader", predictions, a_scheme)
    assert (evaluation.overall.points, evaluation.called_missing) == (7, 7)
    assert (evaluation.absent, evaluation.absent_called_missing) == (1, 1)


def test_without_spacing_errors_are_in_px_and_radii_in_mm_do_not_apply(tmp_path: Path, a_scheme: Scheme) -> None:
    dataset = make_dataset(tmp_path / "echo", spacing=("", ""))
    evaluation = evaluate_landmarks(dataset, "reader", {"one": shifted(dict.fromkeys(NAMES, (3, 4)))}, a_scheme)
    assert (evaluation.unit, evaluation.overall.mean, evaluation.overall.sdr) == ("px", pytest.approx(5), {})
    assert "do not apply" in evaluation.notes[0]


def test_px_are_those_of_the_size_that_the_schemes_source_resizes_to(
    a_dataset: LandmarkDataset, a_scheme: Scheme
) -> None:
    scheme = replace(a_scheme, sdr_unit="px", sdr_reference_size_wh=(120, 160))
    evaluation = evaluate_landmarks(a_dataset, "reader", {"one": shifted(dict.fromkeys(NAMES, (3, 4)))}, scheme)
    assert (evaluation.unit, evaluation.overall.mean) == ("px", pytest.approx(10))
    assert set(evaluation.overall.sdr) == {2.0, 4.0}


def test_a_scheme_of_other_landmarks_is_refused(a_dataset: LandmarkDataset) -> None:
    with pytest.raises(DatasetError, match="share no name with scheme head-19"):
        evaluate_landmarks(a_dataset, "reader", {"one": shifted({})}, load_scheme("head-19"))


@given(st.lists(st.floats(0, 1e3), max_size=30), st.integers(0, 5))
def test_success_never_falls_as_the_radius_grows(errors: list[float], unpredicted: int) -> None:
    statistics = error_statistics(errors, unpredicted, (1.0, 2.0, 1e3))
    rates = list(statistics.sdr.values())
    assert rates == sorted(rates)
    if errors:
        assert rates[-1] == pytest.approx(len(errors) / (len(errors) + unpredicted))
        assert min(errors) - 1e-9 <= statistics.mean <= statistics.largest + 1e-9


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def write_predictions(dataset: LandmarkDataset, folder: Path) -> None:
    folder.mkdir()
    for case in dataset:
        detection = DetectorDouble("a4c-4").detect(read_image(case.image_path))
        write_landmarks_json(detection, folder / f"{case.id}.landmarks.json")


def test_predictions_are_compared_with_a_dataset(a_dataset: LandmarkDataset, tmp_path: Path) -> None:
    write_predictions(a_dataset, tmp_path / "predictions")
    target = tmp_path / "figures" / "out.json"
    result = evaluate(tmp_path / "predictions", a_dataset.folder, "--json", target)
    assert result.exit_code == 0, result.stderr
    assert "2 images, 7 points, rater reader" in result.stdout
    record = json.loads(target.read_text())
    image = read_image(a_dataset["one"].image_path)
    estimate = spiral_landmarks(image, load_scheme("a4c-4"))[NAMES[0]].ijk
    errors = [math.hypot(0.5 * (estimate[0] - 0), 0.25 * (estimate[1] - 20))] * 2  # both images have one size
    assert record["landmarks"][NAMES[0]]["mean"] == pytest.approx(sum(errors) / 2)
    assert (record["images"], record["unit"], record["rater"]) == (2, record["unit"], "reader")
    one = evaluate(tmp_path / "predictions", a_dataset.folder / "landmarks.csv", "--split", "val")
    assert "1 images, 4 points" in one.stdout


@pytest.mark.usefixtures("a_detector_double")
def test_detection_and_comparison_in_one_call(a_dataset: LandmarkDataset, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    result = evaluate(a_dataset.folder, "--scheme", "a4c-4", "--exclude", NAMES[3], "--json", target)
    assert result.exit_code == 0, result.stderr
    assert "2 images, 6 points, rater reader; scheme a4c-4, model lite" in result.stdout
    assert f"{NAMES[3]} (apart)" in result.stdout
    assert json.loads(target.read_text())["model"] == "lite"


@pytest.mark.usefixtures("a_detector_double")
def test_an_image_that_cannot_be_read_is_told_and_the_others_count(a_dataset: LandmarkDataset) -> None:
    a_dataset["two"].image_path.write_bytes(b"broken")
    result = evaluate(a_dataset.folder, "--scheme", "a4c-4")
    assert result.exit_code == 1 and "two.png" in result.stderr
    assert "1 images, 4 points" in result.stdout


def test_a_damaged_prediction_is_told_and_a_foreign_one_left_out(a_dataset: LandmarkDataset, tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    write_predictions(a_dataset, folder)
    (folder / "two.landmarks.json").write_text("{")
    (folder / "three.landmarks.json").write_text("{}")
    result = evaluate(folder, a_dataset.folder)
    assert result.exit_code == 1 and "1 images" in result.stdout
    lines = result.stderr.splitlines()
    assert any("two.landmarks.json" in line for line in lines) and any("three.landmarks.json" in line for line in lines)
    assert any("1 cases have no prediction" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--scheme"),
        (("--scheme", "a4c-4", "--split", "nowhere"), "no split 'nowhere'"),
        (("--scheme", "a4c-4", "--rater", "nobody"), "no rater 'nobody'"),
    ],
)
def test_a_wrong_question_is_told(arguments: tuple[str, ...], message: str, a_dataset: LandmarkDataset) -> None:
    result = evaluate(a_dataset.folder, *arguments)
    assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.real_data
def test_the_distance_between_two_readers_is_the_published_one(the_data_folder: Path) -> None:
    """The dataset's own text: senior against junior 2.36 mm in cases 001-300, 7.9 mm for landmark 16."""
    dataset = read_dataset(the_data_folder / "ceph_isbi")
    scheme = load_scheme("head-19")
    predictions = {
        case.id: LandmarkSet(
            scheme.id,
            tuple(Landmark(name, (*xy, 0.0), status=Status.EDITED) for name, xy in case.reference("junior").items()),
        )
        for case in dataset
    }
    evaluation = evaluate_landmarks(dataset, "senior", predictions, scheme)
    assert (len(evaluation.image_means), evaluation.unit) == (300, "mm")
    assert evaluation.overall.mean == pytest.approx(2.36, abs=0.01)
    assert evaluation.per_landmark[scheme.names[15]].mean == pytest.approx(7.9, abs=0.1)
