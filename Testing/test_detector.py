"""The detector: batches, flip test, devices and precisions, running out of memory, progress and stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import MedLandmarkLib.models.device as device_module
from MedLandmarkLib.detection.detector import Detector
from MedLandmarkLib.detection.heatmap import encode_heatmaps
from MedLandmarkLib.errors import DetectionCancelled, ImageError, ModelError
from MedLandmarkLib.models.catalogue import InputGeometry
from MedLandmarkLib.models.device import choose_device, choose_precision, exact_float32, placed_network

AN_INPUT = InputGeometry(
    size_wh=(96, 128),
    padding=1.25,
    mean=(120.0, 110.0, 100.0),
    std=(60.0, 55.0, 50.0),
    resampling="area",
    heatmap_size_wh=(24, 32),
    sigma=1.5,
    blur_kernel=5,
)

BLACK = np.zeros((40, 30, 3), np.uint8)


class BrightSpotNetwork(nn.Module):
    """Answers with the canvas itself at a quarter of its size, once per colour channel: it finds the brightest spot.

    It has one weight, 1, so that devices and precisions apply to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(3)[:, :, None, None])
        self.batch_sizes: list[int] = []

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        self.batch_sizes.append(len(canvas))
        maps = self.mix(canvas)[:, channels or slice(None)]
        # corner on corner, as the geometry has it
        return nn.functional.interpolate(maps, size=(32, 24), mode="bilinear", align_corners=True) + 2.5


class FixedNetwork(nn.Module):
    """Answers with given heatmaps (K, h, w), whatever it is shown."""

    def __init__(self, heatmaps: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("heatmaps", heatmaps)

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        return self.heatmaps[channels or slice(None)].expand(len(canvas), -1, -1, -1).clone()


def a_picture_with_spots(width: int, height: int, *spots_xy: tuple[float, float]) -> np.ndarray:
    """A Gaussian spot per colour channel, as wide as the scale asks for."""
    sigma = 0.04 * max(width, height)
    y, x = np.mgrid[:height, :width]
    channels = [np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * sigma**2)) for sx, sy in spots_xy]
    return np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8)


@pytest.fixture
def some_pictures() -> list[np.ndarray]:
    return [
        a_picture_with_spots(300, 400, (100.0, 120.0), (200.5, 310.25), (50.0, 350.0)),
        a_picture_with_spots(500, 250, (250.0, 125.0), (100.0, 60.0), (420.0, 200.0)),
        a_picture_with_spots(64, 64, (20.0, 30.0), (40.0, 50.0), (50.0, 10.0)),
        a_picture_with_spots(200, 900, (100.0, 450.0), (60.0, 100.0), (150.0, 800.0)),
        a_picture_with_spots(120, 160, (30.0, 40.0), (60.0, 80.0), (100.0, 140.0)),
    ]


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


# Precision and device


def test_half_precision_on_the_cpu(some_pictures: list[np.ndarray]) -> None:
    exact = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu").detect(some_pictures[:1])[0]
    detector = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", precision="bf16")
    (half,) = detector.detect(some_pictures[:1])
    assert detector.precision == "bf16"
    assert detector.network.mix.weight.dtype == torch.bfloat16
    np.testing.assert_allclose(half.picture_xy, exact.picture_xy, atol=5.0)
    assert not np.array_equal(half.picture_xy, exact.picture_xy)
    as_float32 = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", precision="fp16")
    assert as_float32.precision == "fp32"
    assert "fp16" in as_float32.notes[0]


def test_a_network_that_overflows_in_half_precision_is_run_in_float32(some_pictures: list[np.ndarray]) -> None:
    class Overflowing(BrightSpotNetwork):
        def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
            maps = super().forward(canvas, channels)
            return maps if self.mix.weight.dtype == torch.float32 else maps * torch.inf

    detector = Detector(Overflowing(), AN_INPUT, device="cpu", precision="bf16")
    peaks = detector.detect(some_pictures)
    assert len(peaks) == len(some_pictures)
    assert all(np.isfinite(found.picture_xy).all() for found in peaks)
    assert detector.precision == "fp32"
    assert detector.notes == ["bf16 overflowed in this network; fp32 was used."]


def test_a_network_without_numbers_is_refused(some_pictures: list[np.ndarray]) -> None:
    detector = Detector(FixedNetwork(torch.full((1, 32, 24), torch.nan)), AN_INPUT, device="cpu")
    with pytest.raises(ModelError, match="damaged"):
        detector.detect(some_pictures)


