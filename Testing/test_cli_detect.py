"""`medlandmark detect`, with a detector that needs no network: what is written, said, refused and survived."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from doubles import DetectorDouble, write_picture
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.resources import resource_path

pytestmark = pytest.mark.usefixtures("a_detector_double")


def detect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def landmarks_file(path: Path) -> dict:
    data = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads(resource_path("Landmarks-schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(data)
    return data


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_image_gets_its_files_and_a_table(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "ceph.png")
    result = detect(picture, "--scheme", "head-19", "--figure", "--output", tmp_path / "new" / "out")
    assert result.exit_code == 0, result.stderr
    assert names(tmp_path / "new" / "out") == ["ceph.csv", "ceph.landmarks.json", "ceph.mrk.json", "ceph.png"]
    assert "Nasion" in result.stdout and "weak peak" in result.stdout and "SNA" in result.stdout


def test_the_landmarks_file_names_image_scheme_model_and_settings(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "ceph.png", 60, 80)
    arguments = ("--scheme", "head-19", "--model", "mine", "--device", "cpu", "--precision", "bf16", "--no-flip")
    assert detect(picture, *arguments, "--spacing", "0.1", "--output", tmp_path).exit_code == 0
    data = landmarks_file(tmp_path / "ceph.landmarks.json")
    assert data["image"]["path"] == str(picture)
    assert data["image"]["size"] == [60, 80, 1]
    assert data["image"]["calibration"]["spacing_mm"] == [0.1, 0.1]
    assert (data["scheme"], data["model"]["id"]) == ("head-19", "mine")
    assert data["settings"] == {"device": "cpu", "precision": "bf16", "flip": False}
    assert [landmark["ras"] is not None for landmark in data["frames"][0]["landmarks"]] == [True] * 19


def test_without_calibration_there_are_no_millimetres(tmp_path: Path) -> None:
    detect(write_picture(tmp_path / "ceph.png"), "--scheme", "head-19", "--output", tmp_path)
    data = landmarks_file(tmp_path / "ceph.landmarks.json")
    assert data["image"]["calibration"]["kind"] == "none" and data["image"]["calibration"]["spacing_mm"] is None
    assert all(landmark["ras"] is None for landmark in data["frames"][0]["landmarks"])
    assert {item["unit"] for item in data["frames"][0]["measurements"]} <= {"px", "deg", "ratio", "%"}


def test_a_ruler_calibrates(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "ceph.png", 60, 80)
    assert detect(picture, "-s", "head-19", "--ruler", "5,10,45,40,25", "--output", tmp_path).exit_code == 0
    spacing = landmarks_file(tmp_path / "ceph.landmarks.json")["image"]["calibration"]["spacing_mm"]
    np.testing.assert_allclose(spacing, [0.5, 0.5])


def test_one_bad_image_does_not_stop_the_others(tmp_path: Path) -> None:
    good, other = write_picture(tmp_path / "a.png"), write_picture(tmp_path / "c.png")
    bad = tmp_path / "b.png"
    bad.write_bytes(b"this is no picture")
    result = detect(good, bad, tmp_path / "gone.png", other, "-s", "head-19", "-o", tmp_path / "out")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith(f"medlandmark: {bad}: ")]
    assert lines[-1].endswith("2 of 4 images failed")
    assert sum(str(bad) in line for line in lines) == 1 and sum("gone.png" in line for line in lines) == 1
    assert {name.split(".")[0] for name in names(tmp_path / "out")} == {"a", "c"}


def test_an_error_nobody_foresaw_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = write_picture(tmp_path / "a.png")
    monkeypatch.setattr(DetectorDouble, "detect", lambda *_, **__: 1 / 0)
    plain = detect(picture, "-s", "head-19", "-o", tmp_path / "out")
    assert plain.exit_code == 1
    what = "unexpected ZeroDivisionError: division by zero (--verbose shows where)"
    assert plain.stderr == f"medlandmark: {picture}: {what}\n"
    verbose = detect(picture, "-s", "head-19", "-o", tmp_path / "out", "--verbose")
    assert "Traceback" in verbose.stderr and names(tmp_path / "out") == []


def test_a_model_that_fails_ends_the_call_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("Model 'x' is damaged.")

    monkeypatch.setattr(DetectorDouble, "detect", fail)
    pictures = [write_picture(tmp_path / f"{name}.png") for name in "abc"]
    result = detect(*pictures, "-s", "head-19", "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (2, "medlandmark: Model 'x' is damaged.\n")


def test_ctrl_c_leaves_whole_files_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_detect = DetectorDouble.detect

    def interrupted_at_b(self: DetectorDouble, image: object, **options: object) -> object:
        if image.path.name == "b.png":
            raise KeyboardInterrupt
        return plain_detect(self, image, **options)

    monkeypatch.setattr(DetectorDouble, "detect", interrupted_at_b)
    pictures = [write_picture(tmp_path / f"{name}.png") for name in "abc"]
    result = detect(*pictures, "-s", "head-19", "-o", tmp_path / "out")
    assert result.exit_code == 130 and "Traceback" not in result.stderr
    assert names(tmp_path / "out") == ["a.csv", "a.landmarks.json", "a.mrk.json"]


def test_a_folder_stands_for_its_images_and_what_is_none_is_skipped_with_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    (folder / "below").mkdir(parents=True)
    for name in ("b.png", "a.JPG", "below/deep.png"):
        write_picture(folder / name)
    (folder / "notes.txt").write_text("nothing")
    (folder / "a.mrk.json").write_text("{}")
    result = detect(folder, "-s", "head-19", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert f"medlandmark: {folder}: skipped a.mrk.json, notes.txt: not image files" in result.stderr
    done = [line.split(": ")[0] for line in result.stdout.splitlines()]
    assert done == [str(folder / "a.JPG"), str(folder / "b.png")]


def test_a_dicom_file_without_extension_is_found_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    write_picture(folder / "slice.dcm").rename(folder / "IM0001")
    assert detect(folder, "-s", "head-19", "-o", tmp_path / "out").exit_code == 0
    assert "IM0001.csv" in names(tmp_path / "out")


def test_images_of_the_same_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("p1/a.png", "p2/a.png", "p2/A.bmp", "p2/b.png")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_picture(path)
    assert detect(*paths, "-s", "head-19", "-o", tmp_path / "out").exit_code == 0
    stems = {name.removesuffix(".csv") for name in names(tmp_path / "out") if name.endswith(".csv")}
    assert stems == {"p1_a_png", "p2_a_png", "A_bmp", "b"}


def test_the_same_image_twice_is_done_once(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    result = detect(picture, tmp_path / "." / "a.png", tmp_path, "-s", "head-19", "-o", tmp_path / "out")
    assert result.exit_code == 0 and names(tmp_path / "out") == ["a.csv", "a.landmarks.json", "a.mrk.json"]


def test_a_figure_never_takes_the_place_of_its_image(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    before = picture.read_bytes()
    result = detect(picture, "-s", "head-19", "--figure", "-o", tmp_path)
    assert result.exit_code == 2 and "would be overwritten" in result.stderr
    assert picture.read_bytes() == before and names(tmp_path) == ["a.png"]


def test_all_frames_of_a_cine_are_in_the_files(tmp_path: Path) -> None:
    cine = dicom_cine(tmp_path / "cine.dcm", frames=3)
    assert detect(cine, "-s", "a4c-4", "--frame", "all", "-o", tmp_path).exit_code == 0
    assert [frame["frame"] for frame in landmarks_file(tmp_path / "cine.landmarks.json")["frames"]] == [0, 1, 2]
    assert detect(cine, "-s", "a4c-4", "--frame", "2,0", "-o", tmp_path).exit_code == 0
    assert [frame["frame"] for frame in landmarks_file(tmp_path / "cine.landmarks.json")["frames"]] == [2, 0]


def test_a_frame_that_is_not_there_is_told(tmp_path: Path) -> None:
    cine = dicom_cine(tmp_path / "cine.dcm", frames=3)
    result = detect(cine, "-s", "a4c-4", "--frame", "3", "-o", tmp_path / "out")
    assert result.exit_code == 1 and "there is no frame 3" in result.stderr.lower()


def dicom_cine(path: Path, frames: int) -> Path:
    """A multi-frame ultrasound file made by pydicom."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.Modality, data.PhotometricInterpretation, data.SamplesPerPixel = "US", "MONOCHROME2", 1
    data.Rows, data.Columns, data.NumberOfFrames = 40, 50, frames
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = np.random.default_rng(1).integers(0, 255, (frames, 40, 50), np.uint8).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spacing", "0"), "not a spacing"),
        (("--spacing", "nan"), "not a number"),
        (("--spacing", "1,2,3"), "not a spacing"),
        (("--ruler", "1,2,3,4"), "not a ruler"),
        (("--ruler", "1,2,1,2,5"), "not a ruler"),
        (("--ruler", "1,2,3,4,-5"), "not a ruler"),
        (("--spacing", "1", "--ruler", "1,2,3,4,5"), "one of them"),
        (("--frame", "-1"), "not a frame"),
        (("--frame", "first"), "not a frame"),
        (("--slice", "-1"), "slice"),
        (("--device", "gpu"), "not a device"),
        (("--precision", "int8"), "int8"),
        (("--scheme", "head-20"), "head-19"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    result = detect(picture, "-s", "head-19", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists() and "Traceback" not in result.stderr


def test_a_folder_without_images_is_nothing_to_work_on(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = detect(tmp_path / "empty", "-s", "head-19", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "no image" in result.stderr


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    assert detect(picture, "-s", "head-19", "-o", picture).exit_code == 2


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    result = detect(write_picture(tmp_path / "a.png"), "-s", "head-19", "-o", tmp_path, "--quiet")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_stored_slice_of_a_volume_is_named_by_its_number(tmp_path: Path) -> None:
    volume = tmp_path / "scan.nii.gz"
    voxels = np.random.default_rng(0).integers(0, 99, (4, 30, 20), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(volume))
    assert detect(volume, "-s", "head-19", "--slice", "2", "-o", tmp_path / "out").exit_code == 0
    data = landmarks_file(tmp_path / "out" / "scan.landmarks.json")
    assert {landmark["ijk"][2] for landmark in data["frames"][0]["landmarks"]} == {2.0}
