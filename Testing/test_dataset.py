"""Dataset folders: what is read, and what is refused with a plain message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from MedLandmarkLib.dataset import LandmarkDataset, read_dataset
from MedLandmarkLib.errors import DatasetError


@pytest.fixture
def a_dataset_folder(tmp_path: Path) -> Path:
    """Two cases, two landmarks, two raters and their mean; the second case lacks a landmark and a spacing."""
    (tmp_path / "images").mkdir()
    for name in ("one.png", "two.png"):
        (tmp_path / "images" / name).write_bytes(b"not opened by read_dataset")
    description = {"name": "small", "landmarks": [{"name": "apex"}, {"name": "hinge"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    (tmp_path / "cases.csv").write_text(
        "case,file,width,height,spacing_x_mm,spacing_y_mm,subject,split,phase\n"
        "one,images/one.png,40,30,0.2,0.3,p1,train,ED\n"
        "two,images/two.png,41,31,,,p2,val,ES\n"
    )
    (tmp_path / "landmarks.csv").write_text(
        "case,rater,landmark,x,y\n"
        "one,senior,apex,1.5,2\none,senior,hinge,3,4\n"
        "one,junior,apex,2.5,2\none,junior,hinge,3,6\n"
        "one,mean,apex,2.0,2\none,mean,hinge,3,5\n"
        "two,mean,hinge,7,8.25\n"
    )
    return tmp_path


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_case_holds_its_image_geometry_and_readings(a_dataset_folder: Path) -> None:
    dataset = read_dataset(a_dataset_folder)
    case = dataset["one"]
    assert (dataset.name, dataset.landmark_names, len(dataset)) == ("small", ("apex", "hinge"), 2)
    assert case.image_path == a_dataset_folder / "images" / "one.png"
    assert (case.size, case.spacing_mm, case.subject, case.split) == ((40, 30), (0.2, 0.3), "p1", "train")
    assert case.reference("junior") == {"apex": (2.5, 2.0), "hinge": (3.0, 6.0)}
    assert case.attributes == {"phase": "ED"}


def test_a_landmark_nobody_read_is_simply_absent(a_dataset_folder: Path) -> None:
    case = read_dataset(a_dataset_folder)["two"]
    assert case.reference("mean") == {"hinge": (7.0, 8.25)}
    assert case.reference("senior") == {}
    assert case.spacing_mm is None


def test_cases_are_found_by_split(a_dataset_folder: Path) -> None:
    dataset = read_dataset(a_dataset_folder)
    assert [case.id for case in dataset.split("val")] == ["two"]
    assert list(dataset.splits) == ["train", "val"]
    with pytest.raises(DatasetError, match="no split 'test'; it has: 'train', 'val'"):
        dataset.split("test")


def test_the_mean_of_the_raters_is_the_reference_where_it_is_stored(a_dataset_folder: Path) -> None:
    dataset = read_dataset(a_dataset_folder)
    assert dataset.reference_rater() == "mean"
    assert dataset.reference_rater("junior") == "junior"
    with pytest.raises(DatasetError, match="no rater 'nobody'"):
        dataset.reference_rater("nobody")


def test_without_a_mean_the_only_rater_is_the_reference_and_of_two_one_must_be_named(a_dataset_folder: Path) -> None:
    landmarks = a_dataset_folder / "landmarks.csv"
    landmarks.write_text("case,rater,landmark,x,y\none,senior,apex,1,2\n")
    assert read_dataset(a_dataset_folder).reference_rater() == "senior"
    landmarks.write_text("case,rater,landmark,x,y\none,senior,apex,1,2\none,junior,apex,1,2\n")
    with pytest.raises(DatasetError, match="name the rater"):
        read_dataset(a_dataset_folder).reference_rater()


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("dataset.json", '"apex"', '"hinge"', "given twice"),
        ("dataset.json", "{", "[", "not valid JSON"),
        ("dataset.json", '"landmarks"', '"points"', "'landmarks' must be a list"),
        ("cases.csv", "height", "rows", "column 'height' is missing"),
        ("cases.csv", "two,images", "one,images", "empty or given twice"),
        ("cases.csv", "two.png", "gone.png", "no image file 'images/gone.png'"),
        ("cases.csv", "40,30", "0,30", "whole number of pixels"),
        ("cases.csv", "0.2,0.3", "0.2,nan", "must be a number"),
        ("cases.csv", "0.2,0.3", "0.2,", "must be a number"),
        ("cases.csv", "0.2,0.3", "0.2,-1", "above 0 mm"),
        ("landmarks.csv", "7,8.25", "7,inf", "line 8: y is 'inf'"),
        ("landmarks.csv", "one,mean,apex", "one,mean,hinge", "given twice"),
        ("landmarks.csv", "one,mean,apex", "one,mean,nose", "'nose' is not in dataset.json"),
        ("landmarks.csv", "two,mean", "three,mean", "case 'three' is not in cases.csv"),
    ],
)
def test_a_contradiction_is_refused_with_its_place(
    a_dataset_folder: Path, file: str, old: str, new: str, message: str
) -> None:
    replace_text(a_dataset_folder / file, old, new)
    with pytest.raises(DatasetError, match=message):
        read_dataset(a_dataset_folder)


@pytest.mark.parametrize("file", ["dataset.json", "cases.csv", "landmarks.csv"])
def test_a_missing_file_is_named(a_dataset_folder: Path, file: str) -> None:
    (a_dataset_folder / file).unlink()
    with pytest.raises(DatasetError, match=file):
        read_dataset(a_dataset_folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "cases", "landmarks", "dimension"),
    [("ceph_isbi", 300, 19, 2), ("camus", 300, 4, 2), ("spine_aasce", 150, 68, 2), ("mouse_ct", 20, 45, 3)],
)
def test_public_datasets_are_read_whole(
    the_data_folder: Path, name: str, cases: int, landmarks: int, dimension: int
) -> None:
    dataset: LandmarkDataset = read_dataset(the_data_folder / name)
    assert (len(dataset), len(dataset.landmark_names), dataset.dimension) == (cases, landmarks, dimension)
    rater = dataset.reference_rater()
    assert all(len(point) == dimension for case in dataset for point in case.reference(rater).values())
