"""`medlandmark volume`: whole volumes, planes and radiographs from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from test_plane_projection import a_head
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.cli.volume_options import task_of
from MedLandmarkLib.image import Image


@pytest.fixture
def a_ct(tmp_path: Path) -> Path:
    """A head-like CT on disk."""
    return write(a_head(), tmp_path / "head.nrrd")


def write(image: Image, path: Path) -> Path:
    volume = sitk.GetImageFromArray(image.pixels[0, ..., 0])
    to_lps = np.diag((-1.0, -1.0, 1.0, 1.0)) @ image.ijk_to_ras
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    volume.SetSpacing(spacing.tolist())
    volume.SetDirection((to_lps[:3, :3] / spacing).ravel().tolist())
    volume.SetOrigin(to_lps[:3, 3].tolist())
    sitk.WriteImage(volume, str(path))
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, ["volume", *map(str, arguments)])


def document(folder: Path, stem: str) -> dict:
    return json.loads((folder / f"{stem}.landmarks.json").read_text())


def test_a_cephalogram_gives_points_in_the_volume_with_their_depth(a_ct: Path, tmp_path: Path) -> None:
    result = run(
        a_ct, "--scheme", "head-19", "--cephalogram", "--figure", "--output", tmp_path / "out", "--device", "cpu"
    )
    assert result.exit_code == 0, result.output
    written = document(tmp_path / "out", "head")
    rays = written["settings"]["projection"]["rays"]
    assert rays and all(ray["depth_sd_mm"] > 0 for ray in rays.values())
    assert {landmark["status"] for landmark in written["frames"][0]["landmarks"]} <= {"doubtful", "missing"}
    assert (tmp_path / "out" / "head.png").is_file()


def test_a_plane_by_number_and_planes_of_teeth_are_read(a_ct: Path, tmp_path: Path, monkeypatch) -> None:
    import MedLandmarkLib.detection

    seen = []

    class Detector(MedLandmarkLib.detection.LandmarkDetector):
        def detect(self, image, **settings):
            seen.append(settings["plane"])
            return super().detect(image, **settings)

    monkeypatch.setattr(MedLandmarkLib.detection, "LandmarkDetector", Detector)
    shared = ("--scheme", "head-19", "--output", tmp_path / "out", "--device", "cpu", "--quiet")
    assert run(a_ct, *shared, "--plane", "sagittal:20").exit_code == 0
    assert run(a_ct, *shared, "--tooth", "3,30,-20:4,28,-8", "--tooth", "-3,30,-20:-4,28,-8").exit_code == 0
    assert len(seen) == 3
    assert {path.name for path in (tmp_path / "out").glob("*.json")} >= {
        "head.landmarks.json", "head-1.landmarks.json", "head-2.landmarks.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plane", "oblique:3"), "no anatomical axis"),
        (("--plane", "1,2,3:4,5"), "three points"),
        (("--tooth", "1,2,3"), "CROWN:APEX"),
        (("--plane", "axial:3", "--cephalogram"), "exclude each other"),
        (("--directions", "up"), "no directions"),
    ],
)
def test_what_makes_no_sense_is_refused(a_ct: Path, tmp_path: Path, arguments, message) -> None:
    result = run(a_ct, "--scheme", "head-19", "--output", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_a_radiograph_or_a_label_map_is_no_volume(tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    sitk.WriteImage(
        sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (60, 50)).astype(np.uint8)), str(flat)
    )
    labels = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 4, (20, 30, 30)).astype(np.uint8))
    sitk.WriteImage(labels, str(tmp_path / "labels.nrrd"))
    for path, message in ((flat, "too few slices"), (tmp_path / "labels.nrrd", "label map")):
        result = run(path, "--scheme", "head-19", "--output", tmp_path / "out", "--device", "cpu")
        assert result.exit_code == 1
        assert message in result.output


def test_three_points_make_a_plane() -> None:
    task = task_of(False, "0,0,0:10,0,0:0,-10,5", [], "0,1,0", 0.5)
    plane = task.planes(a_head())[0]
    np.testing.assert_allclose(plane.plane_from_ras(np.array(task.points))[:, 2], 0.0, atol=1e-9)
    assert np.linalg.norm(plane.plane_to_ras[:3, 0]) == pytest.approx(0.5)
