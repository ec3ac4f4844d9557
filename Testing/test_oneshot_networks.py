"""Networks that a teaching makes: specialists behind a scout, and the fusion with an adapter for each landmark."""

from __future__ import annotations

import pytest
import torch

from MedLandmarkLib.models.adapters import LandmarkAdapter
from MedLandmarkLib.models.fusion import FusionNetwork
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.specialists import SpecialistSet, paste, window_of
from MedLandmarkLib.oneshot.fitting import Batch, weighted_cross_entropy
from MedLandmarkLib.oneshot.fusion import fusion_of, with_landmark
from MedLandmarkLib.oneshot.fusion import retrained as retrained_fusion


@pytest.fixture
def a_joint_network():
    torch.manual_seed(3)
    return shaken(LiteNetwork(5)).eval()


@pytest.fixture
def a_fusion(a_joint_network):
    fused = fusion_of(a_joint_network)
    torch.manual_seed(4)
    for adapter in fused.adapters:
        torch.nn.init.normal_(adapter.widen.weight)
    return fused.eval()


@pytest.fixture
def a_canvas():
    return torch.randn(2, 3, 97, 129, generator=torch.Generator().manual_seed(1))


def shaken(network):
    """Heads as far from each other as trained ones."""
    torch.nn.init.normal_(network.final.weight)
    return network


@torch.no_grad()
def test_a_fusion_begins_as_the_joint_network(a_joint_network, a_canvas):
    assert torch.allclose(fusion_of(a_joint_network).eval()(a_canvas), a_joint_network(a_canvas), atol=1e-5)


@torch.no_grad()
def test_a_landmark_that_is_added_leaves_the_others_maps_bit_for_bit(a_fusion, a_canvas):
    before = a_fusion(a_canvas)
    torch.manual_seed(9)
    more = with_landmark(a_fusion, LandmarkAdapter(a_fusion.width, a_fusion.adapter_width)).eval()
    after = more(a_canvas)
    assert after.shape[1] == 6
    assert torch.equal(after[:, :5], before)


def test_a_landmark_that_is_retrained_leaves_the_others_maps_bit_for_bit(a_fusion, a_canvas):
    with torch.no_grad():
        before = a_fusion(a_canvas)

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        pictures = torch.rand(2, 1, 97, 129, generator=generator) * 255.0
        return Batch(pictures, torch.tensor([[[40.0, 40.0]], [[50.0, 30.0]]]), torch.ones(2, 1))

    changed = retrained_fusion(a_fusion, 2, draw, steps=3, device=torch.device("cpu"))
    with torch.no_grad():
        after = changed(a_canvas)
    assert not torch.equal(after[:, 2], before[:, 2])
    others = [0, 1, 3, 4]
    assert torch.equal(after[:, others], before[:, others])


@torch.no_grad()
def test_channels_of_a_fusion_can_be_asked_alone(a_fusion, a_canvas):
    assert torch.equal(a_fusion(a_canvas, slice(1, 3)), a_fusion(a_canvas)[:, 1:3])


def test_a_window_is_a_part_of_the_canvas_and_repeats_its_border_outside():
    canvas = torch.arange(3 * 40 * 50, dtype=torch.float32).view(3, 40, 50)
    assert torch.equal(window_of(canvas, 8, 4, 33), canvas[:, 4:37, 8:41])
    beyond = window_of(canvas, -6, 20, 33)
    assert torch.equal(beyond[:, :20, 6:], canvas[:, 20:, :27])
    assert torch.equal(beyond[:, 0, :6], canvas[:, 20, :1].expand(3, 6))
    assert torch.equal(beyond[:, 20:, 10], canvas[:, -1, 4:5].expand(3, 13))


def test_a_pasted_map_lies_where_its_window_was():
    whole, part = torch.zeros(20, 30), torch.arange(9.0).view(3, 3) + 1.0
    paste(whole, part, 4, 6)
    assert torch.equal(whole[6:9, 4:7], part)
    assert whole.sum() == part.sum()
    corner = torch.zeros(20, 30)
    paste(corner, part, -1, 18)
    assert torch.equal(corner[18:, :2], part[:2, 1:])
    assert corner.sum() == part[:2, 1:].sum()


class _SeesABrightPixel(torch.nn.Module):
    """Maps whose highest place is that of the canvas' brightest pixel, at a quarter of the resolution."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.keypoints = keypoints

    def forward(self, canvas, channels=None):
        return canvas[:, :1, ::4, ::4].expand(-1, self.keypoints, -1, -1)


@pytest.mark.parametrize("place", [(40, 60), (0, 0), (96, 128), (4, 124)])
@torch.no_grad()
def test_a_specialist_answers_at_the_right_place_wherever_its_window_lies(place):
    specialists = SpecialistSet(2, window=65)
    specialists.scout = _SeesABrightPixel(2)
    for number in range(2):
        specialists.specialists[str(number)] = _SeesABrightPixel(1)
    canvas = torch.zeros(1, 3, 97, 129)
    canvas[0, :, place[0], place[1]] = 1.0
    maps = specialists(canvas)
    row, column = divmod(int(maps[0, 1].argmax()), maps.shape[-1])
    assert (4 * row, 4 * column) == place


@torch.no_grad()
def test_a_specialist_looks_again_where_it_saw_the_landmark():
    """The scout is 30 px off; the landmark lies at the border of the first window and in the middle of the second."""
    specialists = SpecialistSet(1, window=65)
    seen = []

    class Elsewhere(torch.nn.Module):
        def forward(self, canvas, channels=None):
            maps = canvas.new_zeros(1, 1, 25, 33)
            maps[0, 0, 5, 8] = 1.0
            return maps

    specialists.scout = Elsewhere()

    class Recording(_SeesABrightPixel):
        def forward(self, canvas, channels=None):
            seen.append(divmod(int(canvas[0, 0].argmax()), canvas.shape[-1]))
            return super().forward(canvas)

    specialists.specialists["0"] = Recording(1)
    canvas = torch.zeros(1, 3, 97, 129)
    canvas[0, :, 48, 60] = 1.0
    specialists(canvas)
    assert seen[1] == (32, 32) != seen[0]


def test_the_loss_is_silent_where_a_label_weighs_nothing():
    logits = torch.randn(2, 3, 20, 20, requires_grad=True)
    points = torch.rand(2, 3, 2) * 19.0
    weight = torch.ones(2, 3)
    weight[0, 1] = 0.0
    points[1, 2] = float("nan")
    weighted_cross_entropy(logits, points, weight, 2.0).backward()
    gradient = logits.grad.abs().sum(dim=(2, 3))
    assert gradient[0, 1] == gradient[1, 2] == 0.0
    assert (gradient > 0).sum() == 4


def test_a_weight_of_a_half_counts_half():
    logits = torch.randn(1, 2, 20, 20)
    points = torch.tensor([[[5.0, 5.0], [12.0, 9.0]]])

    def loss(*weight: float) -> float:
        return float(weighted_cross_entropy(logits, points, torch.tensor([weight]), 2.0))

    assert loss(1.0, 0.5) == pytest.approx((loss(1.0, 0.0) + 0.5 * loss(0.0, 1.0)) / 1.5, rel=1e-5)


@pytest.mark.parametrize("network", [FusionNetwork(3), SpecialistSet(3, 97), LiteNetwork(3)])
@torch.no_grad()
def test_all_kinds_answer_with_maps_of_a_quarter(network, a_canvas):
    assert network.eval()(a_canvas).shape == (2, 3, 25, 33)
