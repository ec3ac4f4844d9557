"""Datasets made from the markups that people corrected in 3D Slicer."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from dataset_files import spoil
from dicom_files import GREY8, write_dicom
from doubles import DetectorDouble, spiral_landmarks, write_picture
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.dataset.building import AnnotatedImage, split_by_subject, write_dataset
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.export import write_mrk_json
from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import LandmarkSet, Status
from MedLandmarkLib.scheme import load_scheme

SCHEME = load_scheme("a4c-4")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["dataset", "from-scene", *map(str, arguments)])


def write_markups(path: Path, points_lps: dict[str, tuple[float, float, float]], system: str = "LPS") -> Path:
    """A list as Slicer saves one in which a person placed points."""
    points = [
        {"id": str(number), "label": label, "description": "", "position": list(place), "positionStatus": "defined"}
        for number, (label, place) in enumerate(points_lps.items(), start=1)
    ]
    document = {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]}
    path.write_text(json.dumps(document))
    return path


def write_volume(path: Path) -> Path:
    volume = sitk.GetImageFromArray(np.random.default_rng(1).integers(0, 99, (17, 22, 19), dtype=np.int16))
    volume.SetSpacing((0.5, 0.7, 2.0))
    volume.SetOrigin((-20.0, 13.0, 4.0))
    volume.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(volume, str(path))
    return path


def write_radiograph(path: Path) -> Path:
    return write_dicom(path, GREY8, "US", PixelSpacing=[0.3, 0.2])


WRITERS = {
    "picture.png": write_picture,
    "volume.nrrd": write_volume,
    "volume.nii.gz": write_volume,
    "shot.dcm": write_radiograph,
}


@pytest.mark.parametrize(("name", "spacing"), [*((name, None) for name in WRITERS), ("picture.png", 0.37)])
def test_detected_exported_and_collected_points_lie_where_they_were(
    tmp_path: Path, name: str, spacing: float | None
) -> None:
    """Image to landmarks to markups file to dataset to pixels."""
    source = tmp_path / "scene"
    source.mkdir()
    image = read_image(WRITERS[name](source / name), spacing_mm=spacing)
    detection = DetectorDouble(SCHEME).detect(image)
    write_mrk_json(detection, source / f"{name.partition('.')[0]}.mrk.json")
    options = ["--spacing", spacing] if spacing else []
    result = call(source, "-o", tmp_path / "made", "-s", SCHEME.id, "--include", "predicted", *options)
    assert result.exit_code == 0, result.stderr
    (case,) = read_dataset(tmp_path / "made")
    wanted = {item.name: item.ijk for item in detection.frames[0].landmarks if item.status is Status.PREDICTED}
    points = case.reference("annotated")
    assert set(points) == set(wanted) and len(wanted) == 2
    for landmark, point in points.items():
        assert point == pytest.approx(wanted[landmark][: len(point)], abs=1e-3)
    assert case.image_path.read_bytes() == image.path.read_bytes()
    known = {"picture.png": spacing and (spacing, spacing), "shot.dcm": (0.2, 0.3)}.get(name, (0.5, 0.7, 2.0))
    assert case.spacing_mm == (None if known is None else pytest.approx(known))


@pytest.mark.parametrize(("system", "flip"), [("LPS", 1.0), ("RAS", -1.0), ("0", -1.0)])
def test_points_that_a_person_placed_in_slicer_count_in_either_coordinate_system(
    tmp_path: Path, system: str, flip: float
) -> None:
    write_picture(tmp_path / "a.png")
    write_markups(tmp_path / "a.mrk.json", {"tip": (flip * 12.5, flip * 7.25, 0.0)}, system)
    assert call(tmp_path, "-o", tmp_path / "made").exit_code == 0
    (case,) = read_dataset(tmp_path / "made")
    assert case.reference("annotated") == {"tip": (12.5, 7.25)}


def a_set(tmp_path: Path, **statuses: Status) -> AnnotatedImage:
    image = read_image(write_picture(tmp_path / "a.png"))
    landmarks = spiral_landmarks(image, SCHEME)
    changed = [replace(item, status=statuses.get(item.name, item.status)) for item in landmarks]
    return AnnotatedImage(image, LandmarkSet(SCHEME.id, tuple(changed)))


def test_what_nobody_looked_at_is_left_out(tmp_path: Path) -> None:
    names = SCHEME.names
    item = a_set(tmp_path, **{names[0]: Status.ACCEPTED, names[1]: Status.EDITED, names[3]: Status.PREDICTED})
    dataset = read_dataset(write_dataset(tmp_path / "made", [item], scheme=SCHEME))
    assert dataset.landmark_names == names
    assert set(dataset.cases[0].reference("annotated")) == set(names[:2])


def test_landmarks_in_patient_space_alone_are_brought_to_pixels(tmp_path: Path) -> None:
    image = read_image(write_volume(tmp_path / "v.nrrd"))
    landmarks = spiral_landmarks(image, SCHEME, slice_index=4)
    in_mm = [replace(item, ijk=None, status=Status.EDITED) for item in landmarks]
    item = AnnotatedImage(image, LandmarkSet(SCHEME.id, tuple(in_mm)), case="mine")
    dataset = read_dataset(write_dataset(tmp_path / "made", [item], scheme=SCHEME))
    assert (dataset.dimension, dataset.cases[0].spacing_mm) == (3, pytest.approx((0.5, 0.7, 2.0)))
    for landmark in landmarks:
        assert dataset["mine"].reference("annotated")[landmark.name] == pytest.approx(landmark.ijk, abs=1e-3)


def scene_of(folder: Path, stems: list[str]) -> Path:
    folder.mkdir()
    for number, stem in enumerate(stems):
        write_picture(folder / f"{stem}.png", seed=number)
        write_markups(folder / f"{stem}.mrk.json", {"tip": (10.0, 20.0, 0.0), "base": (30.0, 40.0, 0.0)})
    return folder


def test_a_persons_images_are_in_one_split_and_the_seed_decides_which(tmp_path: Path) -> None:
    scene = scene_of(tmp_path / "scene", [f"p{number // 2}_{number % 2}" for number in range(20)])
    made = {}
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        options = ["--subject-pattern", r"(p\d+)_", "--val", 0.3, "--seed", seed]
        assert call(scene, "-o", tmp_path / name, *options).exit_code == 0
        dataset = read_dataset(tmp_path / name)
        made[name] = [case.split for case in dataset]
        assert {case.subject for case in dataset.split("val")} & {
            case.subject for case in dataset.split("train")
        } == set()
        assert len({case.subject for case in dataset.split("val")}) == 3
    assert made["a"] == made["b"] != made["c"]


def test_splits_do_not_depend_on_the_order_of_the_images() -> None:
    subjects = [f"s{number}" for number in range(30)]
    assert split_by_subject(subjects, 0.2, 5) == split_by_subject(subjects[::-1], 0.2, 5)
    assert set(split_by_subject(["only"], 0.2, 5).values()) == {"train"}
    assert set(split_by_subject(subjects, 0.0, 5).values()) == {"train"}


def test_pairs_may_be_named(tmp_path: Path) -> None:
    image = write_picture(tmp_path / "a.png")
    markups = write_markups(tmp_path / "other name.mrk.json", {"tip": (1.0, 2.0, 0.0)})
    assert call("--pair", f"{image}={markups}", "-o", tmp_path / "made").exit_code == 0
    assert read_dataset(tmp_path / "made").landmark_names == ("tip",)
    assert call("--pair", image, "-o", tmp_path / "x").exit_code == 2
    assert call("-o", tmp_path / "x").exit_code == 2


def markup_change(**values: object) -> Any:
    return lambda document: document["markups"][0]["controlPoints"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (markup_change(position=[500.0, 1.0, 0.0]), "lies at pixel (500.0, 1.0, 0.0), outside the image"),
        (markup_change(position=[5.0, 1.0, 3.0]), "outside the image of 60 x 80 px"),
        (markup_change(position=[5.0, 1.0]), "must be three numbers"),
        (markup_change(label="base"), "two points have the label 'base'"),
        (markup_change(description="The tip. edited."), "give the spacing that it was calibrated with"),
        (lambda document: document["markups"][0].update(type="Line"), "holds no list of points"),
        (lambda document: document.pop("markups"), "is not a markups file"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named_and_nothing_is_written(tmp_path: Path, change: Any, message: str) -> None:
    scene = scene_of(tmp_path / "scene", ["a", "b"])
    spoil(scene / "b.mrk.json", change)
    result = call(scene, "-o", tmp_path / "made")
    assert result.exit_code == 2 and message in " ".join(result.stderr.split()) and "b." in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["scene"]


def test_markups_without_their_image_are_named(tmp_path: Path) -> None:
    scene = scene_of(tmp_path / "scene", ["a", "b"])
    (scene / "a.png").unlink()
    write_picture(scene / "b.jpg")
    result = call(scene, "-o", tmp_path / "made")
    assert result.exit_code == 2 and "a.mrk.json: has no image" in result.stderr and "b.jpg, b.png" in result.stderr


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    scene = scene_of(tmp_path / "scene", ["a"])
    (tmp_path / "made").mkdir()
    result = call(scene, "-o", tmp_path / "made")
    assert result.exit_code == 2 and "already there" in result.stderr and not list((tmp_path / "made").iterdir())


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    item = a_set(tmp_path, **dict.fromkeys(SCHEME.names, Status.EDITED))
    monkeypatch.setattr("MedLandmarkLib.dataset.building.shutil.copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path / "made", [item])
    assert not (tmp_path / "made").exists() and not list(tmp_path.glob(".medlandmark*"))


def test_an_image_whose_pixels_are_elsewhere_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path / "v.mhd")
    image = read_image(tmp_path / "v.mhd")
    landmarks = tuple(replace(item, status=Status.EDITED) for item in spiral_landmarks(image, SCHEME))
    with pytest.raises(DatasetError, match="pixels are in another file"):
        write_dataset(tmp_path / "made", [AnnotatedImage(image, LandmarkSet(SCHEME.id, landmarks))])


def test_the_tables_say_who_set_a_point_and_how(tmp_path: Path) -> None:
    scene = scene_of(tmp_path / "scene", ["a"])
    assert call(scene, "-o", tmp_path / "made", "--rater", "reader 1").exit_code == 0
    with (tmp_path / "made" / "landmarks.csv").open(newline="") as file:
        assert [(row["rater"], row["status"]) for row in csv.DictReader(file)] == [("reader 1", "edited")] * 2
    assert json.loads((tmp_path / "made" / "dataset.json").read_text())["splits"] == {"train": ["a"]}
