"""The whole report: raters beside one another, calibration, the JSON, the page, and the command that writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluation_data import predicted, write_dataset
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.dataset import LandmarkDataset
from MedLandmarkLib.evaluation import EvaluationReport, evaluate_dataset, report_record, with_mean_rater
from MedLandmarkLib.export.evaluation_page import evaluation_html
from MedLandmarkLib.landmark import LandmarkSet, Status
from MedLandmarkLib.scheme import load_scheme

SCHEME = load_scheme("a4c-4")
NAMES = SCHEME.names
POINTS = {name: (10.0 + 10 * number, 20.0) for number, name in enumerate(NAMES)}


def lower(by_px: float, *names: str) -> dict[str, tuple[float, float]]:
    """POINTS, with these landmarks (all where none is named) further down."""
    return {name: (x, y + by_px * (name in (names or NAMES))) for name, (x, y) in POINTS.items()}


@pytest.fixture
def a_dataset(tmp_path: Path) -> LandmarkDataset:
    """Three images of 0.5 mm pixels; the young reader lies 4 px below the old one, and a third repeats the old one."""
    readings = {case: {"old": POINTS, "young": lower(4), "copy": POINTS} for case in ("a", "b", "c")}
    return write_dataset(tmp_path / "echo", NAMES, readings)


@pytest.fixture
def some_predictions() -> dict[str, LandmarkSet]:
    return {
        "a": predicted(SCHEME, POINTS, 0.95),
        "b": predicted(SCHEME, lower(20, NAMES[0]), 0.85, **{NAMES[0]: Status.DOUBTFUL}),  # 10 mm
        "c": predicted(SCHEME, lower(2), 0.95, **{NAMES[3]: Status.MISSING}),  # 1 mm
    }


@pytest.fixture
def a_report(a_dataset: LandmarkDataset, some_predictions: dict[str, LandmarkSet]) -> EvaluationReport:
    return evaluate_dataset(a_dataset, some_predictions, SCHEME, "all", [NAMES[1]], split="val", model="lite")


def test_all_raters_are_compared_and_their_mean_first(a_report: EvaluationReport) -> None:
    """The mean lies 4/3 px = 0.67 mm below the old reader: of old, young and copy."""
    assert list(a_report.raters) == ["mean", "old", "young", "copy"]
    errors = {name: item.evaluation.image_means["a"] for name, item in a_report.raters.items()}
    assert errors == pytest.approx({"mean": 2 / 3, "old": 0.0, "young": 2.0, "copy": 0.0})


def test_readers_are_compared_with_each_other_and_a_copy_only_named(a_report: EvaluationReport) -> None:
    assert a_report.repeats == {"copy": "old"}
    assert list(a_report.readers) == [("old", "young")]
    between = a_report.readers["old", "young"]
    assert (between.overall.mean, between.overall.points) == (pytest.approx(2.0), 9)
    assert between.per_landmark[NAMES[1]].mean == pytest.approx(2.0)


def test_a_mean_is_made_only_of_what_all_readers_of_an_image_gave(tmp_path: Path) -> None:
    alone = {NAMES[0]: POINTS[NAMES[0]]}
    dataset = write_dataset(tmp_path / "echo", NAMES, {"a": {"old": POINTS, "young": alone}, "b": {"old": POINTS}})
    dataset = with_mean_rater(dataset)
    assert set(dataset["a"].reference("mean")) == {NAMES[0]}
    assert dataset["b"].reference("mean") == POINTS


def test_a_single_rater_is_all_there_is(a_dataset: LandmarkDataset, some_predictions: dict[str, LandmarkSet]) -> None:
    one = replace(a_dataset, cases=tuple(replace(c, points={"old": c.points["old"]}) for c in a_dataset))
    report = evaluate_dataset(one, some_predictions, SCHEME, "all")
    assert (list(report.raters), report.readers) == (["old"], {})


def test_confidence_and_status_are_held_against_the_tolerance(a_report: EvaluationReport) -> None:
    """9 counted points: one of 10 mm, doubtful; one called missing; the tolerance is 4 mm."""
    calibration = a_report.raters["old"].calibration
    assert (calibration.points, calibration.tolerance) == (9, 4)
    assert (calibration.doubtful, calibration.missing) == (pytest.approx(1 / 9), pytest.approx(1 / 9))
    assert (calibration.right_if_plain, calibration.right_if_doubtful) == (1.0, 0.0)
    assert [item.points for item in calibration.bins if item.points] == [3, 6]
    expected = 3 / 9 * abs(0.85 - 2 / 3) + 6 / 9 * abs(0.95 - 1)
    assert calibration.expected_calibration_error == pytest.approx(expected)
    assert 0.0 < calibration.least_calibration_error < 0.2
    assert calibration.debiased_calibration_error <= 0.2
    assert a_report.raters["old"].calibration_apart.points == 3


def test_without_millimetres_the_tolerance_is_not_applied(
    tmp_path: Path, some_predictions: dict[str, LandmarkSet]
) -> None:
    dataset = write_dataset(tmp_path / "px", NAMES, {case: {"old": POINTS} for case in "abc"}, spacing=("", ""))
    assert evaluate_dataset(dataset, some_predictions, SCHEME).main.calibration is None


def test_the_record_holds_every_figure_and_is_valid_json(a_report: EvaluationReport) -> None:
    record = json.loads(json.dumps(report_record(a_report), allow_nan=False))
    assert (record["rater"], record["split"], record["model"], record["images"]) == ("mean", "val", "lite", 3)
    assert record["raters"]["old"]["overall"]["points"] == 9
    assert record["with_excluded"]["old"]["points"] == 12
    assert record["readers"][0]["readers"] == ["old", "young"]
    assert record["image_errors"]["b"][NAMES[0]] == pytest.approx(10 - 2 / 3)
    assert record["overall"]["mean_interval"][0] < record["overall"]["mean"] < record["overall"]["mean_interval"][1]
    assert record["curve"][-1][1] == 1.0
    assert {item["name"] for item in record["measurements"]} == {item.name for item in SCHEME.measurements}


class _Balance(HTMLParser):
    """Collects texts, and complains where a tag is closed that is not open."""

    VOID = ("meta", "br", "image")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attributes if key in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(page: str) -> _Balance:
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    return balance


def test_the_page_is_whole_and_needs_no_other_file(a_report: EvaluationReport) -> None:
    page = parsed(evaluation_html(a_report, worst=2))
    assert len(page.addresses) == 4  # two images, whole and enlarged
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    text = " ".join(page.texts)
    for heading in ("Between readers", "Cumulative error", "Confidence", "Worst images", "LV long axis"):
        assert heading in text
    assert "copy (= old)" in text and "old – young" in text
    assert text.index("mean 3.56 mm") < text.index("mean 0.67 mm")  # the worst image stands first


def test_an_image_that_went_away_is_named_on_the_page(a_report: EvaluationReport) -> None:
    a_report.dataset["b"].image_path.unlink()
    page = parsed(evaluation_html(a_report, worst=3))
    assert len(page.addresses) == 4 and any("b.png" in text for text in page.texts)


def test_a_page_of_landmarks_without_any_prediction_can_be_made(a_dataset: LandmarkDataset) -> None:
    nothing = {case.id: LandmarkSet(SCHEME.id) for case in a_dataset}
    report = evaluate_dataset(a_dataset, nothing, SCHEME, "old")
    assert "12 reference points" not in evaluation_html(report)
    assert report.main.evaluation.overall.unpredicted == 12
    parsed(evaluation_html(report))


def test_names_cannot_break_the_page(a_report: EvaluationReport) -> None:
    page = evaluation_html(replace(a_report, model="<script>alert(1)</script>"))
    assert "<script>" not in page


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], terminal_width=200)


@pytest.mark.usefixtures("a_detector_double")
def test_one_command_writes_page_and_figures(a_dataset: LandmarkDataset, tmp_path: Path) -> None:
    page, figures = tmp_path / "out" / "page.html", tmp_path / "out" / "figures.json"
    result = evaluate(
        a_dataset.folder, "--scheme", "a4c-4", "--rater", "all", "--html", page, "--json", figures, "--worst", 1,
        "--exclude", NAMES[3],
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert len(parsed(page.read_text(encoding="utf-8")).addresses) == 2
    record = json.loads(figures.read_text(encoding="utf-8"))
    assert list(record["raters"]) == ["mean", "old", "young", "copy"]
    assert "old – young" in result.stdout and "LV long axis" in result.stdout
    assert "95 % CI" in result.stdout


@pytest.mark.usefixtures("a_detector_double")
def test_a_measurement_is_compared_with_a_column_of_the_cases(tmp_path: Path) -> None:
    columns = {"length_mm": {"a": "12.5"}}
    dataset = write_dataset(tmp_path / "echo", NAMES, {"a": {"old": POINTS}, "b": {"old": POINTS}}, columns=columns)
    result = evaluate(dataset.folder, "--scheme", "a4c-4", "--case-value", "LA length=length_mm")
    assert result.exit_code == 0, result.stderr
    wrong = evaluate(dataset.folder, "--scheme", "a4c-4", "--case-value", "LA length")
    assert wrong.exit_code == 2 and "NAME=COLUMN" in wrong.stderr
    unknown = evaluate(dataset.folder, "--scheme", "a4c-4", "--case-value", "LA length=width_mm")
    assert unknown.exit_code == 2 and "width_mm" in unknown.stderr and "Traceback" not in unknown.stderr
