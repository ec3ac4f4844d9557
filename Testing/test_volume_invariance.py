"""The same body in other voxels: points stay where they are in the patient, with true heatmaps in the network's place.

What is left is everything but the network: how the anatomy's pose is found, planes cut, peaks fused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plane_truth import TrueReader
from test_volume_detection import GEOMETRY, a_detector, a_model_folder, a_scheme
from volumes import BALL_CENTRES, a_body, an_image, rotation

from MedLandmarkLib.detection.volume import VolumeDetector
from MedLandmarkLib.detection.volume.shape import transformed
from MedLandmarkLib.image import Image

__all__ = ["a_detector", "a_model_folder", "a_scheme"]

VOXEL_MM = 1.0
STORAGE_VOXELS, ROTATION_VOXELS = 0.5, 1.5


def posed(angles: tuple[float, float, float] = (0.5, -0.3, 0.8)) -> np.ndarray:
    """(4, 4): how the body lies in the patient space of every case but the rotated one."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles)
    matrix[:3, 3] = (1.0, 0.0, -2.0)
    return matrix


def centred(axes: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """ijk_to_ras (4, 4) with the middle of a (k, j, i) shape at the origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ ((np.array(shape[::-1]) - 1) / 2)
    return matrix


def resampled(spacing: tuple[float, float, float]) -> Image:
    shape = tuple(int(np.ceil(48 / side)) for side in spacing[::-1])
    return a_body(posed(), shape, ijk_to_ras=centred(np.diag(spacing), shape))


def cropped(first: tuple[int, int, int]) -> Image:
    """A tenth of each side is cut away, from the side that `first` (0 or 1 along i, j, k) says."""
    whole = a_body(posed())
    pixels, matrix = whole.pixels[0, ..., 0], whole.ijk_to_ras.copy()
    for axis, is_first in enumerate(first):
        count = whole.size[axis]
        part = slice(count // 10, None) if is_first else slice(None, count - count // 10)
        pixels = pixels[tuple(part if other == 2 - axis else slice(None) for other in range(3))]
        matrix[:3, 3] += matrix[:3, axis] * (count // 10 if is_first else 0)
    return an_image(np.ascontiguousarray(pixels), matrix)


def stored(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Image:
    """The very same voxels in another order, with the direction matrix that goes with it."""
    whole = a_body(posed())
    pixels, matrix = whole.pixels[0, ..., 0].transpose(tuple(2 - axis for axis in order)[::-1]), np.eye(4)
    for new, old in enumerate(order):
        matrix[:3, new] = whole.ijk_to_ras[:3, old]
    matrix[:3, 3] = whole.ijk_to_ras[:3, 3]
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            matrix[:3, 3] += matrix[:3, axis] * (pixels.shape[2 - axis] - 1)
            matrix[:3, axis] *= -1
            pixels = np.flip(pixels, 2 - axis)
    return an_image(np.ascontiguousarray(pixels), matrix)


def turned_grid(degrees: float) -> Image:
    """The patient lies as before; the scanner's grid is turned."""
    angle = np.radians(degrees)
    return a_body(posed(), ijk_to_ras=centred(rotation(angle, 0.6 * angle, 0.0), (48, 48, 48)))


def offsets(detector: VolumeDetector, image: Image, pose: np.ndarray) -> np.ndarray:
    """(n, 3): of each point from the truth, mm, in the body's own frame; NaN where it lies outside the volume."""
    truth = transformed(pose, BALL_CENTRES)
    reader = TrueReader(truth, GEOMETRY.fade_px)
    found = detector.detect_with(reader, image).frames[0].landmarks
    ijk = (truth - image.ijk_to_ras[:3, 3]) @ np.linalg.inv(image.ijk_to_ras[:3, :3]).T
    is_inside = np.all((ijk >= -0.5) & (ijk <= np.array(image.size) - 0.5), axis=1)
    off = np.array([np.full(3, np.nan) if one.ras is None else one.ras for one in found]) - truth
    return np.where(is_inside[:, None], off @ pose[:3, :3], np.nan)


@pytest.fixture(scope="module")
def the_offsets(a_detector: VolumeDetector) -> np.ndarray:
    return offsets(a_detector, a_body(posed()), posed())


def farthest_move_voxels(now: np.ndarray, before: np.ndarray) -> float:
    assert np.isfinite(now).all(axis=1).sum() >= 7  # of 8: a crop may cut one away
    return float(np.nanmax(np.linalg.norm(now - before, axis=1)) / VOXEL_MM)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (1.3, 1.3, 1.3), (1.0, 1.0, 2.0)])
def test_resampling_moves_no_point(a_detector, the_offsets, spacing) -> None:
    now = offsets(a_detector, resampled(spacing), posed())
    assert farthest_move_voxels(now, the_offsets) < STORAGE_VOXELS


@pytest.mark.parametrize("first", [(0, 0, 0), (1, 1, 1), (1, 0, 1)])
def test_cropping_by_a_tenth_moves_no_point(a_detector, the_offsets, first) -> None:
    now = offsets(a_detector, cropped(first), posed())
    assert farthest_move_voxels(now, the_offsets) < STORAGE_VOXELS


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (True, False, False)), ((0, 1, 2), (False, True, False)), ((0, 1, 2), (False, False, True)),
        ((0, 1, 2), (True, True, True)), ((2, 0, 1), (False, False, False)), ((1, 0, 2), (True, False, True)),
    ],
)  # fmt: skip
def test_the_order_in_storage_moves_no_point(a_detector, the_offsets, order, flips) -> None:
    image = stored(order, flips)
    whole = a_body(posed())
    np.testing.assert_allclose(  # the same voxel lies at the same place
        sorted(np.round(image.ras_from_ijk(corner), 6).tolist() for corner in corners(image)),
        sorted(np.round(whole.ras_from_ijk(corner), 6).tolist() for corner in corners(whole)),
    )
    now = offsets(a_detector, image, posed())
    assert farthest_move_voxels(now, the_offsets) < STORAGE_VOXELS


def corners(image: Image) -> np.ndarray:
    return np.array(np.meshgrid(*((0, side - 1) for side in image.size))).reshape(3, -1).T.astype(float)


@pytest.mark.parametrize("degrees", [15.0, -15.0])
def test_a_grid_turned_by_15_degrees_moves_no_point(a_detector, the_offsets, degrees: float) -> None:
    now = offsets(a_detector, turned_grid(degrees), posed())
    assert farthest_move_voxels(now, the_offsets) < ROTATION_VOXELS


def test_a_patient_turned_by_15_degrees_takes_the_points_along(a_detector, the_offsets) -> None:
    turned = posed()
    turned[:3, :3] = rotation(np.radians(15.0), 0.0, 0.0) @ turned[:3, :3]
    now = offsets(a_detector, a_body(turned), turned)
    assert farthest_move_voxels(now, the_offsets) < ROTATION_VOXELS


def test_without_a_template_the_order_in_storage_moves_no_point_either(a_scheme, a_detector, the_offsets) -> None:
    plain = VolumeDetector(a_scheme, a_detector.model, device="cpu")
    plain.knowledge = replace(a_detector.knowledge, template=None, shape=None)
    before = offsets(plain, a_body(posed()), posed())
    assert np.linalg.norm(before, axis=1).max() < STORAGE_VOXELS
    for order, flips in (((0, 1, 2), (True, False, True)), ((2, 0, 1), (False, True, False))):
        assert farthest_move_voxels(offsets(plain, stored(order, flips), posed()), before) < 1e-3
