"""`medlandmark teach` as a user meets it, with a stand-in for the teaching, and last with the teaching itself."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_files import SIZE_WH
from teach_command import POINTS, a_folder, a_markups_file, invoke, refused, write_markups
from teaching_doubles import TeachDouble, put_in_place
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_folder", "a_markups_file"]


# --- one example ---


def test_one_annotated_image_and_a_folder_become_a_model_of_ones_own_landmarks(
    a_teacher, a_folder: Path, a_markups_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = invoke(
        a_folder, "--template", a_folder / "p0.png", "--points", a_markups_file, "--output", run, "--id", "bird",
        "--method", "instant", "--effort", "0.5", "--canvas", "129x161", "--seed", "7", "--device", "cpu", "--install",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    request = a_teacher.request
    assert request.scheme.names == tuple(POINTS)
    assert request.model_id == "bird"
    settings = request.settings
    assert (settings.method, settings.effort, settings.canvas_wh, settings.seed) == ("instant", 0.5, (129, 161), 7)
    (template,) = request.templates
    np.testing.assert_allclose(template.picture_xy, list(POINTS.values()), atol=1e-9)
    assert {path.name for path in request.image_paths} == {f"p{number}.png" for number in range(6)}
    assert a_teacher.device == "cpu"
    assert "p3.png" in result.stdout.partition("Not learned from:")[2]
    assert "notes.txt" in result.stderr
    assert "differ by 1.2 px" in result.stdout
    assert "views differ by" in result.stderr
    assert json.loads((run / "model" / "scheme.json").read_text("utf-8"))["id"] == "bird"
    assert load_scheme("bird").names == tuple(POINTS)
    found = CliRunner().invoke(
        app, ["detect", str(a_folder / "p1.png"), "--scheme", "bird", "--output", str(tmp_path / "found")]
    )
    assert found.exit_code == 0, found.output


def test_the_model_is_named_after_its_folder_and_is_not_installed_unasked(
    a_teacher, a_folder: Path, a_markups_file: Path, tmp_path: Path
) -> None:
    result = invoke(a_folder, "--template", a_folder / "p0.png", "--landmarks", a_markups_file, "-o", tmp_path / "Bird")
    assert result.exit_code == 0, result.output
    assert a_teacher.request.model_id == a_teacher.request.scheme.id == "bird"
    assert "bird" not in CliRunner().invoke(app, ["models", "list"]).stdout


def test_a_template_with_missing_landmarks_teaches_the_others(a_teacher, a_folder: Path, tmp_path: Path) -> None:
    points = write_markups(tmp_path / "p0.mrk.json", {**POINTS, "eye": None})
    result = invoke(a_folder, "--template", a_folder / "p0.png", "--points", points, "--output", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert a_teacher.request.taught == ("beak", "tail")
    assert "reported as missing: eye" in result.stderr


def test_several_pairs_teach_together(a_teacher, a_folder: Path, tmp_path: Path) -> None:
    first = write_markups(tmp_path / "first.mrk.json", {"beak": (1, 2), "eye": (3, 4)})
    second = write_markups(tmp_path / "second.mrk.json", {"tail": (5, 6), "beak": (7, 8)})
    pairs = (
        "--template",
        a_folder / "p0.png",
        "--points",
        first,
        "--template",
        a_folder / "p1.png",
        "--points",
        second,
    )
    assert invoke(a_folder, *pairs, "--output", tmp_path / "run").exit_code == 0
    assert a_teacher.request.scheme.names == ("beak", "eye", "tail")
    np.testing.assert_array_equal(a_teacher.request.templates[1].picture_xy, [(7, 8), (np.nan, np.nan), (5, 6)])


# --- stopping ---


class Interrupting(TeachDouble):
    """Presses Ctrl-C in the middle."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def __call__(self, request: Any, folder: Path, *, progress: Callable, **more: Any) -> Any:
        import signal

        def report(news: Any) -> None:
            progress(news)
            if news.fraction >= self.at:
                signal.raise_signal(signal.SIGINT)

        return super().__call__(request, folder, progress=report, **more)


@pytest.mark.parametrize(("at", "has_model"), [(0.7, True), (0.1, False)])
def test_an_interrupt_keeps_the_best_and_says_how_to_go_on(
    at: float, has_model: bool, monkeypatch, a_folder: Path, a_markups_file: Path, tmp_path: Path
) -> None:
    put_in_place(Interrupting(at), monkeypatch.setitem)
    run = tmp_path / "run"
    pair = ("--template", a_folder / "p0.png", "--points", a_markups_file, "--output", run, "--install")
    result = invoke(a_folder, *pair)
    assert result.exit_code == 130, result.output
    assert "the same command goes on" in result.stderr
    assert (run / "model" / "scheme.json").is_file() == has_model
    assert ("best so far" in result.stderr) == has_model
    assert "Installed" not in result.stdout


