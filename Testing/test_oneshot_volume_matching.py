"""The steps by which one volume is matched to another: the affine map, patches and their certainty, grids."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from soft_bodies import SHAPE, a_move, a_soft_body
from volumes import a_geometry, an_image, grid_ras

from MedLandmarkLib.detection.atlas.grids import Grid, Sampled, affine_transform, carried
from MedLandmarkLib.detection.atlas.matching import PatchSize, correlation_map, match
from MedLandmarkLib.detection.atlas.registration import Pair, affine_registration


def test_the_affine_map_does_not_depend_on_the_number_of_threads() -> None:
    """Sums in changing order once moved a ventricle's landmark by 0.1 mm, and its confidence from 17 to 35 %."""
    bodies = (a_soft_body(np.eye(4)), a_soft_body(a_move((0.1, 0.0, -0.1), (1.0, 2.0, 0.0)), 1.0, seed=5))
    pair = Pair(*(sitk.GetImageFromArray(body.pixels[0, ..., 0].astype(np.float32)) for body in bodies))
    before, found = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), []
    try:
        for count in (1, 2, 5, 5):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
            found.append(affine_registration(pair, np.array(SHAPE[::-1]) / 2.0).GetParameters())
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert set(found) == {found[0]} and found[0] != sitk.AffineTransform(3).GetParameters()


def test_a_patch_is_found_where_it_was_cut_from() -> None:
    rng = np.random.default_rng(0)
    area = rng.normal(size=(17, 17, 17))
    patch = area[3:12, 6:15, 5:14]
    found = correlation_map(2.0 * patch + 5.0, area)  # brightness and contrast do not matter
    assert np.unravel_index(found.argmax(), found.shape) == (3, 6, 5)
    assert found.max() == pytest.approx(1.0, abs=1e-6)
    assert correlation_map(np.ones((9, 9, 9)), area) is None


def test_an_edge_is_less_sure_along_than_across() -> None:
    def wall(point: np.ndarray, radius: int, spacing: float) -> np.ndarray:
        x = point[0] + spacing * np.arange(-radius, radius + 1)
        rng = np.random.default_rng(int(1000 * abs(point).sum()))
        shape = (2 * radius + 1,) * 3
        return np.broadcast_to(1 / (1 + np.exp(-x)), shape) + rng.normal(0, 0.05, shape)

    found = match(wall, wall, np.zeros(3), np.array((1.0, 0.0, 0.0)), PatchSize(5, 3, 1.0))
    assert found.offset[0] == pytest.approx(-1.0, abs=0.3)
    assert found.covariance[1, 1] > 3 * found.covariance[0, 0]


def test_a_grid_samples_a_volume_stored_anyhow() -> None:
    """A sheared, left-handed storage of a linear ramp gives the ramp."""
    matrix = a_geometry((0.7, 0.9, 1.1), is_left_handed=True, tilt=0.1)
    shape = (30, 30, 30)
    ramp = grid_ras(shape, matrix) @ (1.0, 2.0, -1.0)
    low, high = ramp.min(), ramp.max()
    image = an_image(np.rint((ramp - low) / (high - low) * 255).astype(np.uint8), matrix)
    centre = image.ras_from_ijk((14.5, 14.5, 14.5))
    grid = Grid.about(centre, 3, 1.0)
    found = grid.sampled(Sampled.of(image, 0, 0.7), affine_transform(np.eye(4))) * (high - low) + low
    k, j, i = np.meshgrid(*[np.arange(7)] * 3, indexing="ij")
    wanted = (grid.low + np.stack((i, j, k), axis=-1)) @ (1.0, 2.0, -1.0)
    np.testing.assert_allclose(found, wanted, atol=0.6 * (high - low) / 255)
    moved = carried(affine_transform(a_move((0.3, 0.1, 0.2), (1, 2, 3))), np.ones((2, 3)))
    np.testing.assert_allclose(moved[0], a_move((0.3, 0.1, 0.2), (1, 2, 3))[:3] @ (1, 1, 1, 1))
