"""Examples for a teaching: points from files of every format, cases of a dataset, and what is none."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_files import SHAPE, shape_points, write_folder
from doubles import write_picture
from teach_command import BIRD, POINTS, a_folder, a_markups_file, invoke, refused, write_markups
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.oneshot.examples import names_in, points_of, read_points, template_from_files
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_folder", "a_markups_file"]


# --- files ---


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
