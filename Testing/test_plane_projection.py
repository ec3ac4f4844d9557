"""Projections through slabs, the mid-sagittal plane, and the way back into the volume; planes through teeth."""

from __future__ import annotations

import numpy as np
import pytest
from volumes import a_geometry, an_image, grid_ras, rotation

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Image
from MedLandmarkLib.plane import plane_about
from MedLandmarkLib.plane.midsagittal import find_midsagittal
from MedLandmarkLib.plane.projection import WATER_PER_MM, project, require_hounsfield
from MedLandmarkLib.plane.ray import point_on_ray
from MedLandmarkLib.plane.tooth import TOOTH_PIXEL_MM, tooth_plane, tooth_planes_along_curve

SHAPE = (48, 56, 52)


def centred(spacing: float = 2.0, angles=(0.0, 0.0, 0.0)) -> np.ndarray:
    """ijk_to_ras with the middle of SHAPE at the origin."""
    matrix = a_geometry((spacing,) * 3, angles, (0.0, 0.0, 0.0))
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(SHAPE[::-1]) - 1) / 2)
    return matrix


def a_head(yaw: float = 0.0, roll: float = 0.0, offset: float = 0.0) -> Image:
    """A CT of a symmetrical head: soft tissue with bones on the middle plane and in pairs beside it."""
    matrix = centred()
    ras = grid_ras(SHAPE, matrix)
    turn = rotation(yaw, 0.0, roll)
    own = ras @ turn - np.array((offset, 0.0, 0.0))
    values = np.full(SHAPE, -1000.0)
    values[np.linalg.norm(own / (34, 44, 38), axis=-1) < 1] = 40.0

    def ball(centre, radius, hu) -> None:
        values[np.linalg.norm(own - np.array(centre, float), axis=-1) < radius] = hu

    ball((0, 30, -10), 7, 900)
    ball((0, 4, 22), 9, 700)
    for side in (-1, 1):
        ball((side * 18, -8, -16), 7, 1200)
        ball((side * 14, 22, 12), 5, 800)
    return an_image(values.astype(np.int16), matrix)


def test_a_ray_sum_is_the_attenuation_of_the_path() -> None:
    values = np.full(SHAPE, -1000, np.int16)
    values[10:30] = 0  # water, 20 slices of 2 mm
    image = an_image(values, centred())
    plane = plane_about((0, 0, 0), (1, 0, 0), (0, 1, 0), 2.0, (40, 40))
    projection = project(image, plane, 96.0, "radiograph")
    np.testing.assert_allclose(projection.values, 40.0 * WATER_PER_MM, rtol=0.03)
    assert project(image, plane, 96.0, "maximum").values.max() == 0.0
    np.testing.assert_allclose(project(image, plane, 96.0, "mean").values, -1000 * 28 / 48, rtol=0.03)


def test_a_projection_is_the_same_however_the_volume_is_stored() -> None:
    image = a_head()
    values = np.flip(image.pixels[0, ..., 0].transpose(2, 0, 1), axis=1).copy()  # other axes, one backwards
    matrix = np.eye(4)
    matrix[:3, :3] = image.ijk_to_ras[:3, [1, 2, 0]]
    matrix[:3, 3] = image.ijk_to_ras[:3, 3] + (values.shape[1] - 1) * matrix[:3, 1]
    matrix[:3, 1] *= -1
    again = an_image(values, matrix)
    plane = plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 2.0, (60, 50))
    one, other = (project(each, plane, 100.0, "radiograph").values for each in (image, again))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kind", ["maximum", "radiograph", "mean"])
def test_a_point_of_a_projection_goes_back_to_the_depth_of_what_it_shows(kind) -> None:
    values = np.full(SHAPE, -1000, np.int16)
    image = an_image(values, centred())
    ras = grid_ras(SHAPE, image.ijk_to_ras)
    ball = np.array((12.0, -20.0, 16.0))
    values[np.linalg.norm(ras - ball, axis=-1) < 6] = 1200
    image = an_image(values, image.ijk_to_ras)
    plane = plane_about((0, 0, 0), (0, 1, 0.2), (0, 0, -1), 1.0, (120, 120))
    projection = project(image, plane, 110.0, kind)
    xy = plane.plane_from_ras(ball)[:2]
    ray = point_on_ray(image, projection, xy)
    assert np.linalg.norm(ray.point_ras - ball) < (2.5 if kind != "maximum" else 6.5)
    assert abs(ray.direction @ projection.direction) == pytest.approx(1.0)
    assert 0 < ray.depth_sd_mm < (40.0 if kind == "mean" else 6.5)
    np.testing.assert_allclose(plane.plane_from_ras(ray.point_ras)[:2], xy, atol=1e-6)


def test_of_a_pair_the_uncertainty_covers_both_sides() -> None:
    image = a_head()
    plane = plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 1.0, (110, 90))
    ray = point_on_ray(image, project(image, plane, 100.0), plane.plane_from_ras((0, -8, -16))[:2])
    assert abs(ray.point_ras[0]) < 2.0
    assert 14 < ray.depth_sd_mm < 24


@pytest.mark.parametrize("kind", ["radiograph", "maximum", "mean"])
def test_where_nothing_stands_out_the_depth_is_unknown_and_says_so(kind: str) -> None:
    image = an_image(np.full(SHAPE, -1000, np.int16), centred())
    plane = plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 1.0, (60, 60))
    ray = point_on_ray(image, project(image, plane, 100.0, kind), np.array((30.0, 30.0)))
    assert ray.how == "nothing along the ray stands out" and ray.depth_sd_mm > 20
    with pytest.raises(ImageError, match="does not meet the volume"):
        point_on_ray(image, project(image, plane, 100.0), np.array((3000.0, 30.0)))


