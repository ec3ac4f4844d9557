"""Pictures on the canvas: against the reference's vectors, and by properties that any such geometry must have."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from MedLandmarkLib.detection.canvas import CanvasGeometry, warp_opencv_bilinear, warp_smoothed
from MedLandmarkLib.detection.device_warp import warp_on_device
from MedLandmarkLib.image import read_image

CANVAS_WH, HEATMAP_WH = (768, 1024), (192, 256)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def read_golden(folder: Path, *parts: str) -> list[dict]:
    return json.loads(folder.joinpath(*parts).read_text(encoding="utf-8"))


def test_centre_scale_matrix_and_points_are_the_references(the_golden_folder: Path) -> None:
    cases = read_golden(the_golden_folder, "affine_unit.json")
    assert len(cases) == 26
    for case in cases:
        geometry = CanvasGeometry(
            tuple(case["image_wh"]), CANVAS_WH, HEATMAP_WH, padding=1.25, box_xyxy=tuple(case["bbox_xyxy"])
        )
        picture_xy = np.array(case["image_pts_xy"])
        heatmap_xy = np.array(case["heatmap_pts_xy"])
        np.testing.assert_array_equal(geometry.center_xy, np.float32(case["center_xy"]))
        np.testing.assert_array_equal(geometry.scale_wh, np.float32(case["scale_wh"]))
        np.testing.assert_array_equal(geometry.matrix, np.float32(case["warp_matrix_f32"]))
        np.testing.assert_allclose(geometry.canvas_from_picture(picture_xy), case["input_pts_xy"], rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(
            geometry.picture_from_heatmap(heatmap_xy), case["heatmap_pts_in_image_xy"], rtol=1e-6, atol=1e-3
        )


@pytest.mark.parametrize("number", range(6))
def test_the_warp_of_noise_is_the_references_bit_for_bit(the_golden_folder: Path, number: int) -> None:
    with np.load(the_golden_folder / "warp_unit.npz") as unit:
        picture = unit[f"{number}_image_bgr"]
        geometry = CanvasGeometry(
            (picture.shape[1], picture.shape[0]),
            tuple(int(side) for side in unit[f"{number}_out_wh"]),
            HEATMAP_WH,
            box_xyxy=tuple(unit[f"{number}_bbox_xyxy"]),
        )
        np.testing.assert_array_equal(geometry.matrix, unit[f"{number}_matrix_f32"])
        assert sha256(warp_opencv_bilinear(picture, geometry)) == str(unit[f"{number}_out_sha256"])


def test_every_golden_picture_is_read_and_laid_out_bit_for_bit(the_golden_folder: Path) -> None:
    cases = read_golden(the_golden_folder, "cases", "universal.json")
    assert len(cases) == 9
    for case in cases:
        picture = read_image(the_golden_folder / "images" / case["image"]).display_rgb()
        geometry = CanvasGeometry((case["width"], case["height"]), CANVAS_WH, HEATMAP_WH)
        assert sha256(picture[..., ::-1]) == case["decoded_bgr_u8_sha256"], case["image"]
        canvas = warp_opencv_bilinear(picture, geometry)
        assert sha256(canvas[..., ::-1]) == case["canvas_bgr_u8_sha256"], case["image"]


sides = st.integers(min_value=2, max_value=5000)
fractions = st.floats(min_value=-0.3, max_value=1.3)


@given(sides, sides, fractions, fractions, st.floats(min_value=1.0, max_value=2.0))
def test_a_point_comes_back_from_the_heatmap(width: int, height: int, u: float, v: float, padding: float) -> None:
    geometry = CanvasGeometry((width, height), CANVAS_WH, HEATMAP_WH, padding)
    picture_xy = np.array([u * (width - 1), v * (height - 1)])
    back = geometry.picture_from_heatmap(geometry.heatmap_from_picture(picture_xy))
    np.testing.assert_allclose(back, picture_xy, atol=1e-6 * max(width, height))


@given(sides, sides)
def test_the_picture_covers_four_fifths_of_the_canvas_and_keeps_its_proportions(width: int, height: int) -> None:
    geometry = CanvasGeometry((width, height), CANVAS_WH, HEATMAP_WH, padding=1.25)
    corners = geometry.canvas_from_picture(np.array([[0.0, 0.0], [width - 1.0, height - 1.0]]))
    share = (corners[1] - corners[0]) / (np.array(CANVAS_WH) - 1)
    assert max(share) == pytest.approx(0.8, rel=1e-5)
    factor = (np.array(CANVAS_WH) - 1) / geometry.scale_wh
    assert factor[0] == pytest.approx(factor[1], rel=5e-4)  # the reference's own 0.03 %
    np.testing.assert_allclose(corners.mean(axis=0), (np.array(CANVAS_WH) - 1) / 2, atol=1e-2)


def test_first_and_last_pixel_centres_of_the_region_meet_those_of_canvas_and_heatmap() -> None:
    geometry = CanvasGeometry((971, 1291), (97, 129), (25, 33), padding=1.0)  # 970 × 1290, as 97 × 129
    last_xy = np.array([970.0, 1290.0])
    np.testing.assert_allclose(geometry.canvas_from_picture(last_xy), [96, 128], atol=1e-3)
    np.testing.assert_allclose(geometry.heatmap_from_picture(last_xy), [24, 32], atol=1e-3)
    np.testing.assert_allclose(geometry.canvas_from_picture(np.zeros(2)), [0, 0], atol=1e-3)
    assert geometry.picture_px_per_heatmap_px == pytest.approx(970 / 24, rel=1e-5)


def a_blob(width: int, height: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A grey picture with one bright Gaussian, as RGB."""
    dx, dy = np.arange(width) - x, np.arange(height)[:, None] - y
    grey = np.rint(250.0 * np.exp(-(dx**2 + dy**2) / (2.0 * sigma**2))).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def centroid_xy(canvas: np.ndarray) -> np.ndarray:
    weight = canvas[..., 0].astype(np.float64)
    x, y = np.arange(weight.shape[1]), np.arange(weight.shape[0])
    return np.array([(weight.sum(axis=0) * x).sum(), (weight.sum(axis=1) * y).sum()]) / weight.sum()


