"""What is written for a detection, read back as other programs would read it."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from doubles import DetectorDouble, write_picture
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from MedLandmarkLib.detection import Detection
from MedLandmarkLib.errors import MedLandmarkError
from MedLandmarkLib.export import (
    output_paths,
    read_landmarks_json,
    read_mrk_json,
    write_csv,
    write_figure,
    write_landmarks_json,
    write_mrk_json,
    write_outputs,
)
from MedLandmarkLib.export.figure import round_length
from MedLandmarkLib.export.files import written_whole
from MedLandmarkLib.image import Calibration, Image, read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import load_scheme


@pytest.fixture(params=["px", "mm"])
def a_detection(request: pytest.FixtureRequest, tmp_path: Path) -> Detection:
    """Nineteen landmarks on a picture, without and with a calibration."""
    picture = write_picture(tmp_path / "ceph.png")
    image = read_image(picture, spacing_mm=(0.5, 0.25) if request.param == "mm" else None)
    return DetectorDouble("head-19", device="cpu", flip=True).detect(image)


@pytest.fixture
def a_cine() -> Detection:
    """Three frames, two of them detected."""
    image = Image(np.zeros((3, 1, 40, 50, 1), np.uint8), np.diag([-1.0, -1, 1, 1]), Calibration("none", "a test"))
    return DetectorDouble("a4c-4").detect(image, frames=(0, 2))


def landmarks_validator() -> Draft202012Validator:
    schema = json.loads(resource_path("Landmarks-schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def control_points(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["markups"][0]["controlPoints"]


def test_the_landmarks_file_keeps_every_digit(a_detection: Detection, tmp_path: Path) -> None:
    path = tmp_path / "a.landmarks.json"
    write_landmarks_json(a_detection, path)
    scheme_id, (landmarks,) = read_landmarks_json(path)
    assert scheme_id == "head-19"
    for read, written in zip(landmarks, a_detection.frames[0].landmarks, strict=True):
        assert (read.name, read.ijk, read.ras, read.status) == (written.name, written.ijk, written.ras, written.status)
        assert (read.score, read.confidence, read.reason) == (written.score, written.confidence, written.reason)


def test_the_landmarks_file_follows_its_schema(a_detection: Detection, a_cine: Detection, tmp_path: Path) -> None:
    validator = landmarks_validator()
    for detection in (a_detection, a_cine):
        write_landmarks_json(detection, tmp_path / "a.landmarks.json")
        validator.validate(json.loads((tmp_path / "a.landmarks.json").read_text()))


def test_the_schema_refuses_millimetres_without_calibration(a_detection: Detection, tmp_path: Path) -> None:
    write_landmarks_json(a_detection, tmp_path / "a.landmarks.json")
    data = json.loads((tmp_path / "a.landmarks.json").read_text())
    data["image"]["calibration"] = {"kind": "none", "source": "", "spacing_mm": [1, 1]}
    assert not landmarks_validator().is_valid(data)


def test_a_missing_landmark_keeps_its_estimate_in_the_landmarks_file(a_detection: Detection, tmp_path: Path) -> None:
    write_landmarks_json(a_detection, tmp_path / "a.landmarks.json")
    write_mrk_json(a_detection, tmp_path / "a.mrk.json")
    record = json.loads((tmp_path / "a.landmarks.json").read_text())["frames"][0]["landmarks"][2]
    point = control_points(tmp_path / "a.mrk.json")[2]
    assert (record["status"], len(record["ijk"])) == ("missing", 3)
    assert (point["positionStatus"], point["position"]) == ("missing", "")


def test_slicer_gets_positions_in_lps(a_detection: Detection, tmp_path: Path) -> None:
    write_mrk_json(a_detection, tmp_path / "a.mrk.json")
    data = json.loads((tmp_path / "a.mrk.json").read_text())
    assert data["@schema"].endswith("markups-schema-v1.0.3.json#")
    markup = data["markups"][0]
    assert (markup["type"], markup["coordinateSystem"], markup["coordinateUnits"]) == ("Fiducial", "LPS", "mm")
    spacing = np.array(a_detection.image.calibration.spacing_mm or (1.0, 1.0))
    for point, landmark in zip(markup["controlPoints"], a_detection.frames[0].landmarks, strict=True):
        if landmark.status is not Status.MISSING:
            np.testing.assert_allclose(point["position"][:2], np.array(landmark.ijk[:2]) * spacing, rtol=1e-12)


def test_slicer_shows_a_doubtful_point_unlike_a_plain_one_and_says_why(a_detection: Detection, tmp_path: Path) -> None:
    write_mrk_json(a_detection, tmp_path / "a.mrk.json")
    plain, doubtful = control_points(tmp_path / "a.mrk.json")[:2]
    assert plain["selected"] and not doubtful["selected"]
    assert "doubtful: weak peak" in doubtful["description"]
    assert load_scheme("head-19").landmarks[0].definition.rstrip(".") in plain["description"]
    is_calibrated = a_detection.image.calibration.kind != "none"
    assert ("pixels, not mm" in plain["description"]) is not is_calibrated


def test_slicer_gets_a_confidence_per_point_and_every_measurement_with_its_unit(
    a_detection: Detection, tmp_path: Path
) -> None:
    write_mrk_json(a_detection, tmp_path / "a.mrk.json")
    (markup,) = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    measurements = {item["name"]: item for item in markup["measurements"]}
    confidences = [landmark.confidence for landmark in a_detection.frames[0].landmarks]
    assert measurements["confidence"]["controlPointValues"] == confidences
    for item in a_detection.frames[0].measurements:
        assert (item.name in measurements) is (item.value is not None)
        if item.value is not None:
            assert (measurements[item.name]["value"], measurements[item.name]["units"]) == (item.value, item.unit)
            assert ("(doubtful)" in measurements[item.name]["printFormat"]) is (item.status is Status.DOUBTFUL)


def test_points_come_back_from_slicer_where_they_were(a_detection: Detection, tmp_path: Path) -> None:
    write_mrk_json(a_detection, tmp_path / "a.mrk.json")
    (landmarks,) = read_mrk_json(tmp_path / "a.mrk.json", load_scheme("head-19"))
    assert landmarks.unit == a_detection.frames[0].landmarks.unit
    for read, written in zip(landmarks, a_detection.frames[0].landmarks, strict=True):
        if written.status is Status.MISSING:
            assert read.status is Status.MISSING
        else:
            np.testing.assert_allclose(read.ras or read.ijk, written.ras or written.ijk, rtol=1e-12)


def test_each_frame_of_a_cine_is_a_list_of_which_the_first_is_shown(a_cine: Detection, tmp_path: Path) -> None:
    write_mrk_json(a_cine, tmp_path / "a.mrk.json")
    markups = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    assert [markup["display"]["visibility"] for markup in markups] == [True, False]
    assert [markup["name"] for markup in markups] == ["a4c-4 frame 0", "a4c-4 frame 2"]


def test_the_table_has_a_row_per_frame_and_landmark(a_cine: Detection, tmp_path: Path) -> None:
    write_csv(a_cine, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0"] * 4 + ["2"] * 4
    for row, landmark in zip(rows[4:], a_cine.frames[1].landmarks, strict=True):
        assert (row["landmark"], row["status"], row["r_mm"]) == (landmark.name, landmark.status.value, "")
        assert (float(row["i_px"]), float(row["j_px"]), float(row["score"])) == (*landmark.ijk[:2], landmark.score)


@pytest.mark.parametrize(("columns", "rows"), [(3, 3), (60, 80), (2000, 40), (40, 2000), (4500, 4200)])
def test_a_figure_is_legible_at_any_image_size(columns: int, rows: int, tmp_path: Path) -> None:
    pixels = np.full((1, 1, rows, columns, 1), 30, np.uint8)
    image = Image(pixels, np.diag([-1.0, -1, 1, 1]), Calibration("none", "a test")).calibrated_by_spacing(0.1)
    write_figure(DetectorDouble("head-19").detect(image), tmp_path / "a.png")
    drawn = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png")))
    assert 500 < drawn.shape[0] < 1500 and 700 < drawn.shape[1] < 1900
    assert has_colour(drawn, "#56B4E9") and has_colour(drawn, "#E69F00")


def has_colour(drawn: np.ndarray, colour: str) -> bool:
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    return int((np.abs(drawn[..., :3].astype(int) - wanted).max(axis=-1) < 3).sum()) > 20


def test_a_missing_landmark_is_not_drawn(a_detection: Detection, tmp_path: Path) -> None:
    frame = a_detection.frames[0]
    lost = tuple(replace(item, status=Status.MISSING, confidence=None) for item in frame.landmarks)
    detection = replace(a_detection, frames=(replace(frame, landmarks=replace(frame.landmarks, landmarks=lost)),))
    detection = replace(detection, frames=(replace(detection.frames[0], measurements=()),))
    write_figure(detection, tmp_path / "a.png")
    drawn = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png")))
    assert not has_colour(drawn, "#56B4E9") and not has_colour(drawn, "#E69F00")


@given(st.floats(1e-6, 1e9))
def test_the_scale_bar_has_a_round_length_that_fits(longest: float) -> None:
    length = round_length(longest)
    assert longest / 2.51 <= length <= longest * (1 + 1e-9)
    assert f"{length:.3e}"[:5] in ("1.000", "2.000", "5.000")


def test_all_files_appear_together(a_detection: Detection, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    written = write_outputs(a_detection, folder, "ceph", with_figure=True)
    assert sorted(written) == sorted(folder.iterdir())
    assert [path.name for path in written] == ["ceph.mrk.json", "ceph.csv", "ceph.landmarks.json", "ceph.png"]
    assert written == output_paths(folder, "ceph", with_figure=True)


def test_a_failure_midway_leaves_nothing(
    a_detection: Detection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "ceph.csv").write_text("of an earlier run")

    def fail(detection: Detection, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("MedLandmarkLib.export.outputs.write_figure", fail)
    with pytest.raises(OSError, match="disk full"):
        write_outputs(a_detection, folder, "ceph", with_figure=True)
    assert [path.name for path in folder.iterdir()] == ["ceph.csv"]
    assert (folder / "ceph.csv").read_text() == "of an earlier run"


def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(target) as temporary:
        temporary.write_text("new but not whole")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.json"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "{}", '{"scheme": 1, "frames": []}', '{"scheme": "head-19", "frames": []}',
             '{"scheme": "head-19", "frames": [{"frame": 0, "landmarks": [{"name": "Sella"}]}]}', "[" * 100_000,
             '{"scheme": "head-19", "frames": [{"frame": 0, "landmarks": [{"name": "S", "ijk": [NaN, 0, 0], '
             '"ras": null, "status": "predicted"}]}]}'],
)  # fmt: skip
def test_a_damaged_landmarks_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.landmarks.json"
    path.write_text(text)
    with pytest.raises(MedLandmarkError, match=r"a\.landmarks\.json"):
        read_landmarks_json(path)


@pytest.mark.parametrize(
    "text", ["{}", '{"markups": 3}', '{"markups": []}', '{"markups": [{"type": "Fiducial"}]}',
             '{"markups": [{"type": "Fiducial", "controlPoints": [{"label": "Sella", "position": ""}]}]}',
             '{"markups": [{"type": "Fiducial", "controlPoints": [{"label": "Nose", "position": [1, 2, 3]}]}]}'],
)  # fmt: skip
def test_a_markups_file_without_the_schemes_points_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mrk.json"
    path.write_text(text)
    with pytest.raises(MedLandmarkError, match=r"a\.mrk\.json"):
        read_mrk_json(path, load_scheme("head-19"))
