"""Planes: stored slices, and cuts through a volume in any direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from volumes import a_geometry, rotation

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display, Window
from MedLandmarkLib.plane import Plane, SampledPicture, oblique_plane, picture_of, plane_setting, stored_plane

SHAPE = (20, 32, 28)  # slices, rows, columns


def a_volume(values: np.ndarray, ijk_to_ras: np.ndarray, display: Display | None = None) -> Image:
    spacing = tuple(np.linalg.norm(ijk_to_ras[:3, :2], axis=0))
    return Image(values.reshape(1, *SHAPE, -1), ijk_to_ras, Calibration("calibrated", "test", spacing), display=display)


def a_cut(centre: np.ndarray, angles: tuple[float, float, float], spacing: float, size_wh=(40, 36)) -> Plane:
    """A plane whose middle lies at `centre`, RAS."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * spacing
    matrix[:3, 3] = centre - matrix[:3, :2] @ ((np.array(size_wh) - 1) / 2)
    return Plane(matrix, size_wh)


def black(ijk_to_ras: np.ndarray) -> Image:
    return a_volume(np.zeros(SHAPE, np.uint8), ijk_to_ras)


angle = st.floats(-3.1, 3.1)
spacing_mm = st.floats(0.05, 6.0)
far = st.floats(-500.0, 500.0)


@given(
    st.tuples(spacing_mm, spacing_mm, spacing_mm), st.tuples(angle, angle, angle), st.tuples(far, far, far),
    st.booleans(), st.tuples(angle, angle, angle), st.floats(0.1, 3.0), st.tuples(st.floats(-9, 60), st.floats(-9, 60)),
)  # fmt: skip
def test_a_point_of_a_cut_lies_at_the_same_place_by_the_plane_and_by_the_image(
    spacing, angles, origin, is_left_handed, turn, pixel, plane_xy
) -> None:
    image = black(a_geometry(spacing, angles, origin, is_left_handed))
    plane = a_cut(image.ras_from_ijk(np.array([14.0, 16.0, 10.0])), turn, pixel)
    picture = oblique_plane(image, plane)
    ras = plane.ras_from_plane(plane_xy)
    ijk = picture.ijk_from_plane(plane_xy)
    np.testing.assert_allclose(image.ras_from_ijk(ijk), ras, atol=1e-6)
    back = plane.plane_from_ras(image.ras_from_ijk(ijk))
    np.testing.assert_allclose(back, [*plane_xy, 0.0], atol=1e-6)
    np.testing.assert_allclose(picture.plane_from_ijk(ijk), plane_xy, atol=1e-6)


@pytest.mark.parametrize("is_left_handed", [False, True])
@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.3, 0.9, -0.5), (1.5, -1.2, 2.4)])
def test_a_bright_blob_lands_where_it_was_put(turn, is_left_handed) -> None:
    matrix = a_geometry(is_left_handed=is_left_handed)
    k, j, i = np.meshgrid(*(np.arange(count) for count in SHAPE), indexing="ij")
    ras = np.stack((i, j, k), axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    blob = np.array([13.2, 17.6, 9.3]) @ matrix[:3, :3].T + matrix[:3, 3]
    values = 1000 * np.exp(-(((ras - blob) / 4.0) ** 2).sum(axis=-1))
    image = a_volume(values.astype(np.int16), matrix)
    plane = a_cut(blob, turn, 0.7, (41, 37))
    weight = oblique_plane(image, plane).picture[..., 0].astype(float) ** 2
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    found = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
    np.testing.assert_allclose(found, (20, 18), atol=0.35)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_cut_along_a_stored_slice_is_that_slice(dtype, channels) -> None:
    if channels == 3 and dtype is not np.uint8:
        return  # colours are 8-bit
    values = np.random.default_rng(1).integers(0, 255, (*SHAPE, channels)).astype(dtype)
    image = a_volume(values, a_geometry())
    stored = stored_plane(image, 0, 7)
    np.testing.assert_array_equal(oblique_plane(image, stored.plane).picture, stored.picture)


def test_outside_the_image_a_cut_is_black_even_where_low_is_white() -> None:
    values = np.full(SHAPE, 100, np.int16)
    image = a_volume(values, a_geometry(), Display(Window(100, 400, "LINEAR_EXACT"), inverted=True))
    stored = stored_plane(image, 0, 7).plane
    wider = Plane(stored.plane_to_ras, (stored.size_wh[0] + 9, stored.size_wh[1] + 5))
    picture = oblique_plane(image, wider).picture
    assert (picture[: SHAPE[1], : SHAPE[2]] == 127).all()
    assert (picture[:, SHAPE[2] :] == 0).all()
    assert (picture[SHAPE[1] :] == 0).all()


def test_a_plane_that_cannot_be_sampled_is_refused() -> None:
    image = black(a_geometry())
    with pytest.raises(ImageError, match="0 px"):
        oblique_plane(image, Plane(np.eye(4), (30, 0)))
    with pytest.raises(ImageError, match="cannot be inverted"):
        oblique_plane(image, Plane(np.diag([1.0, 0.0, 1.0, 1.0]), (30, 30)))
    with pytest.raises(ImageError, match="no frame 3"):
        oblique_plane(image, Plane(np.eye(4), (30, 30)), 3)


def test_a_plane_travels_as_plain_data() -> None:
    plane = a_cut(np.array([1.0, 2.0, 3.0]), (0.1, 0.2, 0.3), 0.37)
    back = Plane.from_fields(plane.to_fields())
    np.testing.assert_array_equal(back.plane_to_ras, plane.plane_to_ras)
    assert back.size_wh == plane.size_wh


@pytest.mark.parametrize(
    "fields",
    [{}, {"plane_to_ras": [[1]], "size_wh": [3, 4]}, {"plane_to_ras": np.eye(4).tolist(), "size_wh": [3.5, 4]}],
)
def test_what_is_no_plane_is_refused(fields) -> None:
    with pytest.raises(ImageError):
        Plane.from_fields(fields)


def test_the_picture_of_a_detection_is_found_again_after_the_image_was_moved() -> None:
    values = np.random.default_rng(2).integers(0, 255, SHAPE).astype(np.uint8)
    image = a_volume(values, a_geometry())
    plane = a_cut(image.ras_from_ijk(np.array([14.0, 16.0, 10.0])), (0.3, 0.9, -0.5), 0.7)
    setting = plane_setting(image, plane)
    moved = a_volume(values, a_geometry(angles=(1.0, 2.0, -1.0), origin=(0.0, 1.0, 2.0)))
    again = picture_of(moved, {"plane": setting}, 0, 0)
    assert isinstance(again, SampledPicture)
    np.testing.assert_array_equal(again.picture, oblique_plane(image, plane).picture)