def test_the_given_network_is_left_as_it_was() -> None:
    network = BrightSpotNetwork().train()
    Detector(network, AN_INPUT, device="cpu", precision="bf16").detect([BLACK])
    assert network.mix.weight.dtype == torch.float32
    assert network.training
    assert network.batch_sizes == []
    shared = placed_network(network, torch.device("cpu"), "fp32")
    assert shared.mix.weight.data_ptr() == network.mix.weight.data_ptr()


def test_the_device_is_chosen_or_refused_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(ModelError, match=f"'{name}' was asked for"):
            choose_device(name)
    for name in ("gpu", "xpu", "meta", ""):
        with pytest.raises(ModelError, match="Use auto, cpu, cuda, cuda:N or mps"):
            choose_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto").type == "cuda"
    with pytest.raises(ModelError, match="there are 1 CUDA devices"):
        choose_device("cuda:1")


def test_the_precision_is_chosen_or_refused_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_precision("bf16", cuda) == ("bf16", None)
    assert choose_precision("fp16", cuda) == ("fp16", None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    precision, note = choose_precision("bf16", cuda)
    assert precision == "fp32"
    assert "bf16" in note
    with pytest.raises(ModelError, match="fp32, bf16, fp16"):
        choose_precision("int8", cuda)


def test_float32_is_exact_on_cuda_and_the_settings_come_back() -> None:
    settings = device_module._tf32_settings()
    before = [getattr(holder, name) for holder, name, _ in settings]
    with pytest.raises(KeyError), exact_float32(torch.device("cuda")):
        assert [getattr(holder, name) for holder, name, _ in settings] == [exact for _, _, exact in settings]
        raise KeyError
    assert [getattr(holder, name) for holder, name, _ in settings] == before


# Memory


class SmallMemoryDetector(Detector):
    """A detector on a pretended GPU, on which `fits` pictures fit; 0: not even the network."""

    fits = 2

    def __init__(self, *args, **kwargs) -> None:
        self.attempts: list[tuple[str, int]] = []
        super().__init__(*args, **kwargs)

    def _place(self, device: torch.device, precision: str) -> None:
        if device.type == "cuda" and self.fits < 0:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        super()._place(torch.device("cpu"), precision)
        self.device = device

    def _peaks(self, pictures, watch):
        self.attempts.append((self.device.type, len(pictures)))
        if self.device.type == "cpu":
            return super()._peaks(pictures, watch)
        if len(pictures) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.device = torch.device("cpu")
        try:
            return super()._peaks(pictures, watch)
        finally:
            self.device = torch.device("cuda")


@pytest.fixture
def a_pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def test_fewer_pictures_at_a_time_when_memory_runs_out(a_pretended_gpu: None, some_pictures: list[np.ndarray]) -> None:
    expected = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu").detect(some_pictures)
    detector = SmallMemoryDetector(BrightSpotNetwork(), AN_INPUT, device="auto")
    peaks = detector.detect(some_pictures)
    assert detector.attempts == [("cuda", 5), ("cuda", 2), ("cuda", 2), ("cuda", 1)]
    assert detector.notes == ["Memory of cuda ran out; pictures were detected 2 at a time."]
    for found, one in zip(peaks, expected, strict=True):
        np.testing.assert_allclose(found.picture_xy, one.picture_xy, atol=0.1)
    detector.attempts.clear()
    detector.detect(some_pictures)
    assert detector.attempts[0] == ("cuda", 2)  # it has learnt


@pytest.mark.parametrize("fits", [0, -1])
def test_the_cpu_takes_over_when_not_even_one_picture_fits(
    a_pretended_gpu: None, some_pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    monkeypatch.setattr(SmallMemoryDetector, "fits", fits)
    detector = SmallMemoryDetector(BrightSpotNetwork(), AN_INPUT, device="cuda", precision="fp32")
    peaks = detector.detect(some_pictures)
    assert len(peaks) == len(some_pictures)
    assert detector.device == torch.device("cpu")
    assert "the CPU was used" in detector.notes[-1]
    assert detector.attempts[-5:] == [("cpu", 1)] * 5


def test_when_the_computers_own_memory_is_full_it_says_so(some_pictures: list[np.ndarray]) -> None:
    class Greedy(BrightSpotNetwork):
        def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory")

    detector = Detector(Greedy(), AN_INPUT, device="cpu")
    with pytest.raises(ModelError, match="memory is too small"):
        detector.detect(some_pictures, batch_size=4)


def test_other_errors_of_the_network_are_not_taken_for_memory(some_pictures: list[np.ndarray]) -> None:
    class Broken(BrightSpotNetwork):
        def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Detector(Broken(), AN_INPUT, device="cpu").detect(some_pictures)


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
