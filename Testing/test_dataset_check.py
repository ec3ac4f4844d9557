"""What `medlandmark dataset check` finds, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_files import SIZE_WH, SPACING_MM, write_folder, write_pixels
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.dataset.checking import DatasetReport, check_dataset
from MedLandmarkLib.scheme import load_scheme

Change = Callable[[list[dict], list[dict], dict], None]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["dataset", "check", *map(str, arguments)])


def report_of(folder: Path, change: Change | None = None) -> DatasetReport:
    return check_dataset(write_folder(folder, change=change))


def rows_of(landmarks: list[dict], case: str, *names: str) -> list[dict]:
    return [row for row in landmarks if row["case"] == case and (not names or row["landmark"] in names)]


def without_mm(landmarks: list[dict]) -> None:
    for row in landmarks:
        del row["x_mm"], row["y_mm"]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    assert report.findings == () and report.notes == ()


def exchange(landmarks: list[dict], case: str, one: str, other: str) -> None:
    first, second = rows_of(landmarks, case, one), rows_of(landmarks, case, other)
    first[0]["landmark"], second[0]["landmark"] = other, one


def mirror(landmarks: list[dict], case: str) -> None:
    for row in rows_of(landmarks, case):
        row["x"] = SIZE_WH[0] - 1 - row["x"]


def exchange_axes(landmarks: list[dict], case: str) -> None:
    for row in rows_of(landmarks, case):
        row["x"], row["y"] = row["y"], row["x"]


def scale(landmarks: list[dict], case: str, factor: float) -> None:
    for row in rows_of(landmarks, case):
        row["x"], row["y"] = row["x"] * factor, row["y"] * factor


def move(landmarks: list[dict], case: str, name: str, **place: object) -> None:
    rows_of(landmarks, case, name)[0].update(place)


def pixels_alone(change: Callable[[list[dict]], None]) -> Change:
    """A mistake in the pixels, in a dataset that stores no millimetres beside them."""

    def changed(cases: list[dict], landmarks: list[dict], description: dict) -> None:
        without_mm(landmarks)
        change(landmarks)

    return changed


def in_case(case: str, **values: object) -> Change:
    return lambda cases, landmarks, description: next(row for row in cases if row["case"] == case).update(values)


def described(**values: object) -> Change:
    return lambda cases, landmarks, description: description.update(values)


MISTAKES = [
    ("swap", "error", "c05", pixels_alone(lambda rows: exchange(rows, "c05", "ear", "chin")), "exchanged"),
    ("mirrored", "warning", "c05", pixels_alone(lambda rows: mirror(rows, "c05")), "mirror image"),
    ("mirrored", "warning", "c05", pixels_alone(lambda rows: exchange_axes(rows, "c05")), "mirror image"),
    ("turned", "warning", "c05", pixels_alone(lambda rows: (mirror(rows, "c05"), upside_down(rows, "c05"))), "turned"),
    ("units", "error", "c05", pixels_alone(lambda rows: scale(rows, "c05", SPACING_MM)), "probably millimetres"),
    ("units", "error", "c05", pixels_alone(lambda rows: scale(rows, "c05", 0.5)), "another resolution"),
    ("outlier", "warning", "c05", pixels_alone(lambda rows: move(rows, "c05", "nose", x=20, y=60)), "usual place"),
    ("outside", "error", "c05", pixels_alone(lambda rows: move(rows, "c05", "nose", x=96.0)), "outside the image"),
    ("coordinates", "error", "c05", pixels_alone(lambda rows: move(rows, "c05", "nose", x="nan")), "is 'nan'"),
    ("coordinates", "error", "c05", pixels_alone(lambda rows: move(rows, "c05", "nose", y="left")), "is 'left'"),
    ("units", "error", "c05", lambda c, rows, d: scale(rows, "c05", 2.0), "origin + spacing"),
    ("spacing", "error", "c05", pixels_alone(lambda rows: None), "10 times what it should be"),
    ("size", "error", "c05", in_case("c05", width=80, height=96), "width and height are exchanged"),
    ("missing-image", "error", "c05", in_case("c05", file="images/gone.png"), "no image file"),
    ("leakage", "error", "c05", in_case("c05", subject="s6"), "splits 'train', 'val'"),
    ("split", "warning", "", in_case("c05", split=""), "in no split"),
    ("split", "error", "", described(splits={"test": []}), "split 'test' has no case"),
    ("spacing", "warning", "", in_case("c05", spacing_x_mm="", spacing_y_mm=""), "1 of 24 cases have no spacing"),
]


def upside_down(landmarks: list[dict], case: str) -> None:
    for row in rows_of(landmarks, case):
        row["y"] = SIZE_WH[1] - 1 - row["y"]


@pytest.mark.parametrize(("kind", "severity", "case", "change", "text"), MISTAKES, ids=[m[0] + m[4] for m in MISTAKES])
def test_a_mistake_is_found_and_nothing_else_is_called_wrong(
    tmp_path: Path, kind: str, severity: str, case: str, change: Change, text: str
) -> None:
    def changed(cases: list[dict], landmarks: list[dict], description: dict) -> None:
        change(cases, landmarks, description)
        if "10 times" in text:
            in_case("c05", spacing_x_mm=2.5, spacing_y_mm=2.5)(cases, landmarks, description)

    report = report_of(tmp_path, changed)
    found = [finding for finding in report.findings if finding.kind == kind]
    assert found and text in str(found[0]) and found[0].severity == severity
    assert {finding.case for finding in found} <= {case, "c06"} if kind == "leakage" else {case}
    assert {finding.case for finding in report.errors} <= {case, "c06"}


def test_every_exchanged_pair_of_a_reading_is_found(tmp_path: Path) -> None:
    def change(landmarks: list[dict]) -> None:
        exchange(landmarks, "c05", "ear", "chin")
        exchange(landmarks, "c11", "brow", "jaw")

    found = report_of(tmp_path, pixels_alone(change)).errors
    assert {(finding.case, finding.kind, frozenset(finding.landmark.split(", "))) for finding in found} == {
        ("c05", "swap", frozenset({"ear", "chin"})), ("c11", "swap", frozenset({"brow", "jaw"})),
    }  # fmt: skip


def test_a_mirrored_half_is_said_once(tmp_path: Path) -> None:
    def change(landmarks: list[dict]) -> None:
        for number in range(0, 24, 2):
            mirror(landmarks, f"c{number:02}")

    found = report_of(tmp_path, pixels_alone(change)).findings
    assert len(found) == 1 and "of 24 readings are mirror images" in found[0].what


def test_millimetres_in_every_case_are_found(tmp_path: Path) -> None:
    def change(landmarks: list[dict]) -> None:
        for number in range(24):
            scale(landmarks, f"c{number:02}", SPACING_MM)

    found = report_of(tmp_path, pixels_alone(change)).errors
    assert [finding.kind for finding in found] == ["units"] and "where millimetres would" in found[0].what


def test_points_that_were_never_set_are_found(tmp_path: Path) -> None:
    def change(landmarks: list[dict]) -> None:
        move(landmarks, "c05", "nose", x=0, y=0)
        move(landmarks, "c05", "ear", x=0, y=0)

    found = [item for item in report_of(tmp_path, pixels_alone(change)).errors if item.kind == "duplicate-point"]
    assert len(found) == 1 and found[0].landmark == "nose, ear" and "never set" in found[0].advice


def test_two_spacings_of_one_image_are_found(tmp_path: Path) -> None:
    def change(cases: list[dict], landmarks: list[dict], description: dict) -> None:
        volume = sitk.GetImageFromArray(np.random.default_rng(5).integers(0, 256, SIZE_WH[::-1], dtype=np.uint8)[None])
        volume.SetSpacing((0.5, 0.5, 1.0))
        sitk.WriteImage(volume, str(tmp_path / "images" / "c05.nrrd"))
        in_case("c05", file="images/c05.nrrd")(cases, landmarks, description)

    (found,) = report_of(tmp_path, change).findings
    assert found.kind == "spacing" and "its file says 0.5 x 0.5 mm, the dataset 0.25 x 0.25 mm" in found.what


def test_a_broken_image_is_found_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "images" / "c05.png").write_bytes((folder / "images" / "c05.png").read_bytes()[:300])
    (finding,) = check_dataset(folder).findings
    assert (finding.kind, finding.case, finding.severity) == ("broken-image", "c05", "error")


@pytest.mark.parametrize(("of", "severity"), [("c06", "error"), ("c07", "warning")])
def test_the_same_image_twice_is_an_error_where_it_is_in_two_splits(tmp_path: Path, of: str, severity: str) -> None:
    folder = write_folder(tmp_path)
    shutil.copy(folder / "images" / "c05.png", folder / "images" / f"{of}.png")
    (finding,) = check_dataset(folder).findings
    assert finding.severity == severity and {finding.case, finding.value} == {"c05", of}


def test_an_image_stored_anew_with_another_contrast_is_recognised(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "images" / "c05.png")))
    darker = sitk.GetImageFromArray((pixels * 0.7 + 10).astype(np.uint8))
    sitk.WriteImage(darker, str(folder / "images" / "c06.png"))
    (finding,) = check_dataset(folder).findings
    assert finding.kind == "leakage" and "nearly the same picture" in finding.what


def test_a_declared_repeat_is_no_finding(tmp_path: Path) -> None:
    def change(cases: list[dict], landmarks: list[dict], description: dict) -> None:
        for row in cases:
            row["duplicate_of"] = "c05" if row["case"] == "c06" else ""

    folder = write_folder(tmp_path, change=change)
    shutil.copy(folder / "images" / "c05.png", folder / "images" / "c06.png")
    assert check_dataset(folder).findings == ()


def test_few_cases_have_no_shape_and_that_is_said(tmp_path: Path) -> None:
    report = check_dataset(write_folder(tmp_path, count=5))
    assert report.findings == () and "there are 5" in report.notes[0]


def test_a_scheme_must_have_its_landmarks(tmp_path: Path) -> None:
    result = call(write_folder(tmp_path), "--scheme", "head-19")
    assert result.exit_code == 2 and "none of the landmarks of scheme head-19" in result.stderr
    assert load_scheme("chest-6").names != ("nose",)
    assert call(tmp_path, "--scheme", "chest-6").exit_code == 0  # six points, named by their order


def test_the_command_writes_sheet_page_and_json(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", change=pixels_alone(lambda rows: move(rows, "c05", "nose", x=200.0)))
    sheet, page = tmp_path / "out" / "sheet.png", tmp_path / "out" / "page.html"
    result = call(folder, "--json", "--figure", sheet, "--html", page, "--cells", 7)
    record: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 1 and record["errors"] >= 1
    assert {"severity", "kind", "case", "landmark", "what", "value", "advice"} == set(record["findings"][0])
    assert sitk.ReadImage(str(sheet)).GetWidth() > 500
    text = page.read_text(encoding="utf-8")
    assert "c05" in text and "data:image/png;base64," in text and "outside the image" in text
    assert sorted(path.name for path in sheet.parent.iterdir()) == ["page.html", "sheet.png"]


@pytest.mark.parametrize("command", ["dataset", "dataset check", "dataset from-scene"])
def test_the_commands_explain_themselves(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0 and result.stdout.count("\n") > 6


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    good = call(write_folder(tmp_path / "good"))
    assert good.exit_code == 0 and "24 cases (val 8, train 16), 6 landmarks; 0 errors, 0 warnings" in good.stdout
    warned = call(write_folder(tmp_path / "warned", change=in_case("c05", split="")))
    assert warned.exit_code == 0 and "in no split" in warned.stdout
    assert call(tmp_path / "nowhere").exit_code == 2


def test_all_faults_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    write_pixels(tmp_path / "images" / "x.png", 1)

    def change(landmarks: list[dict]) -> None:
        move(landmarks, "c01", "nose", x="nan")
        move(landmarks, "c02", "ear", y="inf")

    folder = write_folder(tmp_path, change=pixels_alone(change))
    result = CliRunner().invoke(app, ["evaluate", str(folder), "--scheme", "head-19"])
    lines = result.stderr.splitlines()
    assert result.exit_code == 2 and "2 faults" in lines[0] and "c01" not in lines[0] and len(lines) == 3


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "scheme", "most"),
    [
        ("ceph_isbi", "head-19", 3), ("hc18", "fetal-head-4", 2), ("camus", "a4c-4", 2), ("mouse_ct", None, 2),
        ("chest_jsrt", "heart-lung-6", 2), ("spine_aasce", "spine-68", 5), ("hand_xray", None, 0),
        ("brain_afids", None, 0),
    ],
)  # fmt: skip
def test_public_datasets_have_no_error_and_few_warnings(
    the_data_folder: Path, name: str, scheme: str | None, most: int
) -> None:
    report = check_dataset(the_data_folder / name, load_scheme(scheme) if scheme else None)
    assert not report.errors and len(report.warnings) <= most
