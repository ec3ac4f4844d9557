"""What `medlandmark teach` refuses, in one line, before anything is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles import write_picture
from teach_command import a_folder, a_markups_file, invoke, refused, write_markups

__all__ = ["a_folder", "a_markups_file"]


def test_points_with_unknown_names_are_named(a_teacher, a_folder: Path, a_markups_file: Path, tmp_path: Path) -> None:
    pair = ("--template", a_folder / "p0.png", "--points", a_markups_file, "--output", tmp_path / "run")
    told = refused(a_folder, *pair, "--scheme", "head-19")
    assert "none of its points ('beak', 'eye', 'tail') is a landmark of scheme head-19" in told
    one = write_markups(tmp_path / "one.mrk.json", {"Sella": (5, 6), "beak": (1, 2)})
    run = ("--template", a_folder / "p0.png", "--points", one, "--output", tmp_path / "run")
    result = invoke(a_folder, *run, "--scheme", "head-19", "--id", "sella")
    assert result.exit_code == 0, result.output
    assert "left out: beak: not in scheme head-19" in result.stderr


def test_a_folder_without_images_is_named(a_teacher, a_markups_file: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    pair = ("--template", write_picture(tmp_path / "a.png"), "--points", a_markups_file)
    told = refused(empty, *pair, "--output", tmp_path / "run")
    assert "no unannotated image to learn from in" in told
    assert "no unannotated image to learn from: name files or folders" in refused(*pair, "--output", tmp_path / "run")


def test_points_outside_the_image_are_refused(a_folder: Path, tmp_path: Path) -> None:
    points = write_markups(tmp_path / "far.mrk.json", {"beak": (500, 20)})
    told = refused(a_folder, "--template", a_folder / "p0.png", "--points", points, "--output", tmp_path / "run")
    assert "'beak' lies at pixel (500.0, 20.0), outside the image of 60 x 80 px" in told


def test_pairs_that_do_not_match_are_refused(a_folder: Path, a_markups_file: Path, tmp_path: Path) -> None:
    run = ("--output", tmp_path / "run")
    assert "go in pairs" in refused(a_folder, "--template", a_folder / "p0.png", "--scheme", "head-19", *run)
    assert "which landmarks to teach" in refused(a_folder, "--template", a_folder / "p0.png", *run)


WRONG_USAGE = {
    "no output": ((), "--output"),
    "canvas": (("--output", "run", "--canvas", "big"), "not a canvas"),
    "cases without a dataset": (("--output", "run", "--cases", "a"), "--annotated"),
    "cases and count": (("--output", "run", "--annotated", ".", "--cases", "a", "--count", "2"), "one of the two"),
    "device": (("--output", "run", "--device", "abacus"), "not a device"),
}


@pytest.mark.parametrize("what", WRONG_USAGE)
def test_wrong_usage_is_told(what: str, a_folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, word = WRONG_USAGE[what]
    result = invoke(a_folder, *arguments)
    assert result.exit_code == 2
    assert word in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("--method", "magic", "method"), ("--effort", "1000", "effort"), ("--id", "No Good", "model's id"),
     ("--id", "head-19", "is the id of a scheme of MedLandmark")],
)  # fmt: skip
def test_settings_that_cannot_be_are_told(option, value, word, a_folder, a_markups_file, tmp_path) -> None:
    pair = ("--template", a_folder / "p0.png", "--points", a_markups_file, "--output", tmp_path / "run")
    assert word in refused(a_folder, *pair, option, value)
    assert not (tmp_path / "run").exists()


def test_a_run_of_other_landmarks_is_not_continued(a_teacher, a_folder, a_markups_file, tmp_path: Path) -> None:
    def teach(points: Path) -> tuple:
        return a_folder, "--template", a_folder / "p0.png", "--points", points, "--output", tmp_path / "run"

    assert invoke(*teach(a_markups_file)).exit_code == 0
    again = invoke(*teach(a_markups_file))
    assert again.exit_code == 0, again.output
    assert "other landmarks" in refused(*teach(write_markups(tmp_path / "other.mrk.json", {"toe": (1, 2)})))