@pytest.mark.parametrize(("yaw", "roll", "offset"), [(0.0, 0.0, 0.0), (0.15, -0.1, 5.0), (-0.2, 0.12, -4.0)])
def test_the_midsagittal_plane_of_a_turned_head_is_found(yaw, roll, offset) -> None:
    plane = find_midsagittal(a_head(yaw, roll, offset))
    normal = rotation(yaw, 0.0, roll) @ np.array((1.0, 0.0, 0.0))
    assert np.degrees(np.arccos(plane.normal @ normal)) < 2.0
    middle = rotation(yaw, 0.0, roll) @ np.array((offset, 10.0, 0.0))
    assert abs((middle - plane.point) @ plane.normal) < 1.5
    assert plane.symmetry > 0.7


def test_midsagittal_points_lie_on_that_plane() -> None:
    image = a_head(0.1, 0.05, 3.0)
    midsagittal = find_midsagittal(image)
    plane = plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 1.0, (110, 90))
    ray = point_on_ray(image, project(image, plane, 110.0), np.array((80.0, 50.0)), midsagittal)
    assert abs((ray.point_ras - midsagittal.point) @ midsagittal.normal) < 1e-9
    assert ray.how == "on the mid-sagittal plane" and ray.depth_sd_mm < 3.0
    along = plane_about((0, 0, 0), (1, 0, 0), (0, 0, -1), 1.0, (110, 90))
    with pytest.raises(ImageError, match="along the mid-sagittal plane"):
        point_on_ray(image, project(image, along, 110.0), np.array((50.0, 50.0)), midsagittal)


def test_noise_has_no_midsagittal_plane() -> None:
    noise = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    with pytest.raises(ImageError, match="No mid-sagittal plane"):
        find_midsagittal(an_image(noise, centred()))
    with pytest.raises(ImageError, match="one value everywhere"):
        find_midsagittal(an_image(np.full(SHAPE, 5, np.uint8), centred()))


def test_a_slab_beside_the_volume_or_without_depth_is_refused() -> None:
    image = a_head()
    plane = plane_about((900, 0, 0), (0, 1, 0), (0, 0, -1), 1.0, (50, 50))
    with pytest.raises(ImageError, match="outside the volume"):
        project(image, plane, 20.0)
    with pytest.raises(ImageError, match="must be above 0"):
        project(image, plane, 0.0)
    with pytest.raises(ImageError, match="no projection"):
        project(image, plane, 5.0, "minimum")


def test_only_hounsfield_units_make_a_radiograph() -> None:
    require_hounsfield(a_head())
    with pytest.raises(ImageError, match="not in Hounsfield units"):
        require_hounsfield(an_image(np.full(SHAPE, 300, np.uint16), centred()))


def test_a_tooth_plane_holds_the_axis_with_the_lip_on_the_left_and_the_patients_top_up() -> None:
    for crown, apex in (((3, 42, -20), (4, 38, -8)), ((3, 41, -24), (2, 38, -36))):  # an upper and a lower tooth
        plane = tooth_plane(crown, apex, (0, 1, 0))
        placed = plane.plane_from_ras(np.array((crown, apex), float))
        np.testing.assert_allclose(placed[:, 2], 0.0, atol=1e-6)
        np.testing.assert_allclose(placed[0, 0], placed[1, 0], atol=1e-6)
        upper = 1 if crown[2] < apex[2] else 0
        assert placed[upper, 1] < placed[1 - upper, 1]
        lip = plane.plane_from_ras(np.array(crown, float) + (0, 8, 0))
        assert lip[0] < placed[0, 0]
        assert np.linalg.norm(plane.plane_to_ras[:3, 0]) == pytest.approx(TOOTH_PIXEL_MM)
    with pytest.raises(ImageError, match="mm apart"):
        tooth_plane((0, 0, 0), (0, 0, 0.1), (0, 1, 0))
    with pytest.raises(ImageError, match="along the tooth"):
        tooth_plane((0, 0, 0), (0, 0, 10), (0, 0.1, 1))


def test_planes_along_the_panoramic_curve_stand_across_the_arch() -> None:
    angles = np.radians(np.linspace(20, 160, 40))
    curve = np.stack((25 * np.cos(angles), 30 * np.sin(angles), np.full(40, -15.0)), axis=1)
    length = np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()
    planes = tooth_planes_along_curve(curve, np.linspace(5, length - 5, 6))
    assert len(planes) == 6
    for plane, position in zip(planes, np.linspace(5, length - 5, 6), strict=True):
        middle = plane.ras_from_plane((np.array(plane.size_wh) - 1) / 2)
        nearest = np.linalg.norm(curve - middle, axis=1).argmin()
        assert np.linalg.norm(curve[nearest] - middle) < 1.5, position
        tangent = curve[min(nearest + 1, 39)] - curve[max(nearest - 1, 0)]
        normal = plane.plane_to_ras[:3, 2] / TOOTH_PIXEL_MM
        assert abs(normal @ tangent / np.linalg.norm(tangent)) > 0.97
        outward = plane.ras_from_plane((0, 95.5)) - middle  # the left of the picture
        assert outward @ (middle - curve.mean(axis=0)) > 0
    with pytest.raises(ImageError, match="off the panoramic curve"):
        tooth_planes_along_curve(curve, [length + 1])
    with pytest.raises(ImageError, match="three points"):
        tooth_planes_along_curve(curve[:2], [1.0])
