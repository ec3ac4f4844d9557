"""The detector: points, flip test, batches, progress, stopping, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import AN_INPUT, BLACK, BrightSpotNetwork, FixedNetwork, pictures_with_spots
from torch import nn

from MedLandmarkLib.detection.detector import Detector
from MedLandmarkLib.detection.heatmap import encode_heatmaps
from MedLandmarkLib.errors import DetectionCancelled, ImageError, ModelError


@pytest.fixture
def some_pictures() -> list[np.ndarray]:
    return pictures_with_spots()


@pytest.mark.parametrize("resampling", ["area", "opencv-bilinear"])
@pytest.mark.parametrize("flip", [True, False])
def test_spots_are_found_where_they_are_in_the_picture(
    some_pictures: list[np.ndarray], resampling: str, flip: bool
) -> None:
    detector = Detector(BrightSpotNetwork(), replace(AN_INPUT, resampling=resampling), device="cpu", flip=flip)
    peaks = detector.detect(some_pictures)
    np.testing.assert_allclose(peaks[0].picture_xy, [[100, 120], [200.5, 310.25], [50, 350]], atol=1.5)
    np.testing.assert_allclose(peaks[1].picture_xy, [[250, 125], [100, 60], [420, 200]], atol=1.5)
    np.testing.assert_allclose(peaks[3].picture_xy, [[100, 450], [60, 100], [150, 800]], atol=3.0)
    for found in peaks:
        assert found.picture_xy.dtype == np.float64
        assert found.score.shape == (3,)
        back = found.geometry.picture_from_heatmap(found.heatmap_xy.astype(np.float64))
        np.testing.assert_allclose(found.picture_xy, back)
        assert (found.step_px < 1.5).all()


def test_colours_reach_the_network_in_rgb_order_and_normalised() -> None:
    class Recorder(BrightSpotNetwork):
        def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
            self.middle = canvas[0, :, 64, 48].clone()
            self.corner = canvas[0, :, 0, 0].clone()
            return super().forward(canvas, channels)

    picture = BLACK.copy()
    picture[...] = (240, 110, 50)
    detector = Detector(Recorder(), AN_INPUT, device="cpu", flip=False)
    detector.detect([picture])
    torch.testing.assert_close(detector.network.middle, torch.tensor([2.0, 0.0, -1.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(detector.network.corner, torch.tensor([-2.0, -2.0, -2.0]), atol=1e-3, rtol=0)


def test_only_the_schemes_channels_are_asked_for(some_pictures: list[np.ndarray]) -> None:
    every = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", flip=False).detect(some_pictures[:1])[0]
    some = Detector(BrightSpotNetwork(), AN_INPUT, slice(1, 3), device="cpu", flip=False).detect(some_pictures[:1])[0]
    np.testing.assert_allclose(some.picture_xy, every.picture_xy[1:])


def test_the_flip_test_averages_with_the_mirrored_answer() -> None:
    # the network points to the left whatever it is shown; mirrored back, its second answer points to the right
    left = encode_heatmaps(torch.tensor([[6.0, 16.0]]), (24, 32), 1.5)
    detector = Detector(FixedNetwork(left), AN_INPUT, device="cpu", flip=True)
    (peaks,) = detector.detect([BLACK])
    assert peaks.score[0] == pytest.approx(0.5)
    assert peaks.flip_disagreement_px[0] == pytest.approx(23.0 - 2 * 6.0, abs=0.01)
    assert peaks.second_peak_ratio[0] == pytest.approx(1.0)
    middle = encode_heatmaps(torch.tensor([[11.5, 16.0]]), (24, 32), 1.5)
    (agreed,) = Detector(FixedNetwork(middle), AN_INPUT, device="cpu", flip=True).detect([BLACK])
    assert agreed.flip_disagreement_px[0] == pytest.approx(0.0, abs=0.01)
    assert agreed.second_peak_ratio[0] < 0.1
    (plain,) = Detector(FixedNetwork(left), AN_INPUT, device="cpu", flip=False).detect([BLACK])
    assert plain.flip_disagreement_px is None


def test_a_map_without_a_peak_gives_a_finite_place_and_says_so() -> None:
    detector = Detector(FixedNetwork(torch.full((2, 32, 24), -0.5)), AN_INPUT, device="cpu", flip=True)
    (peaks,) = detector.detect([np.zeros((400, 300, 3), np.uint8)])
    assert (peaks.score == -0.5).all()
    np.testing.assert_array_equal(peaks.heatmap_xy, [[-1, -1], [-1, -1]])
    place = peaks.geometry.picture_from_heatmap(np.array([-1, -1]))
    np.testing.assert_allclose(peaks.picture_xy, [place, place])
    assert np.isinf(peaks.flip_disagreement_px).all()
    assert (peaks.second_peak_ratio == 1).all()


def test_batches_give_what_pictures_alone_give(some_pictures: list[np.ndarray]) -> None:
    alone = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu").detect(some_pictures, batch_size=1)
    detector = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", flip=False)
    together = detector.detect(some_pictures, batch_size=3)
    assert detector.network.batch_sizes == [3, 2]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.picture_xy, other.picture_xy, atol=0.05 * one.geometry.picture_px_per_heatmap_px)
    assert detector.detect([]) == []


# Progress, stopping, bad input


class StagedNetwork(BrightSpotNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([nn.Identity(), nn.Identity()])

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        for stage in self.stages:
            canvas = stage(canvas)
        return super().forward(canvas, channels)


def test_progress_rises_to_one_by_passes_and_stages(some_pictures: list[np.ndarray]) -> None:
    told: list[tuple[float, str]] = []
    detector = Detector(StagedNetwork(), AN_INPUT, device="cpu", flip=True)
    detector.detect(some_pictures[:2], progress=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == pytest.approx([0, 0, 0.125, 0.25, 0.25, 0.375, 0.5, 0.5, 0.625, 0.75, 0.75, 0.875, 1.0])
    assert told[-2][1] == "picture 2 of 2"


@pytest.mark.parametrize("questions", [1, 3, 8])
def test_it_stops_within_a_stage_of_being_asked(some_pictures: list[np.ndarray], questions: int) -> None:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= questions

    detector = Detector(StagedNetwork(), AN_INPUT, device="cpu", flip=True)
    with pytest.raises(DetectionCancelled):
        detector.detect(some_pictures, should_stop=should_stop)
    assert asked == questions
    assert len(detector.detect(some_pictures[:1])) == 1  # and is ready again, unwatched
    assert asked == questions


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((40, 30), np.uint8),
        np.zeros((40, 30, 4), np.uint8),
        np.zeros((40, 30, 3), np.float32),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((0, 30, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_before_any_work(picture: np.ndarray) -> None:
    detector = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu")
    with pytest.raises(ImageError, match="Picture 1"):
        detector.detect([BLACK, picture])
    assert detector.network.batch_sizes == []


@pytest.mark.parametrize(("width", "height"), [(2, 1), (1, 2), (3000, 2), (2, 3000)])
def test_thin_pictures_give_finite_places(width: int, height: int) -> None:
    picture = np.full((height, width, 3), 255, np.uint8)
    (peaks,) = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu").detect([picture])
    assert np.isfinite(peaks.picture_xy).all()


def test_a_card_that_does_not_fit_the_network_is_refused() -> None:
    picture = BLACK
    with pytest.raises(ModelError, match="24 × 32 px, but its card says 48 × 64"):
        Detector(BrightSpotNetwork(), replace(AN_INPUT, heatmap_size_wh=(48, 64)), device="cpu").detect([picture])
    with pytest.raises(ModelError, match="resampling is 'nearest'"):
        Detector(BrightSpotNetwork(), replace(AN_INPUT, resampling="nearest"), device="cpu")
