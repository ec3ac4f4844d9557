"""Search of a volume with true heatmaps in the network's place: points come back where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plane_truth import TrueReader
from volumes import rotation

from MedLandmarkLib.detection.volume.fusion import fused_peak
from MedLandmarkLib.detection.volume.knowledge import PlaneGeometry
from MedLandmarkLib.detection.volume.reader import PlaneReadings
from MedLandmarkLib.detection.volume.search import SearchArea, search
from MedLandmarkLib.detection.volume.shape import ShapePrior, similarity, transformed
from MedLandmarkLib.plane import DIRECTIONS, sweep

VOXEL_MM = 0.14
GEOMETRY = PlaneGeometry(0.16, 0.08)
LOW, HIGH = np.full(3, -9.0), np.full(3, 9.0)


def an_area(angles=(0.4, -0.7, 1.1), scale: float = 1.0, shift=(30.0, -12.0, 5.0)) -> SearchArea:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * scale
    matrix[:3, 3] = shift
    return SearchArea(matrix, LOW, HIGH)


def some_points(count: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-8.0, 8.0, (count, 3))


@pytest.mark.parametrize("directions", [DIRECTIONS, DIRECTIONS[:2], DIRECTIONS[1:2]])
def test_points_come_back_to_a_tenth_of_a_voxel(directions: tuple[str, ...]) -> None:
    area = an_area(scale=1.2)
    points_ras = transformed(area.to_ras, some_points())
    reader = TrueReader(points_ras, GEOMETRY.fade_px)
    found = search(reader, area, len(points_ras), GEOMETRY, directions=directions)
    errors = [np.linalg.norm(one.point_ras - point) for one, point in zip(found, points_ras, strict=True)]
    assert max(errors) < 0.1 * VOXEL_MM
    assert min(one.height for one in found) > 0.95


@settings(deadline=None, max_examples=10)
@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.floats(0.5, 2.0), st.integers(0, 1000))
def test_points_come_back_whatever_way_the_anatomy_lies(angles, scale, seed) -> None:
    area = an_area(angles, scale)
    points_ras = transformed(area.to_ras, some_points(2, seed))
    found = search(TrueReader(points_ras, GEOMETRY.fade_px), area, 2, GEOMETRY)
    errors = [np.linalg.norm(one.point_ras - point) for one, point in zip(found, points_ras, strict=True)]
    assert max(errors) < 0.1 * VOXEL_MM * scale


def test_the_second_pass_grows_with_the_landmarks_and_not_with_the_volume() -> None:
    counts = {}
    for number in (2, 6):
        for stretch in (1.0, 2.0):
            area = an_area()
            area = SearchArea(area.to_ras, LOW * stretch, HIGH * stretch)
            reader = TrueReader(transformed(area.to_ras, some_points(number)), GEOMETRY.fade_px)
            search(reader, area, number, GEOMETRY)
            coarse = len(sweep(area.to_ras, area.low, area.high, pixel_mm=0.16, step_mm=0.8))
            counts[number, stretch] = reader.planes_read - coarse
    assert counts[2, 1.0] == counts[2, 2.0] == 2 * 9
    assert counts[6, 1.0] == counts[6, 2.0] == 6 * 9


def test_a_lower_second_peak_elsewhere_does_not_pull() -> None:
    area = an_area()
    points_ras = transformed(area.to_ras, some_points())
    decoy = transformed(area.to_ras, some_points()[0] + np.array((4.0, -1.0, 2.0)))
    found = search(TrueReader(points_ras, GEOMETRY.fade_px, decoy), area, len(points_ras), GEOMETRY)
    assert np.linalg.norm(found[0].point_ras - points_ras[0]) < VOXEL_MM


def test_a_landmark_that_no_plane_shows_is_not_found() -> None:
    area = an_area()
    points_ras = transformed(area.to_ras, np.vstack((some_points(3), [[60.0, 0.0, 0.0]])))
    found = search(TrueReader(points_ras, GEOMETRY.fade_px), area, 4, GEOMETRY)
    assert found[3] is None
    assert all(one is not None for one in found[:3])


def test_one_direction_knows_its_own_depth_less_well() -> None:
    area = an_area(angles=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0))
    points = some_points(1)
    planes = sweep(area.to_ras, LOW, HIGH, pixel_mm=0.16, step_mm=0.8, directions=("axial",))
    readings = TrueReader(points, GEOMETRY.fade_px).read(planes)
    sides = np.sqrt(np.diag(fused_peak(readings, 0, GEOMETRY.fade_px).covariance))
    assert sides[2] > 1.5 * max(sides[:2])
    one_plane = readings.heights[:, 0].argmax()
    alone = PlaneReadings(
        readings.points_ras[[one_plane]],
        readings.heights[[one_plane]],
        readings.normals[[one_plane]],
        readings.pixel_mm[[one_plane]],
    )
    assert np.sqrt(fused_peak(alone, 0, GEOMETRY.fade_px).covariance[2, 2]) > 0.5  # within its fading of 0.8 mm


def test_progress_rises_to_the_end() -> None:
    told: list[float] = []
    area = an_area()
    reader = TrueReader(transformed(area.to_ras, some_points(2)), GEOMETRY.fade_px)
    search(reader, area, 2, GEOMETRY, progress=lambda fraction, text: told.append(fraction))
    assert told == sorted(told)
    assert told[0] == 0.0 and 0.9 < told[-1] < 1.0


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.floats(0.2, 5.0), st.tuples(*[st.floats(-100, 100)] * 3))
def test_a_similarity_is_recovered_from_points(angles, scale, shift) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * scale
    matrix[:3, 3] = shift
    points = some_points(8)
    np.testing.assert_allclose(similarity(points, transformed(matrix, points)), matrix, atol=1e-6)


def a_shape(count: int = 12) -> tuple[ShapePrior, np.ndarray]:
    """A prior from varied shapes, and one more shape of the kind."""
    rng = np.random.default_rng(3)
    mean = rng.uniform(-8, 8, (count, 3))
    bend = rng.normal(0, 0.3, (count, 3))
    bend = transformed(similarity(mean + bend, mean), mean + bend) - mean  # a change of shape, not of pose
    shapes = mean + rng.normal(0, 1, (20, 1, 1)) * bend + rng.normal(0, 0.05, (20, count, 3))
    return ShapePrior.from_shapes(shapes), mean + 1.5 * bend


def test_the_shape_places_a_landmark_that_was_not_found() -> None:
    prior, truth = a_shape()
    area = an_area()
    points = transformed(area.to_ras, truth)
    points[4] = np.nan
    combined, covariances, _ = prior.combined(points, np.tile(np.eye(3) * 0.05**2, (12, 1, 1)), area.to_ras)
    expected = transformed(area.to_ras, prior.mean)[4]
    error = np.linalg.norm(combined[4] - transformed(area.to_ras, truth)[4])
    assert error < 0.6 * np.linalg.norm(expected - transformed(area.to_ras, truth)[4])
    assert np.trace(covariances[4]) > 5 * np.trace(covariances[3])


def test_the_shape_holds_back_a_finding_that_it_knows_to_be_impossible() -> None:
    prior, truth = a_shape()
    area = an_area()
    points = transformed(area.to_ras, truth)
    points[7] += (5.0, 0.0, 0.0)
    combined, _, far = prior.combined(points, np.tile(np.eye(3) * 0.05**2, (12, 1, 1)), area.to_ras)
    errors = np.linalg.norm(combined - transformed(area.to_ras, truth), axis=1)
    assert far[7] > 16.27 > np.delete(far, 7).max()
    assert errors[7] < 1.5
    assert np.delete(errors, 7).max() < 0.25
