"""The pose of a body in a volume, from any orientation and any way of storing it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from volumes import BALL_CENTRES, a_body, an_image, rotation

from MedLandmarkLib.detection.volume.pose import PoseTemplate, find_pose
from MedLandmarkLib.detection.volume.shape import transformed
from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Image


@pytest.fixture(scope="module")
def a_template() -> PoseTemplate:
    image = a_body(np.eye(4), shape=(40, 48, 40))
    return PoseTemplate(image.pixels[0, ..., 0].astype(np.float32) / 255, image.ijk_to_ras)


def a_pose(angles=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0), scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * scale
    matrix[:3, 3] = shift
    return matrix


def errors(image: Image, template: PoseTemplate, pose: np.ndarray) -> np.ndarray:
    """mm, over the centres of the body's balls."""
    found = find_pose(image, template)
    assert found.is_found
    return np.linalg.norm(transformed(found.canonical_to_ras, BALL_CENTRES) - transformed(pose, BALL_CENTRES), axis=1)


@pytest.mark.parametrize(
    ("angles", "shift", "scale"),
    [((0.1, 0.0, 0.2), (1, 2, 0), 1.0), ((3.0, 0.4, -0.6), (-2, 1, 3), 1.1), ((1.5, -1.2, 2.4), (0, -3, 1), 0.9)],
)
def test_a_body_is_found_whatever_way_it_lies(a_template, angles, shift, scale) -> None:
    pose = a_pose(angles, shift, scale)
    assert errors(a_body(pose), a_template, pose).max() < 0.7  # voxels of 1 mm


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:4])
def test_turning_and_flipping_the_storage_moves_nothing(a_template, order) -> None:
    """The same values at the same places, stored along other axes and backwards."""
    pose = a_pose((0.5, -0.3, 0.8), (1, 0, -2))
    image = a_body(pose)
    values, matrix = image.pixels[0, ..., 0], image.ijk_to_ras
    axes = [2 - axis for axis in order][::-1]  # of the array, for the order of (i, j, k)
    stored = np.flip(values.transpose(axes), axis=0).copy()
    there = np.eye(4)
    there[:3, :3] = matrix[:3, list(order)]
    there[:3, 3] = matrix[:3, 3] + (stored.shape[0] - 1) * there[:3, 2]
    there[:3, 2] *= -1
    again = an_image(stored, there)
    point = np.array((3.0, 5.0, 7.0))
    moved_ijk = np.linalg.solve(there[:3, :3], image.ras_from_ijk(point) - there[:3, 3])
    assert values[7, 5, 3] == stored[tuple(np.rint(moved_ijk).astype(int)[::-1])]
    one, other = find_pose(image, a_template), find_pose(again, a_template)
    moved = transformed(one.canonical_to_ras, BALL_CENTRES) - transformed(other.canonical_to_ras, BALL_CENTRES)
    assert np.linalg.norm(moved, axis=1).max() < 0.25


def test_a_cropped_body_is_found(a_template) -> None:
    pose = a_pose((0.5, -0.3, 0.8))
    image = a_body(pose)
    kept = image.pixels[0, 4:, 4:-2, :-5, 0]
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 1] * 4 + matrix[:3, 2] * 4
    assert errors(an_image(kept.copy(), matrix), a_template, pose).max() < 0.7


def test_something_else_is_not_taken_for_the_body(a_template) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 40)).astype(np.uint8)
    pose = find_pose(an_image(noise, np.eye(4)), a_template)
    assert not pose.is_found
    assert "not found" in pose.in_words()


def test_a_black_volume_has_no_pose(a_template) -> None:
    with pytest.raises(ImageError, match="one grey value"):
        find_pose(an_image(np.zeros((30, 30, 30), np.uint8), np.eye(4)), a_template)
