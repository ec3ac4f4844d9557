"""Detection in a cut through a volume, with the embedded model: by the library, by the engine's job, and on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from test_plane_projection import a_head
from volumes import an_image, grid_ras

from MedLandmarkLib import detect
from MedLandmarkLib.detection import FrameResult, LandmarkDetector
from MedLandmarkLib.detection.projection import detect_in_projection
from MedLandmarkLib.engine.detector_shelf import DetectorShelf
from MedLandmarkLib.engine.image_exchange import image_fields
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.standard_jobs import detect_job
from MedLandmarkLib.errors import EngineError, ImageError
from MedLandmarkLib.export import write_figure
from MedLandmarkLib.export.pictured import as_drawn
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.plane import Plane, oblique_plane, plane_about, stored_plane
from MedLandmarkLib.plane.projection import project

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


def test_a_plane_outside_the_volume_is_refused(a_volume) -> None:
    matrix = tilted(a_volume).plane_to_ras.copy()
    matrix[:3, 3] += 500.0
    with pytest.raises(ImageError, match="outside the volume"):
        detect(a_volume, "head-19", device="cpu", plane=Plane(matrix, (100, 120)))


@pytest.mark.parametrize(
    ("row", "message"),
    [((0.0, 0.001, 0.0, 1.0), "affine"), ((0.0, 0.0, 0.0, float("nan")), "affine"), (None, "cannot be inverted")],
    ids=["perspective", "NaN", "flat"],
)
def test_a_plane_by_a_matrix_that_is_no_invertible_affine_map_is_refused(a_volume, row, message) -> None:
    matrix = tilted(a_volume).plane_to_ras.copy()
    if row is None:
        matrix[:3, 1] = matrix[:3, 0]
    else:
        matrix[3] = row
    with pytest.raises(ImageError, match=message):
        detect(a_volume, "head-19", device="cpu", plane=Plane(matrix, (100, 120)))


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


def test_a_figure_of_a_projection_shows_the_projection(tmp_path: Path) -> None:
    image = a_head()
    plane = plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 2.0, (50, 44))
    projection = project(image, plane, 60.0, "maximum")
    detection = detect_in_projection(LandmarkDetector("fetal-head-4", device="cpu"), image, projection)
    drawn_on, drawn = as_drawn(image, detection.settings, detection.frames[0])
    np.testing.assert_array_equal(drawn_on.display_rgb(), projection.picture)
    for before, after in zip(detection.frames[0].landmarks, drawn.landmarks, strict=True):
        if before.ras is not None:
            np.testing.assert_allclose(after.ijk[:2], plane.plane_from_ras(np.array(before.ras))[:2], atol=1e-6)
    write_figure(detection, tmp_path / "projection.png")
    assert (tmp_path / "projection.png").stat().st_size > 1000


@pytest.mark.parametrize("normal", [0, 1, 2], ids=["sagittal", "coronal", "axial"])
def test_landmarks_of_a_whole_volume_are_drawn_on_its_mean_where_they_lie(normal: int) -> None:
    """A bright ball at each landmark is seen under it."""
    places = np.array([[10.0, 14.0, 9.0], [30.0, 31.0, 11.0], [16.0, 40.0, 40.0], [33.0, 12.0, 25.0]])
    places[:, normal] = (20.0, 21.0, 22.0, 20.0)
    shape, matrix = (48, 50, 46), np.diag([1.0, 1.0, 1.0, 1.0])
    far = np.linalg.norm(grid_ras(shape, matrix)[..., None, :] - places, axis=-1).min(axis=-1)
    image = an_image(np.where(far < 2.5, 250, 0).astype(np.uint8), matrix)
    landmarks = tuple(
        Landmark(str(n), ijk=tuple(p), ras=tuple(p), status=Status.DOUBTFUL) for n, p in enumerate(places)
    )
    result = FrameResult(LandmarkSet("none", landmarks))
    drawn_on, drawn = as_drawn(image, {"volume": {"directions": ["axial"]}}, result)
    picture = drawn_on.display_rgb()[..., 0]
    for landmark in drawn.landmarks:
        x, y = (round(value) for value in landmark.ijk[:2])
        assert picture[y, x] > 100
    assert (picture > 100).mean() < 0.1


def test_a_damaged_projection_among_the_settings_is_said_to_be_one(a_volume) -> None:
    result = FrameResult(LandmarkSet("none", ()))
    with pytest.raises(ImageError, match="projection among the settings is damaged"):
        as_drawn(a_volume, {"projection": {"kind": "mean"}}, result)
