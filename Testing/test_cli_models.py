"""`medlandmark models` as a user and as a script meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from MedLandmarkLib.cli.models import models_app
from MedLandmarkLib.models import store

ADAPTER = "head/best_EPE_epoch_200.pth"
BASE = "sapiens_tiny_epoch_1600_clean.pth"


@pytest.fixture
def a_command() -> Callable[..., Any]:
    return lambda *arguments, **more: CliRunner().invoke(models_app, [str(argument) for argument in arguments], **more)


@pytest.fixture
def an_import(a_command: Callable, the_golden_folder: Path, tmp_path: Path) -> Callable[..., Any]:
    architecture = tmp_path / "architecture.json"
    architecture.write_text('{"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]}', encoding="utf-8")
    weights = the_golden_folder / "weights"
    return lambda *more, file=weights / ADAPTER: a_command(
        "import", file, "--id", "tiny", "--base", weights / BASE, "--architecture", architecture, *more
    )


def _one_line(result: Any) -> str:
    """The message of a failed command: one line on stderr, nothing else."""
    assert result.exit_code != 0
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


def test_the_list_shows_what_is_ready_and_what_is_not(a_command: Callable, an_import: Callable) -> None:
    assert an_import().exit_code == 0
    records = {record["id"]: record for record in json.loads(a_command("list", "--json").stdout)}
    assert records["tiny"]["state"] == "ready"
    assert records["medsapiens"]["state"] == "needs download"
    assert list(records["medsapiens"]["schemes"]) == ["head-19", "chest-6", "hand-37", "leg-26"]
    table = a_command("list").stdout
    assert all(model_id in table for model_id in records)


def test_the_list_has_a_line_for_a_damaged_model(a_command: Callable, a_home: Path) -> None:
    (a_home / "models" / "broken").mkdir(parents=True)
    (a_home / "models" / "broken" / "card.json").write_text("{", encoding="utf-8")
    result = a_command("list")
    assert result.exit_code == 0
    assert "broken" in result.stderr


def test_show_tells_licence_source_and_how_to_get_it(a_command: Callable) -> None:
    text = " ".join(a_command("show", "medsapiens").stdout.split())
    for part in ("CC-BY-NC-4.0", "drive.google.com", "needs download", "Get it with: medlandmark models download"):
        assert part in text, part


def test_show_tells_the_files_and_hashes_of_an_installed_model(a_command: Callable, an_import: Callable) -> None:
    an_import()
    record = json.loads(a_command("show", "tiny", "--json").stdout)
    assert record["weights"]["sha256"] == store.find_model("tiny").sha256
    assert all(Path(path).is_file() for path in record["files"])
    assert len(record["files"]) == 2
    assert record["weights"]["sha256"] in "".join(a_command("show", "tiny").stdout.split())


def test_an_unknown_model_is_refused_with_the_known_ones(a_command: Callable) -> None:
    message = _one_line(a_command("show", "medsapien"))
    assert "medsapien'" in message
    assert "medsapiens-head" in message


def test_a_licence_is_shown_in_full_and_nothing_is_fetched_without_acceptance(
    a_command: Callable, a_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("it went to the network")

    monkeypatch.setattr("MedLandmarkLib.models.fetching.download_file", no_network)
    result = a_command("download", "medsapiens-head")
    assert result.exit_code == 2
    assert "Section 1 – Definitions." in result.stdout
    assert "Section 8 – Interpretation." in result.stdout
    assert result.stdout.count("Section 8 – Interpretation.") == 1, "a text that both licences share is printed once"
    assert "Licence of sapiens-0.3b" in result.stdout
    assert "Licence of medsapiens-head" in result.stdout
    assert "medlandmark models download medsapiens-head --accept-license" in result.stderr
    assert not a_home.exists()


def test_accepting_the_licence_starts_the_download(a_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def download_model(model_id: str, **settings: object) -> list:
        asked.update(settings, model_id=model_id)
        settings["bytes_progress"](1, None)
        settings["bytes_progress"](1, 2)
        return [store.find_model("medsapiens-head")]

    monkeypatch.setattr(store, "download_model", download_model)
    result = a_command("download", "medsapiens-head", "--accept-license")
    assert result.exit_code == 0, result.output
    assert asked["accept_license"] is True
    assert asked["accept_changed"] is False
    assert "Section 1 – Definitions." in result.stdout, "it is shown even where it is accepted"
    assert "medlandmark detect IMAGE --scheme head-19 --model medsapiens-head" in result.stdout


def test_a_reference_model_comes_in_through_the_same_door(an_import: Callable) -> None:
    result = an_import()
    assert result.exit_code == 0, result.output
    assert "Installed tiny: head-19" in result.stdout
    assert store.load_model("tiny").card.architecture["heads"] == 4


def test_what_is_installed_is_not_downloaded_again(a_command: Callable, an_import: Callable) -> None:
    an_import()
    result = a_command("download", "tiny")
    assert result.exit_code == 0
    assert "already installed" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"), [(b"<html>quota exceeded", "web page"), (b"", "empty"), (b"PK\x03\x04xx", "truncated")]
)
def test_a_bad_file_is_one_plain_line_and_installs_nothing(
    an_import: Callable, tmp_path: Path, content: bytes, message: str, a_home: Path
) -> None:
    bad = tmp_path / "bad.pth"
    bad.write_bytes(content)
    line = _one_line(an_import(file=bad))
    assert message in line
    assert "bad.pth" in line
    assert not list((a_home / "models").iterdir())


def test_a_missing_file_is_one_plain_line(an_import: Callable, tmp_path: Path) -> None:
    assert "gone.pth" in _one_line(an_import(file=tmp_path / "gone.pth"))


def test_a_scheme_that_does_not_fit_is_one_plain_line(an_import: Callable) -> None:
    assert "has 19 channels, but scheme 'leg-26' has 26 landmarks" in _one_line(an_import("--scheme", "leg-26"))


def test_verify_is_right_until_a_byte_changes(a_command: Callable, an_import: Callable, a_home: Path) -> None:
    an_import()
    result = a_command("verify")
    assert result.exit_code == 0
    assert result.stdout.count("tiny: ") == 2
    path = a_home / "models" / "tiny" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = a_command("verify", "tiny")
    assert result.exit_code == 1
    assert str(path) in result.stderr


def test_verify_of_what_is_not_installed_is_refused(a_command: Callable) -> None:
    assert "not installed" in _one_line(a_command("verify", "medsapiens"))


def test_delete_asks_first(a_command: Callable, an_import: Callable, a_home: Path) -> None:
    an_import()
    assert a_command("delete", "tiny", input="n\n").exit_code != 0
    assert (a_home / "models" / "tiny").exists()
    assert a_command("delete", "tiny", input="y\n").exit_code == 0
    assert not (a_home / "models" / "tiny").exists()


def test_delete_with_yes_does_not_ask(a_command: Callable, an_import: Callable) -> None:
    an_import()
    result = a_command("delete", "tiny", "--yes")
    assert result.exit_code == 0
    assert "Deleted tiny (2.2 MB freed)" in result.stdout
    assert "not installed" in _one_line(a_command("delete", "tiny", "--yes"))


@pytest.mark.parametrize("command", ["list", "show", "download", "import", "verify", "delete"])
def test_every_command_explains_itself(a_command: Callable, command: str) -> None:
    result = a_command(command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 200
