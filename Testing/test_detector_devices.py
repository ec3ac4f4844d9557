"""Where the detector runs: devices, precisions, and memory that runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import AN_INPUT, BLACK, BrightSpotNetwork, FixedNetwork, pictures_with_spots

import MedLandmarkLib.models.device as device_module
from MedLandmarkLib.detection.detector import Detector
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.device import choose_device, choose_precision, exact_float32, placed_network
from MedLandmarkLib.models.lite import LiteNetwork


@pytest.fixture
def some_pictures() -> list[np.ndarray]:
    return pictures_with_spots()


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


def test_a_network_for_inference_gives_the_same_maps_with_its_normalisation_folded_in() -> None:
    torch.manual_seed(0)
    network = LiteNetwork(5, domains=[(0, 2), (2, 5)]).eval()
    for norm in network.norms:
        norm.running_mean.normal_(0.0, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, std=0.2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    placed = placed_network(network, torch.device("cpu"), "fp32")
    canvas = torch.randn(2, 3, 97, 65)
    with torch.inference_mode():
        for channels in (slice(0, 2), slice(2, 5)):
            torch.testing.assert_close(placed.logits(canvas, channels), network.logits(canvas, channels))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
