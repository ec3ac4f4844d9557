"""COCO keypoint files, as MedSapiens ships them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from dataset_files import SHAPE, SIZE_WH, shape_points, spoil, write_coco, write_pixels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from MedLandmarkLib.dataset import read_dataset, with_names_of
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.scheme import load_scheme

NAMES = list(SHAPE)


@pytest.fixture
def a_coco_file(tmp_path: Path) -> Path:
    """Two radiographs; in the second the chin is not annotated."""
    second = {name: point for name, point in shape_points(2).items() if name != "chin"}
    return write_coco(
        tmp_path / "face_coco_train_annotations.json", {"Face_1": shape_points(1), "Face_2": second}, NAMES
    )


def test_a_coco_file_is_the_same_kind_of_dataset_as_a_folder(a_coco_file: Path) -> None:
    dataset = read_dataset(a_coco_file)
    case = dataset["Face_1"]
    assert (dataset.name, dataset.landmark_names, dataset.dimension) == ("face", tuple(NAMES), 2)
    assert (case.size, case.split, case.subject, case.spacing_mm) == (SIZE_WH, "train", "Face_1", None)
    assert case.image_path == a_coco_file.parent / "images" / "Face_1.png"
    assert case.reference(dataset.reference_rater()) == shape_points(1)


def test_a_keypoint_without_visibility_is_absent(a_coco_file: Path) -> None:
    dataset = read_dataset(a_coco_file)
    assert set(dataset["Face_2"].reference("annotated")) == set(NAMES) - {"chin"}


def test_a_folder_of_coco_files_has_a_split_for_each(a_coco_file: Path) -> None:
    write_coco(a_coco_file.parent / "face_coco_val_annotations.json", {"Face_3": shape_points(3)}, NAMES)
    for place in (a_coco_file.parent, a_coco_file.parent / "face_coco_*.json"):
        dataset = read_dataset(place)
        assert {name: [case.id for case in cases] for name, cases in dataset.splits.items()} == {
            "train": ["Face_1", "Face_2"], "val": ["Face_3"],
        }  # fmt: skip


def test_an_image_in_two_splits_is_refused(a_coco_file: Path) -> None:
    write_coco(a_coco_file.parent / "face_coco_val_annotations.json", {"Face_2": shape_points(2)}, NAMES)
    with pytest.raises(DatasetError, match=r"'Face_2' is also in face_coco_train_annotations\.json"):
        read_dataset(a_coco_file.parent)


def test_files_of_two_datasets_must_be_told_apart(a_coco_file: Path) -> None:
    write_coco(a_coco_file.parent / "hand_coco_val_annotations.json", {"Hand_1": {}}, ["K0", "K1"])
    with pytest.raises(DatasetError, match="names other landmarks"):
        read_dataset(a_coco_file.parent)


def test_the_images_may_be_anywhere(a_coco_file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for path in (a_coco_file.parent / "images").iterdir():
        path.rename(elsewhere / path.name)
    with pytest.raises(DatasetError, match=r"2 faults:[\s\S]*no image file 'Face_1\.png'[\s\S]*Face_2\.png"):
        read_dataset(a_coco_file)
    assert read_dataset(a_coco_file, images=elsewhere)["Face_2"].image_path == elsewhere / "Face_2.png"


def test_a_spacing_is_read_from_the_image_or_from_the_meta_file_that_has_rows_first(a_coco_file: Path) -> None:
    spoil(a_coco_file, lambda document: document["images"][0].update(spacing_mm=[0.2, 0.3], subject="p1"))
    meta = a_coco_file.parent / "face_meta_json"
    meta.mkdir()
    (meta / "2_meta.json").write_text(json.dumps({"ID": "2", "spacing": [0.155, 0.139]}))
    dataset = read_dataset(a_coco_file)
    assert (dataset["Face_1"].spacing_mm, dataset["Face_1"].subject) == ((0.2, 0.3), "p1")
    assert dataset["Face_2"].spacing_mm == (0.139, 0.155)


def test_names_are_given_by_order(a_coco_file: Path) -> None:
    named = read_dataset(a_coco_file).named_by_order([f"L{number}" for number in range(1, 7)])
    assert named.landmark_names == ("L1", "L2", "L3", "L4", "L5", "L6")
    assert named["Face_1"].reference("annotated")["L4"] == pytest.approx(shape_points(1)["chin"])
    with pytest.raises(DatasetError, match="6 landmarks; 7 names"):
        named.named_by_order(["x"] * 7)


def test_a_scheme_gives_its_names_where_their_number_is_right_and_none_is_known(a_coco_file: Path) -> None:
    dataset = read_dataset(a_coco_file)
    six, nineteen = load_scheme("heart-lung-6"), load_scheme("head-19")
    assert with_names_of(dataset, six).landmark_names == six.names
    assert with_names_of(dataset, nineteen) is dataset
    assert with_names_of(with_names_of(dataset, six), six).landmark_names == six.names


def test_a_part_of_a_union_is_taken_out_with_its_own_cases_alone(tmp_path: Path) -> None:
    names = ["Head_Point1", "Head_Point2", "Chest_Point1"]
    points = {"head": {"Head_Point1": (1, 2), "Head_Point2": (3, 4)}, "chest": {"Chest_Point1": (5, 6)}}
    union = read_dataset(write_coco(tmp_path / "med_sapien_coco_train_annotations.json", points, names))
    chest = union.named_by_order(["apex"], first=2)
    assert [case.id for case in chest] == ["chest"] and chest["chest"].reference("annotated") == {"apex": (5.0, 6.0)}


def test_categories_that_share_names_are_kept_apart(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "union_train.json", {"leg": {"K0": (1, 2)}, "chest": {"K0": (3, 4)}}, ["K0"])

    def second_category(document: dict[str, Any]) -> None:
        document["categories"].append({"id": 2, "name": "Chest", "keypoints": ["K0", "K1"]})
        document["annotations"][1].update(category_id=2, keypoints=[3, 4, 2, 7, 8, 1])

    spoil(path, second_category)
    dataset = read_dataset(path)
    assert dataset.landmark_names == ("Face/K0", "Chest/K0", "Chest/K1")
    assert dataset["chest"].reference("annotated") == {"Chest/K0": (3.0, 4.0), "Chest/K1": (7.0, 8.0)}


def annotation_fault(**changes: object) -> Any:
    return lambda document: document["annotations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (annotation_fault(keypoints=[1.0] * 17), r"annotation 1: has 17 keypoint numbers; it must be 3 x 6"),
        (annotation_fault(keypoints=[float("nan"), 1, 2, *[0] * 15]), r"annotation 1: x of 'nose' is 'nan'"),
        (annotation_fault(keypoints=[1, "left", 2, *[0] * 15]), r"annotation 1: y of 'nose' is 'left'"),
        (annotation_fault(keypoints=[1, 1, 7, *[0] * 15]), r"annotation 1: visibility of 'nose' is 7; it must be 0, 1"),
        (annotation_fault(image_id=77), r"annotation 1: image_id 77 is not among the images"),
        (annotation_fault(category_id=9), r"annotation 1: category_id 9 is not among the categories"),
        (annotation_fault(image_id=1002), r"annotation 2: gives 'nose', 'brow', 'ear' of image 'Face_2' once more"),
        (lambda document: document["images"][0].update(width=0), r"image 1001: width is '0'"),
        (lambda document: document["images"][0].update(spacing_mm=-1), r"image 1001: spacing \(-1\.0, -1\.0\) must be"),
        (lambda document: document["images"][0].pop("file_name"), r"no 'id' or no 'file_name'"),
        (lambda document: document["images"].append(document["images"][0]), r"image id 1001 is given twice"),
        (lambda document: document.update(images=[], annotations=[]), r"split 'train' has no image"),
        (lambda document: document.pop("categories"), r"no COCO keypoint file: it has no list 'categories'"),
        (lambda document: document["categories"][0].update(keypoints=["a", "a"]), r"names keypoint 'a' twice"),
    ],
)
def test_a_fault_is_named_with_file_annotation_and_value(a_coco_file: Path, change: Any, message: str) -> None:
    spoil(a_coco_file, change)
    with pytest.raises(DatasetError, match=rf"face_coco_train_annotations\.json[\s\S]*{message}"):
        read_dataset(a_coco_file)


def test_a_file_that_is_not_there_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.json: cannot be read"):
        read_dataset(tmp_path / "gone.json")
    (tmp_path / "half.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match=r"half\.json: is not valid JSON"):
        read_dataset(tmp_path / "half.json")
    with pytest.raises(DatasetError, match="no file has such a name"):
        read_dataset(tmp_path / "nothing_*.json")


def test_two_images_of_one_name_in_two_folders_are_two_cases(a_coco_file: Path) -> None:
    write_pixels(a_coco_file.parent / "images" / "b" / "Face_1.png", 9)
    spoil(a_coco_file, lambda document: document["images"][1].update(file_name="b/Face_1.png"))
    assert [case.id for case in read_dataset(a_coco_file)] == ["Face_1.png", "b/Face_1.png"]


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of nested JSON."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in list(entries) for place in [(value, key), *places_in(part)]]


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just([]), st.just({})
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 10_000), value=ANYTHING)
def test_whatever_stands_in_a_file_it_is_read_or_refused(a_coco_file: Path, number: int, value: Any) -> None:
    document = json.loads(a_coco_file.read_text())
    places = places_in(document)
    container, key = places[number % len(places)]
    container[key] = value
    altered = a_coco_file.with_name("altered_train.json")
    altered.write_text(json.dumps(document))
    with contextlib.suppress(DatasetError):
        assert read_dataset(altered).landmark_names
