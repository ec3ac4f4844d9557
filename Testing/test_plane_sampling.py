"""Planes in any volume: exact maps, smoothing where they shrink, the same time whatever the volume's size."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volumes import a_geometry, an_image, grid_ras

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image.display import Display, Window
from MedLandmarkLib.plane import Plane, anatomical_plane, oblique_plane, plane_about, plane_through_points, window_of
from MedLandmarkLib.plane.pictures import plane_values
from MedLandmarkLib.plane.placing import box_ras

SHAPE = (20, 32, 28)
BLACK = np.zeros(SHAPE, np.uint8)

angle = st.floats(-3.1, 3.1)
spacing_mm = st.floats(0.05, 6.0)
far = st.floats(-500.0, 500.0)
geometries = st.builds(
    a_geometry,
    st.tuples(spacing_mm, spacing_mm, spacing_mm),
    st.tuples(angle, angle, angle),
    st.tuples(far, far, far),
    st.booleans(),
    st.floats(-0.5, 0.5),
)
points = st.tuples(far, far, far)


@given(geometries, points, st.tuples(angle, angle, angle), st.floats(0.05, 5.0), points)
def test_a_point_keeps_its_place_from_ras_to_plane_to_ijk_and_back(matrix, centre, turn, pixel, point) -> None:
    directions = a_geometry((1.0, 1.0, 1.0), turn)[:3, :3]
    plane = plane_about(centre, directions[:, 0], directions[:, 1], pixel, (64, 48))
    placed = plane.plane_from_ras(point)
    back = plane.plane_to_ras @ [*placed, 1.0]
    np.testing.assert_allclose(back[:3], point, atol=1e-6)
    image = an_image(BLACK, matrix)
    ijk = np.linalg.inv(matrix) @ plane.plane_to_ras @ [*placed, 1.0]
    np.testing.assert_allclose(image.ras_from_ijk(ijk[:3]), point, atol=1e-6)


@given(points, points, points, st.floats(0.05, 5.0))
def test_a_plane_through_three_points_holds_them(a, b, c, pixel) -> None:
    corners = np.array((a, b, c))
    along, across = corners[1] - corners[0], corners[2] - corners[0]
    if np.linalg.norm(np.cross(along, across)) < 1e-3 * np.linalg.norm(along) * np.linalg.norm(across) + 1e-3:
        return  # on one line: another test
    plane = plane_through_points(corners, pixel, (64, 64))
    steps = plane.plane_from_ras(corners)[:, 2] * pixel
    np.testing.assert_allclose(steps, 0.0, atol=1e-6)
    np.testing.assert_allclose(plane.ras_from_plane((31.5, 31.5)), corners.mean(axis=0), atol=1e-6)


def test_three_points_on_a_line_are_refused() -> None:
    with pytest.raises(ImageError, match="one line"):
        plane_through_points([(0, 0, 0), (1, 1, 1), (3, 3, 3)], 1.0, (32, 32))
    with pytest.raises(ImageError, match="three points"):
        plane_through_points([(0, 0, 0), (1, 1, np.nan), (3, 4, 3)], 1.0, (32, 32))
    with pytest.raises(ImageError, match="span no plane"):
        plane_about((0, 0, 0), (1, 0, 0), (2, 0, 0), 1.0, (32, 32))
    with pytest.raises(ImageError, match="above 0"):
        plane_about((0, 0, 0), (1, 0, 0), (0, 1, 0), 0.0, (32, 32))


@settings(deadline=None, max_examples=40)
@given(geometries, st.sampled_from(["sagittal", "coronal", "axial"]), st.floats(0.0, 1.0))
def test_planes_along_an_anatomical_axis_cover_the_volume_however_it_is_stored(matrix, axis, share) -> None:
    image = an_image(BLACK, matrix)
    low, high = box_ras(image)
    pixel = float((high - low).max()) / 60
    normal = {"sagittal": 0, "coronal": 1, "axial": 2}[axis]
    count = int(np.ceil((high[normal] - low[normal]) / pixel - 1e-6))
    index = min(int(share * count), count - 1)
    plane = anatomical_plane(image, axis, index, pixel)
    corner = plane.ras_from_plane((0, 0))
    assert corner[normal] == pytest.approx(low[normal] + (index + 0.5) * pixel, abs=1e-6)
    opposite = plane.ras_from_plane(np.array(plane.size_wh) - 1)
    others = [k for k in range(3) if k != normal]
    assert np.all(np.abs(opposite - corner)[others] >= (high - low)[others] - pixel - 1e-6)
    with pytest.raises(ImageError, match=f"no {axis} plane {count}"):
        anatomical_plane(image, axis, count, pixel)


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(ImageError, match="no anatomical axis"):
        anatomical_plane(an_image(BLACK, np.eye(4)), "oblique", 3)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.4, -0.7, 1.1)])
@pytest.mark.parametrize("tilt", [0.0, 0.35])
def test_a_volume_that_rises_linearly_is_read_exactly_in_any_plane(angles, tilt) -> None:
    matrix = a_geometry(angles=angles, tilt=tilt)
    slope = np.array((1.5, -2.0, 0.7))
    values = (grid_ras(SHAPE, matrix) @ slope).astype(np.float64)
    image = an_image(values, matrix, Display(Window(0, 500, "LINEAR_EXACT")))
    centre = image.ras_from_ijk((13.0, 16.0, 9.5))
    for pixel in (0.3, 1.0, 4.0):  # larger, as large and smaller than the voxels
        plane = plane_about(centre, (1, 0.3, 0), (0, 1, 0.8), pixel, (16, 16))
        found, is_inside, to_ijk = plane_values(image, plane)
        y, x = np.mgrid[:16, :16]
        xy = np.stack((x, y), axis=-1).astype(float)
        reach = np.abs(to_ijk[:3, :2]).sum(axis=1) / 2  # the pixel's own extent must lie within the voxel centres
        ijk = xy @ to_ijk[:3, :2].T + to_ijk[:3, 3]
        well_inside = np.all((ijk >= reach) & (ijk <= np.array(image.size) - 1 - reach), axis=-1)
        assert well_inside.sum() > 3
        np.testing.assert_allclose(found[well_inside, 0], (plane.ras_from_plane(xy) @ slope)[well_inside], atol=1e-6)
        assert is_inside[well_inside].all()


def test_fine_stripes_become_grey_where_the_plane_shrinks_and_do_not_alias() -> None:
    values = np.zeros((16, 200, 200), np.uint8)
    values[:, :, ::2] = 200
    image = an_image(values, np.eye(4))
    plane = plane_about((99.5, 99.5, 8), (1, 0, 0), (0, 1, 0), 6.0, (24, 24))
    picture = oblique_plane(image, plane).picture[..., 0]
    assert picture.min() >= 95 and picture.max() <= 105


def test_a_slab_shows_the_mean_through_it() -> None:
    values = np.zeros((21, 40, 40), np.uint8)
    values[10] = 200
    image = an_image(values, np.eye(4))
    plane = plane_about((20, 20, 10), (1, 0, 0), (0, 1, 0), 1.0, (20, 20))
    assert (oblique_plane(image, plane).picture == 200).all()
    assert (oblique_plane(image, plane, thickness=5).picture == 40).all()
    with pytest.raises(ImageError, match="thickness"):
        oblique_plane(image, plane, thickness=-1)


def test_the_automatic_window_is_of_what_lies_inside() -> None:
    values = np.full(SHAPE, 500, np.int16)
    values[:, :, 14:] = 700
    image = an_image(values, np.eye(4), Display(Window(0, 100, "LINEAR_EXACT")))
    plane = plane_about((13.5, 15.5, 10), (1, 0, 0), (0, 1, 0), 1.0, (60, 60))
    found, is_inside, _ = plane_values(image, plane)
    picture = oblique_plane(image, plane, display=window_of(found, is_inside)).picture
    assert {int(value) for value in np.unique(picture)} == {0, 255}
    assert (oblique_plane(image, plane).picture[is_inside] == 255).all()  # as shown: all white


def test_voxels_that_are_no_numbers_are_black_and_spoil_nothing_else() -> None:
    values = np.full(SHAPE, 100.0, np.float32)
    values[10, 16, 14] = np.nan
    image = an_image(values, np.eye(4), Display(Window(100, 400, "LINEAR_EXACT")))
    picture = oblique_plane(image, plane_about((14, 16, 10), (1, 0, 0), (0, 1, 0), 1.0, (16, 16))).picture[..., 0]
    assert (picture == 0).sum() <= 4
    assert (picture == 128).sum() >= 252


def test_a_plane_that_misses_the_volume_is_black() -> None:
    image = an_image(np.full(SHAPE, 200, np.uint8), np.eye(4))
    assert not oblique_plane(image, plane_about((500, 0, 0), (1, 0, 0), (0, 1, 0), 1.0, (32, 32))).picture.any()


def test_zero_spacing_is_refused() -> None:
    with pytest.raises(ImageError, match="do not span space"):
        an_image(BLACK, np.diag([1.0, 1.0, 0.0, 1.0]))


def test_a_plane_takes_no_longer_in_a_large_volume() -> None:
    def seconds(side: int) -> float:
        image = an_image(np.zeros((side, side, side), np.uint8), np.eye(4))
        plane = plane_about((side / 2,) * 3, (1, 0.2, 0), (0, 1, 0.3), 0.5, (100, 100))
        taken = []
        for _ in range(7):
            start = time.process_time()
            oblique_plane(image, plane)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(400) < 4 * seconds(60) + 0.01  # sixty-four million voxels against two hundred thousand


def test_a_plane_is_a_value_that_can_be_compared_by_its_fields() -> None:
    plane = plane_about((1, 2, 3), (1, 0, 0), (0, 1, 0), 0.5, (20, 30))
    assert Plane.from_fields(plane.to_fields()).to_fields() == plane.to_fields()
