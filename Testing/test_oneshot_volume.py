"""Landmarks carried over from one annotated volume: to known deformations, and to what cannot be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from soft_bodies import NAMES, POINTS, SHAPE, a_detector, a_model, a_move, a_scheme, a_soft_body, deformed, placed
from volumes import an_image

import MedLandmarkLib
from MedLandmarkLib.detection.atlas import AtlasDetector
from MedLandmarkLib.errors import DetectionCancelled, ImageError, ModelError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.scheme import Scheme

__all__ = ["a_detector", "a_model", "a_scheme"]


def statuses(detection) -> set[Status]:
    return {landmark.status for landmark in detection.frames[0].landmarks}


@pytest.fixture(scope="module")
def a_deformed_case(a_detector: AtlasDetector):
    """A body turned upside down and deformed by up to 1.5 mm along each axis; what was found, and the truth."""
    move = a_move((2.6, 0.4, -0.6), (1.0, -2.0, 1.5), 1.05)
    seen: list[tuple[float, str]] = []
    image = a_soft_body(move, 1.5, seed=3)
    detection = a_detector.detect(image, progress=lambda fraction, text: seen.append((fraction, text)))
    return image, detection, deformed(POINTS, move, 1.5), seen


def test_a_smooth_deformation_in_another_orientation_is_followed(a_deformed_case) -> None:
    _, detection, truth, _ = a_deformed_case
    error = np.linalg.norm(placed(detection) - truth, axis=1)
    assert error.mean() < 0.6 and error.max() < 1.5  # voxels of 1 mm
    assert statuses(detection) <= {Status.PREDICTED, Status.DOUBTFUL}


def test_the_stated_errors_are_in_mm_and_of_the_right_size(a_deformed_case) -> None:
    _, detection, truth, _ = a_deformed_case
    stated = detection.settings["volume"]["expected_error_mm"]
    error = np.linalg.norm(placed(detection) - truth, axis=1)
    expected = np.array([stated[name] for name in NAMES])
    assert 0.3 < expected.mean() / error.mean() < 6.0
    covariance = np.array(detection.settings["volume"]["covariance_ras_mm2"][NAMES[0]])
    assert covariance.shape == (3, 3) and np.linalg.eigvalsh(covariance).min() > 0


def test_progress_rises_to_the_end_and_names_the_steps(a_deformed_case) -> None:
    seen = a_deformed_case[3]
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    steps = " ".join(text for _, text in seen)
    for step in ("how the anatomy lies", "Affine", "Deformable", "surroundings", "back"):
        assert step in steps


def test_a_point_beyond_the_field_of_view_is_missing(a_detector: AtlasDetector) -> None:
    image = a_soft_body(np.eye(4), seed=1)
    first = 15  # the lowest balls lie in front of it
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] += first * matrix[:3, 1]
    cut = replace(image, pixels=image.pixels[:, :, first:].copy(), ijk_to_ras=matrix, display=None)
    detection = a_detector.detect(cut)
    low_y = matrix[1, 3] - 0.5
    for landmark, truth in zip(detection.frames[0].landmarks, POINTS, strict=True):
        if truth[1] < low_y - 1.0:
            assert landmark.status is Status.MISSING and "field of view" in landmark.reason
        elif truth[1] > low_y + 6.0:
            assert np.linalg.norm(np.array(landmark.ras) - truth) < 1.5


def test_something_else_has_no_landmark_that_is_believed(a_detector: AtlasDetector) -> None:
    rng = np.random.default_rng(0)
    noise = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(rng.normal(size=SHAPE)), 3.0))
    noise = np.clip((noise - noise.min()) / np.ptp(noise) * 255, 0, 255).astype(np.uint8)
    detection = a_detector.detect(an_image(noise, a_soft_body(np.eye(4)).ijk_to_ras))
    assert statuses(detection) <= {Status.MISSING, Status.DOUBTFUL}
    assert all(landmark.reason for landmark in detection.frames[0].landmarks)


@pytest.mark.parametrize("after", ["how the anatomy", "Affine", "Deformable", "Matching the", "Matching back"])
def test_a_cancel_is_obeyed_in_every_step(a_detector: AtlasDetector, after: str) -> None:
    reached: list[str] = []

    def progress(fraction: float, text: str) -> None:
        reached.append(text)

    with pytest.raises(DetectionCancelled):
        a_detector.detect(
            a_soft_body(a_move(shift=(1, 0, 0))),
            progress=progress,
            should_stop=lambda: any(after in t for t in reached),
        )
    assert after in reached[-1]


def test_one_slice_or_a_volume_of_one_value_is_refused(a_detector: AtlasDetector) -> None:
    image = a_soft_body(np.eye(4))
    with pytest.raises(ImageError, match="too few slices"):
        a_detector.detect(replace(image, pixels=image.pixels[:, :1].copy()))
    with pytest.raises(ImageError, match="everywhere"):
        a_detector.detect(replace(image, pixels=np.zeros_like(image.pixels)))


def test_values_that_are_no_numbers_do_not_spread(a_detector: AtlasDetector, tmp_path: Path) -> None:
    image = a_soft_body(np.eye(4), seed=2)
    values = image.pixels[0, ..., 0].astype(np.float32)
    values[:4] = np.nan
    volume = sitk.GetImageFromArray(values)
    volume.SetOrigin((np.diag((-1.0, -1.0, 1.0)) @ image.ijk_to_ras[:3, 3]).tolist())
    volume.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(volume, str(tmp_path / "holes.nii.gz"))
    detection = a_detector.detect(read_image(tmp_path / "holes.nii.gz"))
    assert np.linalg.norm(placed(detection) - POINTS, axis=1).mean() < 1.0


def test_python_finds_the_whole_volume_and_says_so_where_a_slice_was_named(a_model: Path, a_scheme: Scheme) -> None:
    image = a_soft_body(a_move(shift=(1, 1, 1)), seed=5)
    detection = MedLandmarkLib.detect(image, a_scheme, f"{a_model}/", slice_index=3)
    assert np.linalg.norm(placed(detection) - POINTS - 1.0, axis=1).max() < 1.0
    assert any("whole volumes" in note for note in detection.notes)
    with pytest.raises(ModelError, match="whole volumes"):
        MedLandmarkLib.detection.LandmarkDetector(a_scheme, f"{a_model}/")