@pytest.mark.parametrize("warp", [warp_smoothed, warp_opencv_bilinear])
@pytest.mark.parametrize(
    ("width", "height", "x", "y", "sigma"),
    [(900, 1200, 401.25, 700.5, 30.0), (1200, 700, 333.3, 222.2, 25.0), (90, 120, 50.25, 61.75, 6.0)],
)
def test_a_blob_lands_where_the_geometry_says(warp, width: int, height: int, x: float, y: float, sigma: float) -> None:
    geometry = CanvasGeometry((width, height), (193, 257), (49, 65), padding=1.1)
    picture = a_blob(width, height, x, y, sigma)
    expected = geometry.canvas_from_picture(centroid_xy(picture))
    # the bilinear warp cuts positions to 1/32 of a picture pixel
    tolerance = 0.01 if warp is warp_smoothed else 0.02
    np.testing.assert_allclose(centroid_xy(warp(picture, geometry)), expected, atol=tolerance)


@pytest.mark.parametrize("warp", [warp_smoothed, warp_opencv_bilinear])
def test_at_scale_one_the_picture_itself_is_on_the_canvas(warp) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    geometry = CanvasGeometry((48, 48), (48, 48), (12, 12), padding=1.0)
    np.testing.assert_allclose(warp(picture, geometry), picture, atol=1e-3)


def test_shrinking_smoothly_keeps_the_mean_of_a_checkerboard_where_bilinear_sampling_aliases() -> None:
    board = (np.indices((1600, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(board[..., None], 3, axis=2)
    geometry = CanvasGeometry((1200, 1600), (97, 129), (25, 33), padding=1.0)
    inside = (slice(10, -10), slice(10, -10))
    smooth = warp_smoothed(picture, geometry)[inside]
    assert np.abs(smooth - 127.5).max() < 3.0
    assert warp_opencv_bilinear(picture, geometry)[inside].std() > 20.0


@pytest.mark.parametrize("side", [97, 100, 107, 116, 125, 145, 193, 260, 341])
@pytest.mark.parametrize("warp", [warp_smoothed, warp_opencv_bilinear])
def test_an_even_grey_is_laid_out_without_a_pattern_whatever_the_shrinking(warp, side: int) -> None:
    picture = np.full((side, side, 3), 240, np.uint8)
    geometry = CanvasGeometry((side, side), (97, 97), (25, 25), padding=1.0)
    np.testing.assert_allclose(warp(picture, geometry)[1:-1, 1:-1], 240.0, atol=0.01 if warp is warp_smoothed else 1.0)


def test_outside_the_picture_the_canvas_is_black_and_grey_pictures_equal_their_colour_copies() -> None:
    grey = np.full((300, 400, 3), 200, np.uint8)
    coloured = grey.copy()
    coloured[0, 0, 0] = 0  # one pixel takes it off the way for grey pictures
    geometry = CanvasGeometry((400, 300), (97, 129), (25, 33))
    for warp in (warp_smoothed, warp_opencv_bilinear):
        canvas = warp(grey, geometry)
        assert canvas.shape == (129, 97, 3)
        assert canvas[:5].max() == 0
        assert canvas[-5:].max() == 0
        np.testing.assert_allclose(canvas[64, 48], 200, atol=0.01)
        np.testing.assert_allclose(warp(coloured, geometry)[..., 1], canvas[..., 1], atol=1e-3)


@pytest.mark.parametrize("is_grey", [True, False])
def test_the_warps_for_a_gpu_give_the_same_canvas(is_grey: bool) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (310, 250, 3), dtype=np.uint8)
    if is_grey:
        picture[...] = picture[..., :1]
    geometry = CanvasGeometry((250, 310), (96, 128), (24, 32))
    bilinear = warp_on_device(picture, geometry, "opencv-bilinear", torch.device("cpu"))
    assert np.array_equal(bilinear.permute(1, 2, 0).numpy(), warp_opencv_bilinear(picture, geometry))
    smoothed = warp_on_device(picture, geometry, "area", torch.device("cpu"))
    np.testing.assert_allclose(smoothed.permute(1, 2, 0).numpy(), warp_smoothed(picture, geometry), atol=1e-3)
