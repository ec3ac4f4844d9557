"""A clip from file to summary: detection in batches, the files that are written, the command, and bad clips."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from clips import BeatingDouble, sector_pictures, write_video
from dicom_files import sequence, ultrasound_region, write_dicom
from doubles import write_picture
from jsonschema import Draft202012Validator
from PIL import Image as Picture
from typer.testing import CliRunner, Result

from MedLandmarkLib.cli import app
from MedLandmarkLib.detection.cine import ClipDetection, detect_clip
from MedLandmarkLib.export.clip_outputs import write_clip_outputs
from MedLandmarkLib.image.clip import clip_from_pixels
from MedLandmarkLib.image.clip_reading import read_clip
from MedLandmarkLib.landmark import Landmark, Status
from MedLandmarkLib.resources import resource_path

FRAMES = 60


def a_dicom_loop(path: Path, frames: int = FRAMES, **attributes: object) -> Path:
    regions = sequence(ultrasound_region(0, 0, 159, 119, 0.1))
    attributes = {"FrameTime": 40, "SequenceOfUltrasoundRegions": regions, **attributes}
    return write_dicom(path, sector_pictures(frames), "US", **attributes)


@pytest.fixture
def a_loop(tmp_path: Path) -> Path:
    return a_dicom_loop(tmp_path / "loop.dcm")


@pytest.fixture
def a_detection(a_loop: Path) -> ClipDetection:
    return detect_clip(BeatingDouble("a4c-4"), read_clip(a_loop))


def valid(path: Path, schema: str) -> dict:
    data = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator(json.loads(resource_path(schema).read_text(encoding="utf-8"))).validate(data)
    return data


def test_a_clip_is_detected_in_batches_and_measured(a_loop: Path) -> None:
    detector, parts = BeatingDouble("a4c-4"), []
    detection = detect_clip(
        detector, read_clip(a_loop), frames_at_a_time=16, progress=lambda part, text: parts.append((part, text))
    )
    assert detector.most == 16 and detector.seen == FRAMES
    assert [round(part, 3) for part, _ in parts] == [round(min(16 * n, 60) / 60, 3) for n in (1, 2, 3, 4)]
    measured = detection.measurement
    assert [beat.end_systole for beat in measured.beats] == [10, 30, 50]
    assert measured.value("LV length ED").mean == pytest.approx(50.0, rel=0.01)  # px of 1 mm
    assert measured.heart_rate.bpm == pytest.approx(75, rel=0.01)


def test_landmarks_lie_in_the_whole_picture_not_in_the_sector(a_detection: ClipDetection) -> None:
    x, y, _, _ = a_detection.sector.box
    apex = a_detection.frames[0].landmarks["lv_apex"]
    assert a_detection.sector.found and (x, y) != (0, 0)
    assert apex.ijk[:2] == pytest.approx((50 + x, 25 + y), abs=0.1)
    assert apex.ras == pytest.approx((-(50 + x), -(25 + y), 0), abs=0.1)


def test_a_long_clip_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    import tracemalloc

    def peak(frames: int) -> int:
        pixels = np.lib.format.open_memmap(tmp_path / f"{frames}.npy", "w+", np.uint8, (frames, 240, 320))
        for frame in range(frames):
            pixels[frame] = 0
            pixels[frame, 60:200, 80:240] = (frame * 37) % 200
        clip = clip_from_pixels(np.load(tmp_path / f"{frames}.npy", mmap_mode="r"), times_s=np.arange(frames) / 25)
        tracemalloc.start()
        detect_clip(BeatingDouble("a4c-4"), clip)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    short, long = peak(40), peak(400)
    assert long - short < 360 * 240 * 320 * 3 / 5  # the pictures themselves would be 83 MB more


def test_all_files_of_a_clip_are_written_and_fit_their_schemas(a_detection: ClipDetection, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    written = write_clip_outputs(a_detection, folder, "loop", with_figure=True, overlay="gif")
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    landmarks = valid(folder / "loop.landmarks.json", "Landmarks-schema.json")
    assert [frame["frame"] for frame in landmarks["frames"]] == list(range(FRAMES))
    summary = valid(folder / "loop.summary.json", "Clip-summary-schema.json")
    assert summary["clip"]["frame_rate_hz"] == pytest.approx(25) and summary["clip"]["time_source"].startswith(
        "FrameTime"
    )
    assert len(summary["beats"]) == 3 and len(summary["curves"][0]["values"]) == FRAMES
    with (folder / "loop.curves.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FRAMES and rows[10]["phase"] == "ES" and rows[20]["phase"] == "ED"
    assert float(rows[20]["LV long axis mm"]) == pytest.approx(50, abs=0.5)
    assert Picture.open(folder / "loop.curves.png").size[0] > 1000
    overlay = Picture.open(folder / "loop.overlay.gif")
    assert overlay.n_frames == FRAMES and min(overlay.size) >= 400


def test_an_overlay_may_be_an_mp4(a_detection: ClipDetection, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = write_clip_outputs(a_detection, tmp_path, "loop", overlay="mp4")[-1]
    clip = read_clip(path)
    assert path.name == "loop.overlay.mp4" and clip.frame_count == FRAMES
    assert clip.frame_rate_hz == pytest.approx(25, rel=0.01)


def test_a_correction_goes_into_the_files(a_detection: ClipDetection, tmp_path: Path) -> None:
    track = a_detection.track.with_fixed(12, Landmark("lv_apex", (70.0, 40.0, 0.0), status=Status.EDITED))
    write_clip_outputs(a_detection.corrected(track), tmp_path, "loop")
    assert valid(tmp_path / "loop.summary.json", "Clip-summary-schema.json")["key_frames"] == [12]
    apex = valid(tmp_path / "loop.landmarks.json", "Landmarks-schema.json")["frames"][12]["landmarks"][2]
    assert apex["status"] == "edited" and apex["ijk"] == [70.0, 40.0, 0.0] and apex["predicted_ijk"] is not None


def test_no_frame_time_and_no_calibration_are_told(tmp_path: Path) -> None:
    path = a_dicom_loop(tmp_path / "a.dcm", FrameTime=None, SequenceOfUltrasoundRegions=None)
    detection = detect_clip(BeatingDouble("a4c-4"), read_clip(path))
    assert any("no frame times" in note for note in detection.notes)
    assert detection.measurement.value("LV length ED").unit == "px" and detection.measurement.heart_rate.bpm is None
    write_clip_outputs(detection, tmp_path, "a", with_figure=True)
    assert valid(tmp_path / "a.summary.json", "Clip-summary-schema.json")["clip"]["duration_s"] is None


def test_a_still_repeated_and_a_colour_doppler_clip_say_what_they_are() -> None:
    still = detect_clip(BeatingDouble("a4c-4"), clip_from_pixels(np.repeat(sector_pictures(1), 100, axis=0)))
    assert any("Nothing moves in the clip" in note for note in still.notes)
    coloured = np.repeat(sector_pictures(20)[..., None], 3, axis=3)
    coloured[:, 60:90, 70:90] = (200, 30, 0)
    doppler = detect_clip(BeatingDouble("a4c-4"), clip_from_pixels(coloured))
    assert any("as colour Doppler is" in note for note in doppler.notes)


@pytest.fixture
def a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import MedLandmarkLib.cli.detect as detect_module
    import MedLandmarkLib.detection

    monkeypatch.setattr(MedLandmarkLib.detection, "LandmarkDetector", BeatingDouble)
    monkeypatch.setattr(detect_module, "choose_model", lambda scheme, wanted=None: wanted or "lite")


def detect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, arguments), "-s", "a4c-4"])


@pytest.mark.usefixtures("a_command")
def test_the_command_follows_a_clip_through_time(a_loop: Path, tmp_path: Path) -> None:
    result = detect(a_loop, "--frame", "all", "--figure", "--overlay", "gif", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "60 frames, 25.0 a second (FrameTime (0018,1063)); 3 beats, heart rate 75/min" in result.stdout
    assert "Longitudinal shortening" in result.stdout
    suffixes = (".csv", ".curves.csv", ".curves.png", ".landmarks.json", ".mrk.json", ".overlay.gif", ".summary.json")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"loop{suffix}" for suffix in suffixes]


@pytest.mark.usefixtures("a_command")
def test_a_folder_may_hold_clips_and_single_images(a_loop: Path, tmp_path: Path) -> None:
    still = write_picture(tmp_path / "still.png")
    result = detect(a_loop, still, "--frame", "all", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "loop.dcm: 60 frames, 3 beats" in result.stdout and "still.png: 4 landmarks" in result.stdout


@pytest.mark.usefixtures("a_command")
def test_a_video_asks_for_all_frames(tmp_path: Path) -> None:
    pytest.importorskip("av")
    video = write_video(tmp_path / "loop.avi", sector_pictures(40))
    result = detect(video, "-o", tmp_path / "out")
    assert result.exit_code == 1 and "it is a video; detect in all of its frames, with --frame all" in result.stderr
    assert detect(video, "--frame", "all", "--spacing", "0.5", "-o", tmp_path / "out").exit_code == 0
    summary = valid(tmp_path / "out" / "loop.summary.json", "Clip-summary-schema.json")
    assert summary["image"]["calibration"]["spacing_mm"] == [0.5, 0.5]


@pytest.mark.usefixtures("a_command")
def test_a_clip_that_is_cut_is_named_and_leaves_no_half_results(a_loop: Path, tmp_path: Path) -> None:
    a_loop.write_bytes(a_loop.read_bytes()[:-50_000])
    result = detect(a_loop, "--frame", "all", "-o", tmp_path / "out")
    assert result.exit_code == 1 and "cut" in result.stderr and len(result.stderr.splitlines()) == 1
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("a_command")
def test_two_frames_are_detected_and_not_called_a_beat(tmp_path: Path) -> None:
    result = detect(a_dicom_loop(tmp_path / "two.dcm", frames=2), "--frame", "all", "-o", tmp_path / "out")
    assert result.exit_code == 0 and "2 frames are too few to see a beat" in result.stderr


def test_the_overlay_must_be_one_that_can_be_written(a_loop: Path, tmp_path: Path) -> None:
    result = detect(a_loop, "--frame", "all", "--overlay", "mov", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "not an overlay" in " ".join(result.stderr.split())
