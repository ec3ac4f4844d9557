"""The smaller commands: schemes, measure, demo, the choice of a model, and the command itself."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import DetectorDouble, write_picture
from typer.testing import CliRunner, Result

from MedLandmarkLib import __version__
from MedLandmarkLib.cli import app
from MedLandmarkLib.cli.demo import demo_image
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.export import write_landmarks_json, write_mrk_json
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models import store
from MedLandmarkLib.models.choice import choose_model
from MedLandmarkLib.scheme import list_schemes, load_scheme


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_version_is_that_of_the_library() -> None:
    assert call("--version").stdout == f"medlandmark {__version__}\n"


@pytest.mark.parametrize(
    "command", ["detect", "demo", "measure", "evaluate", "schemes", "schemes list", "schemes show", "models"]
)
def test_every_command_explains_itself(command: str) -> None:
    result = call(*command.split(), "--help")
    assert result.exit_code == 0 and result.stdout.count("\n") > 6


@pytest.mark.parametrize("arguments", [("nonsense",), ("detect",), ("schemes", "show"), ("measure",)])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.stderr


def test_all_schemes_are_listed() -> None:
    table = call("schemes", "list").stdout
    records = json.loads(call("schemes", "list", "--json").stdout)
    assert [record["id"] for record in records] == [scheme.id for scheme in list_schemes()]
    assert all(scheme.id in table for scheme in list_schemes())


@pytest.mark.parametrize("scheme", list_schemes(), ids=lambda scheme: scheme.id)
def test_a_scheme_is_shown_with_every_landmark(scheme: object) -> None:
    result = call("schemes", "show", scheme.id)
    text = "".join(result.stdout.split())
    assert result.exit_code == 0
    assert all("".join(name.split())[:8] in text for name in scheme.names)
    assert json.loads(call("schemes", "show", scheme.id, "--json").stdout)["id"] == scheme.id


def test_an_unknown_scheme_is_told_with_what_there_is() -> None:
    result = call("schemes", "show", "head-20")
    assert result.exit_code == 2 and "head-19" in result.stderr


@pytest.fixture
def a_result(tmp_path: Path) -> Path:
    """A folder with the landmarks and markups files of two images, one calibrated."""
    for name, spacing in (("mm", 0.5), ("px", None)):
        image = read_image(write_picture(tmp_path / f"{name}.png"), spacing_mm=spacing)
        detection = DetectorDouble("head-19").detect(image)
        write_landmarks_json(detection, tmp_path / f"{name}.landmarks.json")
        write_mrk_json(detection, tmp_path / f"{name}.mrk.json")
    return tmp_path


@pytest.mark.parametrize("name", ["mm", "px"])
def test_measuring_again_gives_what_detection_gave(a_result: Path, name: str) -> None:
    path = a_result / f"{name}.landmarks.json"
    (record,) = json.loads(call("measure", path, "--json").stdout)
    written = json.loads(path.read_text())["frames"][0]["measurements"]
    assert record["frames"][0]["measurements"] == written
    assert any(item["unit"] == name for item in written)


def test_markups_that_were_moved_are_measured(a_result: Path) -> None:
    path = a_result / "mm.mrk.json"
    data = json.loads(path.read_text())
    for point, position in zip(data["markups"][0]["controlPoints"], ((0, 0, 0), (30, 40, 0)), strict=False):
        point.update(position=position, positionStatus="defined")
    path.write_text(json.dumps(data))
    (record,) = json.loads(call("measure", path, "--scheme", "head-19", "--json").stdout)
    values = {item["name"]: item for item in record["frames"][0]["measurements"]}
    gonion = data["markups"][0]["controlPoints"][9]["position"]
    assert values["S-Go"]["value"] == pytest.approx((gonion[0] ** 2 + gonion[1] ** 2) ** 0.5)
    assert (values["S-Go"]["unit"], values["S-Go"]["status"]) == ("mm", "edited")


def test_markups_on_an_uncalibrated_image_are_in_px(a_result: Path) -> None:
    (own,) = json.loads(call("measure", a_result / "px.mrk.json", "-s", "head-19", "--json").stdout)
    (told,) = json.loads(call("measure", a_result / "mm.mrk.json", "-s", "head-19", "--px", "--json").stdout)
    for record in (own, told):
        assert {item["unit"] for item in record["frames"][0]["measurements"]} == {"px", "deg", "ratio", "%"}


def test_measurements_of_many_files_make_one_table(a_result: Path) -> None:
    files = sorted(a_result.glob("*.landmarks.json"))
    result = call("measure", *files, "--csv", a_result / "new" / "all.csv")
    assert result.exit_code == 0
    with (a_result / "new" / "all.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(load_scheme("head-19").measurements)
    assert {row["file"] for row in rows} == {str(path) for path in files}


def test_a_damaged_file_does_not_stop_the_others(a_result: Path) -> None:
    (a_result / "bad.landmarks.json").write_text("{")
    result = call("measure", a_result / "bad.landmarks.json", a_result / "px.landmarks.json", a_result / "px.mrk.json")
    assert result.exit_code == 1 and "SNA" in result.stdout
    assert len(result.stderr.splitlines()) == 2 and "add --scheme" in result.stderr


def test_the_demo_writes_everything_and_tells_why_there_are_no_millimetres(
    tmp_path: Path, a_detector_double: type
) -> None:
    result = call("demo", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"examples_ybr_color{suffix}"
        for suffix in (
            ".csv",
            ".curves.csv",
            ".curves.png",
            ".landmarks.json",
            ".mrk.json",
            ".overlay.gif",
            ".png",
            ".summary.json",
        )
    ]
    assert (
        "Why px and not mm: ultrasound region" in result.stdout
        and "cine of 320 x 240 px" in result.stdout
        and "30 frames, 30.0 a second" in result.stdout
    )
    assert all(str(path) in result.stdout for path in (tmp_path / "out").iterdir())


def test_the_demo_image_needs_no_network() -> None:
    assert "pydicom" in demo_image().parts


def test_a_named_model_is_taken_and_else_one_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = load_scheme("head-19")
    cards = {card.id: card for card in store.known_models()}
    monkeypatch.setattr(store, "installed_models", lambda: [cards["sapiens-0.3b"], cards["medsapiens"]])
    assert choose_model(scheme, "mine") == "mine"
    assert choose_model(scheme) == "medsapiens"


def test_without_any_model_those_that_could_be_installed_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "installed_models", lambda: [])
    with pytest.raises(ModelError, match=r"medsapiens-head .*medlandmark models"):
        choose_model(load_scheme("head-19"))
    with pytest.raises(ModelError, match="No model knows scheme mine"):
        choose_model(type("S", (), {"id": "mine"})())


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None; from MedLandmarkLib.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "medlandmark: typer is not installed. The command needs: pip install 'MedLandmark[cli]'\n"


def test_a_reader_that_went_away_is_no_error() -> None:
    code = f"{sys.executable} -m MedLandmarkLib schemes show head-19 | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert "Traceback" not in done.stderr and "Error" not in done.stderr
