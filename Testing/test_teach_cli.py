"""`medlandmark teach` as a user meets it, with a stand-in for the teaching itself."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_files import SHAPE, SIZE_WH, shape_points, write_folder
from doubles import write_picture
from teaching_doubles import TeachDouble, put_in_place
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.oneshot.examples import names_in, points_of, read_points, template_from_files
from MedLandmarkLib.scheme import load_scheme, own_scheme

POINTS = {"beak": (10.0, 20.5), "eye": (30.25, 12.0), "tail": (50.0, 70.0)}
BIRD, _ = own_scheme(tuple(POINTS), "bird")


@pytest.fixture
def a_teacher(monkeypatch: pytest.MonkeyPatch) -> TeachDouble:
    double = TeachDouble()
    put_in_place(double, monkeypatch.setitem)
    return double


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    """Six pictures, one of them broken, and a text."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        write_picture(folder / f"p{number}.png", seed=number)
    (folder / "p3.png").write_bytes(b"no picture at all")
    (folder / "notes.txt").write_text("a note", encoding="utf-8")
    return folder


@pytest.fixture
def a_markups_file(tmp_path: Path) -> Path:
    return write_markups(tmp_path / "p0.mrk.json", POINTS)


def write_markups(path: Path, points: dict[str, tuple[float, float] | None], description: str = "") -> Path:
    """As Slicer saves points that were set on a picture without calibration: LPS, pixels of 1 mm."""
    control_points = [
        {"label": name, "position": [0, 0, 0] if xy is None else [xy[0], xy[1], 0.0], "description": description}
        | {"positionStatus": "missing" if xy is None else "defined"}
        for name, xy in points.items()
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": control_points}
    path.write_text(json.dumps({"markups": [markup]}), encoding="utf-8")
    return path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["teach", *(str(argument) for argument in arguments)])


def refused(*arguments: object) -> str:
    """The one line on stderr of a command that does nothing."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


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


def test_every_format_of_points_says_the_same(a_detector_double, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    command = ["detect", str(picture), "--scheme", "head-19", "--output", str(tmp_path / "out")]
    assert CliRunner().invoke(app, command).exit_code == 0
    scheme, image = load_scheme("head-19"), read_image(picture)
    paths = [tmp_path / "out" / f"a.{ending}" for ending in ("mrk.json", "landmarks.json", "csv")]
    tables = [read_points(path, image, scheme, with_predicted=True).picture_xy for path in paths]
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], atol=1e-5)
    assert np.isnan(tables[0]).any(axis=1).sum() == 1, "the third is missing"
    assert [names_in(path) for path in paths] == [scheme.names] * 3


def test_the_points_of_a_dataset_table_are_read(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("landmark,x,y\nbeak,1.5,2\ntail,3,4.25\neye,,\n", encoding="utf-8")
    points = read_points(table, read_image(write_picture(tmp_path / "a.png")), BIRD)
    np.testing.assert_array_equal(points.picture_xy, [(1.5, 2), (np.nan, np.nan), (3, 4.25)])


def test_predictions_that_nobody_checked_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    rows = ["landmark,i_px,j_px,status", "beak,1,2,accepted", "eye,3,4,predicted", "tail,5,6,doubtful"]
    table.write_text("\n".join(rows), encoding="utf-8")
    picture = write_picture(tmp_path / "a.png")
    template, read = template_from_files(picture, table, BIRD)
    assert np.isfinite(template.picture_xy).all(axis=1).tolist() == [True, False, False]
    assert read.unchecked == ("eye", "tail")
    template, read = template_from_files(picture, table, BIRD, with_predicted=True)
    assert np.isfinite(template.picture_xy).all()
    assert read.unchecked == ()
    table.write_text("landmark,i_px,j_px,status\nbeak,1,2,predicted\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="nobody has placed, accepted or edited"):
        template_from_files(picture, table, BIRD)


# --- a dataset ---


def poison_all_but(folder: Path, kept: set[str]) -> None:
    """Make every reading of every other case such that looking at it fails, and state it of an image that is none."""
    with (folder / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["case"] not in kept:
            row |= {"x": "poison", "y": "poison", "rater": "nobody", "landmark": "nothing"}
    with (folder / "landmarks.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_readings_of_unannotated_images_are_never_looked_at(a_teacher, tmp_path: Path) -> None:
    dataset = write_folder(tmp_path / "faces", 12)
    poison_all_but(dataset, {"c01", "c04"})
    result = invoke("--annotated", dataset, "--cases", "c01,c04", "--output", tmp_path / "run", "--id", "face")
    assert result.exit_code == 0, result.output
    request = a_teacher.request
    assert [template.id for template in request.templates] == ["c01", "c04"]
    for template, number in zip(request.templates, (1, 4), strict=True):
        np.testing.assert_allclose(template.picture_xy, list(shape_points(number).values()), atol=1e-3)
    assert {path.name for path in request.image_paths} == {f"c{n:02}.png" for n in range(12) if n % 3}
    assert request.scheme.names == tuple(SHAPE)


def test_a_folder_of_images_needs_none_of_the_tables_beside_it(a_teacher, a_folder, a_markups_file, tmp_path) -> None:
    dataset = write_folder(tmp_path / "faces", 6)
    (dataset / "landmarks.csv").unlink()
    pair = ("--template", a_folder / "p0.png", "--points", a_markups_file)
    assert invoke(dataset / "images", *pair, "--output", tmp_path / "run").exit_code == 0
    assert len(a_teacher.request.image_paths) == 6


def test_the_cases_drawn_follow_from_the_seed(a_teacher, tmp_path: Path) -> None:
    dataset = write_folder(tmp_path / "faces", 24)
    drawn = []
    for run, seed in enumerate((1, 1, 2)):
        invoke("--annotated", dataset, "--count", 5, "--seed", seed, "--output", tmp_path / f"run{run}", "--id", "face")
        drawn.append([template.id for template in a_teacher.request.templates])
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(ids) == 5 and int(ids[0][1:]) % 3 for ids in drawn)


def test_a_case_of_another_split_or_too_many_are_refused(a_teacher, tmp_path: Path) -> None:
    dataset = write_folder(tmp_path / "faces", 45)
    run = ("--output", tmp_path / "run")
    assert "no case 'c00'" in refused("--annotated", dataset, "--cases", "c00", *run)
    assert "medlandmark train" in refused("--annotated", dataset, "--count", 26, *run)
    assert "99 cases were asked for" in refused("--annotated", dataset, "--count", 99, *run)
    assert "no rater 'nobody'" in refused("--annotated", dataset, "--rater", "nobody", *run)
    assert a_teacher.request is None


# --- what may be wrong ---


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


def test_a_volume_is_no_template(tmp_path: Path) -> None:
    volume = tmp_path / "v.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 50, 40), np.uint8)), str(volume))
    with pytest.raises(DatasetError, match="a volume of 4 slices"):
        template_from_files(volume, write_markups(tmp_path / "v.mrk.json", POINTS), BIRD)


def test_a_template_without_any_point_is_refused(tmp_path: Path) -> None:
    image = read_image(write_picture(tmp_path / "a.png"))
    none = read_points_of_nothing = write_markups(tmp_path / "none.mrk.json", dict.fromkeys(POINTS))
    with pytest.raises(DatasetError, match="all its points are missing"):
        read_points(read_points_of_nothing, image, BIRD)
    with pytest.raises(DatasetError, match=r"none of its points \(none\)"):
        points_of([], image, BIRD, str(none))


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