# --- which one to annotate ---


def test_the_images_most_worth_annotating_are_named_best_first(a_teacher, a_folder: Path) -> None:
    shutil.copyfile(a_folder / "p1.png", a_folder / "the most usual one.png")
    result = invoke(a_folder, "--propose", 2)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if ".png" in line]
    assert "p3.png" in lines[0], "the broken one is named with its reason"
    assert "the most usual one.png" in lines[1]
    assert "p0.png" in lines[2]
    assert a_teacher.request is None


def test_nothing_is_proposed_where_no_image_can_be_read(a_teacher, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    assert "none of the images can be proposed" in refused(tmp_path, "--propose", 1)


def test_the_command_needs_torch_only_to_teach() -> None:
    import subprocess

    code = "import sys, MedLandmarkLib.cli.teach as t; import typer; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout == "False\n", answer.stderr
    assert SIZE_WH


# --- with the teaching itself ---


TRUTH = {"left": (0.30, 0.35), "right": (0.72, 0.40), "low": (0.50, 0.78)}


def write_face(path: Path, seed: int) -> dict[str, tuple[float, float]]:
    """A grey picture of a face-like figure, a little moved; its three landmarks in px."""
    generator = np.random.default_rng(seed)
    shift, size_wh = generator.normal(0, 3, 2), np.array((160, 192))
    rows, columns = np.mgrid[: size_wh[1], : size_wh[0]]
    picture = 60 + 40 * np.exp(-(((columns - 80 - shift[0]) / 55) ** 2 + ((rows - 96 - shift[1]) / 75) ** 2))
    points = {name: tuple(np.array(xy) * size_wh + shift) for name, xy in TRUTH.items()}
    for (x, y), (wide, high), sign in zip(points.values(), ((9, 4), (4, 9), (14, 3)), (1, 1, -1), strict=True):
        picture += sign * 90 * np.exp(-(((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2))
    picture += generator.normal(0, 2, picture.shape)
    sitk.WriteImage(sitk.GetImageFromArray(picture.clip(0, 255).astype(np.uint8)), str(path))
    return points


def test_matching_finds_the_users_own_landmarks_from_end_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    truth = [write_face(folder / f"f{number}.png", number) for number in range(5)]
    (folder / "broken.png").write_bytes(b"no picture")
    table = "".join(f"{name},{x},{y}\n" for name, (x, y) in truth[0].items())
    (tmp_path / "points.csv").write_text("landmark,x,y\n" + table, encoding="utf-8")
    result = invoke(
        folder, "--template", folder / "f0.png", "--points", tmp_path / "points.csv", "--method", "instant",
        "--output", tmp_path / "run", "--id", "face", "--device", "cpu", "--install",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "broken.png" in result.stdout
    command = ["detect", str(folder / "f4.png"), "--scheme", "face", "--output", str(tmp_path / "found")]
    assert CliRunner().invoke(app, command).exit_code == 0
    found = json.loads((tmp_path / "found" / "f4.landmarks.json").read_text(encoding="utf-8"))
    for landmark in found["frames"][0]["landmarks"]:
        assert np.linalg.norm(np.subtract(landmark["ijk"][:2], truth[4][landmark["name"]])) < 6, landmark


def test_an_annotated_volume_becomes_a_model_by_itself(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 28, 30)).astype(np.uint8)
    volume = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(pixels), 1.5)
    sitk.WriteImage(sitk.Cast(sitk.RescaleIntensity(volume), sitk.sitkUInt8), str(tmp_path / "head.nii.gz"))
    points = [
        {"label": name, "position": [x, y, z], "positionStatus": "defined"}
        for name, (x, y, z) in {
            "left": (8, 9, 10),
            "right": (20, 9, 10),
            "top": (14, 20, 12),
            "back": (14, 9, 20),
        }.items()
    ]
    markups = {"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points}]}
    (tmp_path / "head.mrk.json").write_text(json.dumps(markups), encoding="utf-8")
    command = ["teach", "--template", str(tmp_path / "head.nii.gz"), "--points", str(tmp_path / "head.mrk.json")]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "heads"), "--id", "heads"])
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "heads" / "model" / "card.json").read_text(encoding="utf-8"))
    assert card["family"] == "atlas"
    assert (tmp_path / "heads" / "model" / "scheme.json").is_file()
