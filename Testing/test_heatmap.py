"""Heatmaps: read back as the reference reads them, and drawn so that reading gives what was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.detection.heatmap import decode_heatmaps, encode_heatmaps, gaussian_kernel
from MedLandmarkLib.detection.peak_shape import peak_spread, second_peak_ratio

TOLERANCE_PX = 1e-4


@pytest.fixture(scope="module")
def the_decode_unit(the_golden_folder: Path) -> dict[str, np.ndarray]:
    with np.load(the_golden_folder / "decode_unit.npz") as unit:
        return {name: unit[name] for name in unit}


@pytest.mark.parametrize("which", ["a", "b"])
def test_peaks_are_the_references(the_decode_unit: dict[str, np.ndarray], which: str) -> None:
    heatmaps = torch.from_numpy(the_decode_unit[f"{which}_heatmaps"])[None]
    peaks = decode_heatmaps(heatmaps, blur_kernel=11)
    score = the_decode_unit[f"{which}_max"]
    alive = score > 0
    assert alive.sum() > len(alive) // 2
    np.testing.assert_array_equal(peaks.score[0].numpy(), score)
    np.testing.assert_array_equal(peaks.argmax_xy[0].numpy()[alive], the_decode_unit[f"{which}_argmax_xy"][alive])
    for together_or_alone in ("together", "alone"):  # neighbouring channels must not matter
        expected = the_decode_unit[f"{which}_refined_{together_or_alone}"]
        error = np.abs(peaks.heatmap_xy[0].numpy() - expected).max(axis=1)[alive]
        assert error.max() < TOLERANCE_PX, the_decode_unit[f"{which}_names"][alive][error.argmax()]


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_map_without_a_positive_value_has_no_peak(the_decode_unit: dict[str, np.ndarray], which: str) -> None:
    dead = the_decode_unit[f"{which}_max"] <= 0
    assert dead.any()
    np.testing.assert_array_equal(the_decode_unit[f"{which}_argmax_xy"][dead], -1)
    peaks = decode_heatmaps(torch.from_numpy(the_decode_unit[f"{which}_heatmaps"][dead])[None])
    assert (peaks.argmax_xy == -1).all()
    assert (peaks.heatmap_xy == -1).all()


def test_points_in_input_pixels_are_the_references(the_decode_unit: dict[str, np.ndarray]) -> None:
    peaks = decode_heatmaps(torch.from_numpy(the_decode_unit["b_heatmaps"])[None])
    alive = the_decode_unit["b_max"] > 0
    input_px = peaks.heatmap_xy[0].double().numpy() / (191, 255) * (768, 1024)
    np.testing.assert_allclose(
        input_px[alive], the_decode_unit["b_decoded_input_px"][alive], atol=TOLERANCE_PX * 1024 / 255
    )


def test_drawing_and_reading_is_the_references_round_trip(the_decode_unit: dict[str, np.ndarray]) -> None:
    drawn_input_px = the_decode_unit["roundtrip_in_input_px"].astype(np.float64)
    heatmap_xy = torch.from_numpy(drawn_input_px / (767, 1023) * (191, 255))
    peaks = decode_heatmaps(encode_heatmaps(heatmap_xy, (192, 256), sigma=3.0)[None])
    read_input_px = peaks.heatmap_xy[0].double().numpy() / (191, 255) * (768, 1024)
    np.testing.assert_allclose(read_input_px, the_decode_unit["roundtrip_decoded_input_px"], atol=2e-3)


def test_the_gaussian_kernel_is_the_references(the_decode_unit: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(gaussian_kernel(11).numpy(), the_decode_unit["gauss_kernel_11"], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(12.0, 51.0), st.floats(12.0, 83.0)), min_size=1, max_size=4),
    st.sampled_from([1.5, 2.0, 3.0]),
)
def test_what_is_drawn_inside_the_map_is_read_back(points: list[tuple[float, float]], sigma: float) -> None:
    drawn = torch.tensor(points)[None]  # (1, K, 2)
    heatmaps = encode_heatmaps(drawn, (64, 96), sigma)
    assert heatmaps.shape == (1, len(points), 96, 64)
    peaks = decode_heatmaps(heatmaps)
    assert (peaks.heatmap_xy - drawn).abs().max() < 0.02
    assert (peaks.score > 0.8).all()
    assert (peaks.score <= 1.0).all()


def test_a_landmark_that_is_not_annotated_gives_an_empty_map() -> None:
    drawn = torch.tensor([[[20.0, 30.0], [torch.nan, torch.nan]]])
    heatmaps = encode_heatmaps(drawn, (48, 64), sigma=2.0)
    assert heatmaps[0, 1].abs().max() == 0
    assert heatmaps[0, 0, 30, 20] == 1


def test_the_batch_and_its_order_do_not_matter() -> None:
    heatmaps = torch.rand(3, 5, 32, 24, generator=torch.Generator().manual_seed(3))
    together = decode_heatmaps(heatmaps)
    for b in range(3):
        alone = decode_heatmaps(heatmaps[b : b + 1].flip(1))
        torch.testing.assert_close(alone.heatmap_xy[0].flip(0), together.heatmap_xy[b], rtol=0, atol=1e-5)


def a_map_with_peaks(*peaks: tuple[float, float, float], sigma: float = 2.0) -> torch.Tensor:
    """(1, 1, 64, 48): the highest of Gaussians of given x, y and height."""
    maps = [height * encode_heatmaps(torch.tensor([[[x, y]]]), (48, 64), sigma) for x, y, height in peaks]
    return torch.stack(maps).amax(dim=0)


def shape_of(heatmaps: torch.Tensor) -> tuple[float, float]:
    peaks = decode_heatmaps(heatmaps)
    return (
        float(second_peak_ratio(heatmaps, peaks.argmax_xy, peaks.score, reach=6.0)),
        float(peak_spread(heatmaps, peaks.argmax_xy, peaks.score)),
    )


def test_a_second_peak_shows_in_ratio_and_spread() -> None:
    alone_ratio, alone_spread = shape_of(a_map_with_peaks((20, 30, 1.0)))
    ratio, spread = shape_of(a_map_with_peaks((20, 30, 1.0), (40, 30, 0.7)))
    assert alone_ratio < 0.02
    assert ratio == pytest.approx(0.7, abs=1e-3)
    assert alone_spread == pytest.approx(1.1 * 2.0, rel=0.05)
    assert spread > 3 * alone_spread


def test_a_map_without_a_peak_has_the_worst_shape() -> None:
    assert shape_of(torch.full((1, 1, 16, 12), -1.0)) == (1.0, float("inf"))
