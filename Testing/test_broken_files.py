"""Hundreds of broken and hostile files through `medlandmark detect`, among good ones, in one call."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
from broken_files import BrokenFile, broken_files, good_files, hostile_pickle
from doubles import DetectorDouble
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import MedLandmarkLib.cli.detect as detect_module
import MedLandmarkLib.detection
from MedLandmarkLib.cli import app
from MedLandmarkLib.resources import resource_path


@dataclass(frozen=True)
class Outcome:
    """What one call did: its exit code, what it said, and what is in the output folder."""

    good: list[Path]
    broken: list[BrokenFile]
    exit_code: int
    lines: list[str]
    noise: str
    output: Path

    def complaints(self, path: Path) -> list[str]:
        return [line for line in self.lines if line.startswith(f"medlandmark: {path}: ")]

    def outputs(self, path: Path) -> set[str]:
        stem = path.name.partition(".")[0]
        return {found.name.removeprefix(stem) for found in self.output.iterdir() if found.name.startswith(f"{stem}.")}


@pytest.fixture(scope="module")
def an_outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("broken")
    good = good_files(folder / "good")
    broken = broken_files(folder / "broken", good)
    # Stems are told apart by folder and extension; here every file gets a name that is its own from the start.
    good = [path.rename(path.with_name(f"good{number}{''.join(path.suffixes)}")) for number, path in enumerate(good)]
    paths, half = [file.path for file in broken], len(broken) // 2
    arguments = [*good[::2], *paths[:half], *good[1::2], *paths[half:]]  # good ones before and among them
    with pytest.MonkeyPatch.context() as patch, FileDescriptors(folder / "noise") as noise:
        patch.setattr(MedLandmarkLib.detection, "LandmarkDetector", DetectorDouble)
        patch.setattr(detect_module, "choose_model", lambda scheme, wanted=None: "lite")
        options = ["--scheme", "a4c-4", "--slice", "0", "--output", str(folder / "out")]
        result = CliRunner().invoke(app, ["detect", *map(str, arguments), *options])
    return Outcome(good, broken, result.exit_code, result.stderr.splitlines(), noise.text(), folder / "out")


class FileDescriptors:
    """Collects what libraries write to the process's own stdout and stderr, past Python."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> FileDescriptors:
        self.saved = [os.dup(1), os.dup(2)]
        target = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)
        return self

    def __exit__(self, *_: object) -> None:
        for number, saved in enumerate(self.saved, start=1):
            os.dup2(saved, number)
            os.close(saved)

    def text(self) -> str:
        return self.path.read_text(errors="replace")


def test_there_are_at_least_two_hundred(an_outcome: Outcome) -> None:
    assert sum(file.must_fail for file in an_outcome.broken) >= 200
    assert len(an_outcome.good) >= 12


def test_the_call_says_that_some_failed(an_outcome: Outcome) -> None:
    assert an_outcome.exit_code == 1
    failed = sum(not an_outcome.outputs(file.path) for file in an_outcome.broken)
    total = len(an_outcome.good) + len(an_outcome.broken)
    assert an_outcome.lines[-1] == f"medlandmark: {failed} of {total} images failed"


def test_every_good_image_is_done(an_outcome: Outcome) -> None:
    for path in an_outcome.good:
        assert an_outcome.outputs(path) == {".mrk.json", ".csv", ".landmarks.json"}, path.name


def test_each_broken_file_gets_one_line_and_no_output_or_all_its_outputs(an_outcome: Outcome) -> None:
    wrong = []
    for file in an_outcome.broken:
        complaints, outputs = an_outcome.complaints(file.path), an_outcome.outputs(file.path)
        is_refused = len(complaints) == 1 and not outputs
        is_done = outputs == {".mrk.json", ".csv", ".landmarks.json"}  # there may be a note on its calibration
        if not (is_refused or (is_done and not file.must_fail)):
            wrong.append((file.path.name, complaints, sorted(outputs)))
    assert not wrong


def test_nothing_is_said_but_one_line_each(an_outcome: Outcome) -> None:
    assert not [line for line in an_outcome.lines if not line.startswith("medlandmark: ")]
    assert "Traceback" not in "\n".join(an_outcome.lines)


def test_no_error_is_a_surprise(an_outcome: Outcome) -> None:
    assert not [line for line in an_outcome.lines if "unexpected" in line.split(": ", 2)[-1][:12]]


def test_the_messages_say_what_is_wrong(an_outcome: Outcome) -> None:
    def message(name: str) -> str:
        (file,) = [file for file in an_outcome.broken if file.path.name.partition("_")[2] == name]
        (line,) = an_outcome.complaints(file.path)
        return line

    assert "empty" in message("empty.png")
    assert "text" in message("text.dcm")
    assert "web page" in message("page.jpg")
    assert "pickle" in message("pickle.dcm")
    assert "zip" in message("bomb.dcm")
    assert "no such file" in an_outcome.complaints(an_outcome.broken[-1].path)[0]


def test_no_library_speaks_past_us(an_outcome: Outcome) -> None:
    assert an_outcome.noise == ""


def test_nothing_was_executed_and_nothing_lies_about(an_outcome: Outcome) -> None:
    assert not list(an_outcome.broken[0].path.parent.glob("harm*"))
    assert not [path.name for path in an_outcome.output.iterdir() if path.name.startswith(".")]


def test_every_file_that_was_written_is_whole(an_outcome: Outcome) -> None:
    schema = json.loads(resource_path("Landmarks-schema.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    for path in an_outcome.output.glob("*.landmarks.json"):
        validator.validate(json.loads(path.read_text(encoding="utf-8")))
    for path in an_outcome.output.glob("*.mrk.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["markups"]


def test_the_trap_works_where_it_is_sprung(tmp_path: Path) -> None:
    """Else the test of what was not executed could not fail."""
    pickle.loads(hostile_pickle(tmp_path / "harm"))
    assert (tmp_path / "harm").exists()
