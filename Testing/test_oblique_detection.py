"""Detection in a cut through a volume, with the embedded model: by the library, by the engine's job, and on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedLandmarkLib import detect
from MedLandmarkLib.engine.detector_shelf import DetectorShelf
from MedLandmarkLib.engine.image_exchange import image_fields
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.standard_jobs import detect_job
from MedLandmarkLib.errors import EngineError, ImageError
from MedLandmarkLib.export import write_figure
from MedLandmarkLib.export.pictured import as_drawn
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.plane import Plane, oblique_plane, stored_plane

SLICE = 2


@pytest.fixture(scope="module")
def a_volume() -> Image:
    """Five slices of smooth noise, turned in space."""
    noise = np.random.default_rng(3).normal(size=(5, 120, 100)).astype(np.float32)
    smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), 4.0))
    pixels = (128 + 110 * smooth / np.abs(smooth).max()).astype(np.uint8)
    c, s = np.cos(0.4), np.sin(0.4)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, -1]]) * (0.8, 0.8, 3.0)
    matrix[:3, 3] = 5.0, -7.0, 30.0
    return Image(pixels[None, ..., None], matrix, Calibration("calibrated", "the test", (0.8, 0.8)))


@pytest.fixture(scope="module")
def in_the_slice(a_volume):
    return detect(a_volume, "head-19", device="cpu", slice_index=SLICE)


def positions(detection) -> np.ndarray:
    return np.array([landmark.ijk for landmark in detection.frames[0].landmarks])


def test_a_cut_along_a_stored_slice_gives_the_landmarks_of_the_slice(a_volume, in_the_slice) -> None:
    cut = detect(a_volume, "head-19", device="cpu", plane=stored_plane(a_volume, 0, SLICE).plane)
    np.testing.assert_allclose(positions(cut), positions(in_the_slice), atol=1e-6)
    assert [one.status for one in cut.frames[0].landmarks] == [one.status for one in in_the_slice.frames[0].landmarks]
    assert cut.settings["plane"]["size_wh"] == [100, 120]


def test_landmarks_of_a_cut_lie_in_it_and_outside_the_volume_they_are_not_trusted(a_volume) -> None:
    plane = tilted(a_volume)
    found = detect(a_volume, "head-19", device="cpu", plane=plane).frames[0].landmarks
    for landmark in found:
        assert abs(plane.plane_from_ras(np.array(landmark.ras))[2]) < 1e-6
        is_inside = all(-0.5 <= at <= count - 0.5 for at, count in zip(landmark.ijk, a_volume.size, strict=True))
        assert is_inside or not landmark.status.is_usable or landmark.reason


def tilted(image: Image) -> Plane:
    """A plane through the middle of the image, tilted by 6 degrees about its rows."""
    c, s = np.cos(0.1), np.sin(0.1)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix = np.eye(4)
    matrix[:3, :3] = image.ijk_to_ras[:3, :3] / (0.8, 0.8, 3.0) @ turn * 0.8
    matrix[:3, 3] = image.ras_from_ijk((49.5, 59.5, 2.0)) - matrix[:3, :2] @ (49.5, 59.5)
    return Plane(matrix, (100, 120))


def test_a_plane_and_a_slice_together_are_refused(a_volume) -> None:
    with pytest.raises(ImageError, match="one of them"):
        detect(a_volume, "head-19", device="cpu", slice_index=1, plane=tilted(a_volume))


def test_the_engine_takes_a_plane(a_volume, in_the_slice, tmp_path: Path) -> None:
    pixels = tmp_path / "pixels.npy"
    np.save(pixels, a_volume.pixels)
    fields = {
        "image": image_fields(a_volume, pixels), "scheme": "head-19", "device": "cpu",
        "plane": stored_plane(a_volume, 0, SLICE).plane.to_fields(),
    }  # fmt: skip
    context = JobContext(lambda *_args: None, lambda: False)
    document = detect_job(DetectorShelf(), fields, context)
    found = np.array([landmark["ijk"] for landmark in document["frames"][0]["landmarks"]])
    np.testing.assert_allclose(found, positions(in_the_slice), atol=1e-4)
    assert document["settings"]["plane"]["size_wh"] == [100, 120]
    with pytest.raises(EngineError, match="plane"):
        detect_job(DetectorShelf(), {**fields, "plane": {"size_wh": [3, 4]}}, context)


def test_a_figure_of_a_cut_shows_the_cut(a_volume, tmp_path: Path) -> None:
    plane = tilted(a_volume)
    detection = detect(a_volume, "head-19", device="cpu", plane=plane)
    image, drawn = as_drawn(a_volume, detection.settings, detection.frames[0])
    np.testing.assert_array_equal(image.display_rgb(), oblique_plane(a_volume, plane).picture)
    for before, after in zip(detection.frames[0].landmarks, drawn.landmarks, strict=True):
        np.testing.assert_allclose(after.ijk[:2], plane.plane_from_ras(np.array(before.ras))[:2], atol=1e-6)
    assert image.calibration.spacing_mm == pytest.approx((0.8, 0.8))
    write_figure(detection, tmp_path / "cut.png")
    assert (tmp_path / "cut.png").stat().st_size > 1000
