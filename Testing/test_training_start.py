"""What a training begins with: first weights, the order of interchangeable points, the share of each dataset."""

from __future__ import annotations

import ctypes
import math

import pytest
import torch
from networks import embedded_member

from MedLandmarkLib.detection.ends import ordered_ends
from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.training.batches import Batches
from MedLandmarkLib.training.canvases import Canvases, Task
from MedLandmarkLib.training.initial_weights import load_trained_weights
from MedLandmarkLib.training.memory import keep_freed_memory
from MedLandmarkLib.training.recipe import Recipe

PAIRS = ((0, 1), (2, 3))


def crossed_axes(degrees: float) -> torch.Tensor:
    """A long axis and one across it, the long one turned by `degrees` from the picture's x."""
    turn = math.radians(degrees)
    along, across = torch.tensor([math.cos(turn), math.sin(turn)]), torch.tensor([-math.sin(turn), math.cos(turn)])
    return torch.stack([-3 * along, 3 * along, -2 * across, 2 * across])[None]


@pytest.mark.parametrize("degrees", [-80, -45, -1, 0, 1, 45, 80])
def test_ends_keep_their_order_while_the_head_tilts(degrees: float) -> None:
    axes = crossed_axes(degrees)
    assert torch.equal(ordered_ends(axes, PAIRS), axes)
    assert torch.equal(ordered_ends(axes[:, [1, 0, 3, 2]], PAIRS), axes)
    assert torch.equal(ordered_ends(axes[:, [0, 1, 3, 2]], PAIRS), axes)


def test_points_without_pairs_stay_as_they_are() -> None:
    points = torch.rand(2, 5, 2)
    assert torch.equal(ordered_ends(points, ()), points)


def test_absent_ends_stay_absent() -> None:
    axes = crossed_axes(10.0)
    axes[0, 3] = float("nan")
    assert ordered_ends(axes, PAIRS).isnan().any(dim=-1).sum() == 1


def test_a_training_can_begin_with_a_trained_model() -> None:
    source, own = embedded_member("head-19")
    network = LiteNetwork(4 + 19, domains=[(0, 4), (4, 23)])
    own_channels = network.final.weight[:4].clone()
    load_trained_weights(network, {"plax-4": slice(0, 4), "head-19": slice(4, 23)}, "lite")
    assert torch.equal(network.final.weight[4:], source.final.weight[own])
    assert torch.equal(network.final.weight[:4], own_channels), "an unknown scheme keeps its random channels"
    canvas = torch.rand(1, 3, 65, 97)
    source_map, own_map = source(canvas, own), network.eval()(canvas, slice(4, 23))
    torch.testing.assert_close(own_map, source_map)


def test_a_model_of_another_width_is_refused() -> None:
    with pytest.raises(ModelError, match="width 32"):
        load_trained_weights(LiteNetwork(4, width=32), {"a4c-4": slice(0, 4)}, "lite")


def test_a_share_of_no_case_is_refused() -> None:
    with pytest.raises(DatasetError, match="cases_per_epoch is 0"):
        Recipe(cases_per_epoch=0)


def test_where_the_c_library_is_another_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()


def test_a_large_dataset_gives_a_new_share_every_epoch() -> None:
    task = Task("a4c-4", ("a",), (), "reader", slice(0, 1), (65, 65), 1.05)
    canvases = Canvases(task, torch.zeros(10, 1, 65, 65, dtype=torch.uint8), torch.zeros(10, 1, 2), torch.ones(10))
    batches = Batches([canvases], Recipe(cases_per_epoch=4, batch_size=2))
    shares = [torch.cat([cases for _, cases in batches.steps(epoch)]).tolist() for epoch in range(8)]
    assert batches.steps_per_epoch == 2
    assert all(len(set(share)) == 4 for share in shares)
    assert len(set().union(*shares)) > 4
