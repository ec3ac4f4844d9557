"""Training: it learns, it stops and resumes exactly, and what it writes is enough to predict."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from training_files import log_rows, write_bars

from MedLandmarkLib.detection import detect
from MedLandmarkLib.errors import DatasetError, DetectionCancelled
from MedLandmarkLib.models.lite import LiteNetwork, canvas_side, heatmap_side
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.training.initial_weights import load_imagenet_trunk
from MedLandmarkLib.training.losses import heatmap_cross_entropy, heatmap_squared_error
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest, split_by_subject


@pytest.fixture
def a_dataset(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars")


def a_short_recipe(**changes: object) -> Recipe:
    return Recipe(**{"epochs": 2, "batch_size": 4, "warmup_steps": 2, "holdout": 0.3, **changes})


def test_training_writes_a_folder_that_describes_itself(a_dataset: Path, tmp_path: Path) -> None:
    request = TaskRequest.parse(f"{a_dataset}=fetal-head-4@97x97")
    folder = train([request], tmp_path / "run", a_short_recipe(views=2), model_id="bars")
    card = json.loads((folder / "card.json").read_text())
    views = [{"scale": 0.9, "shift": [0.0, 0.0]}]
    assert card["schemes"]["fetal-head-4"] == {"first": 0, "stop": 4, "input_size_wh": [97, 97], "views": views}
    assert card["input"]["heatmap_size_wh"] == [25, 25]
    assert (folder / "model.safetensors").stat().st_size == card["weights"]["size_bytes"] < 16_000_000
    landmarks = detect(a_dataset / "images/0.png", "fetal-head-4", str(folder)).frames[0].landmarks
    assert landmarks.names == tuple(load_scheme("fetal-head-4").names)


def test_a_stopped_training_resumes_at_the_same_step_with_the_same_result(a_dataset: Path, tmp_path: Path) -> None:
    request = TaskRequest.parse(f"{a_dataset}=fetal-head-4@97x97")
    straight = train([request], tmp_path / "straight", a_short_recipe(), model_id="bars")
    asked = []
    with pytest.raises(DetectionCancelled, match="resumed"):
        train([request], tmp_path / "stopped", a_short_recipe(), model_id="bars",
              should_stop=lambda: asked.append(None) or len(asked) > 3)  # fmt: skip
    resumed = train([request], tmp_path / "stopped", a_short_recipe(), model_id="bars")
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()


def test_a_case_that_cannot_be_read_is_named_before_the_first_step(a_dataset: Path, tmp_path: Path) -> None:
    (a_dataset / "images/3.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"1 fault[\s\S]*3: "):
        train([TaskRequest.parse(f"{a_dataset}=fetal-head-4@97x97")], tmp_path / "run", a_short_recipe(holdout=0.0),
              model_id="bars")  # fmt: skip
    assert not (tmp_path / "run/last.ckpt").exists()


def test_a_network_learns_to_find_a_spot() -> None:
    torch.manual_seed(0)
    network = LiteNetwork(1)
    load_imagenet_trunk(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        heatmap_xy = torch.rand(4, 1, 2) * 14 + 5
        pictures = torch.zeros(4, 3, 97, 97)
        for case, (x, y) in enumerate((heatmap_xy[:, 0] * 4).round().long().tolist()):
            pictures[case, :, y - 4 : y + 5, x - 4 : x + 5] = 2.0
        loss = heatmap_cross_entropy(network.logits(pictures), heatmap_xy, sigma=1.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1.0


def test_a_loss_is_silent_where_nothing_is_annotated() -> None:
    heatmaps = torch.rand(2, 3, 20, 16, requires_grad=True)
    heatmap_xy = torch.tensor([[[5.0, 6.0], [float("nan")] * 2, [8.0, 3.0]]] * 2)
    for loss in (heatmap_cross_entropy, heatmap_squared_error):
        (gradient,) = torch.autograd.grad(loss(heatmaps, heatmap_xy, 2.0), heatmaps)
        assert gradient[:, 1].abs().max() == 0.0
        assert gradient[:, 0].abs().max() > 0.0


def test_cross_entropy_is_least_for_the_target_itself() -> None:
    heatmap_xy = torch.tensor([[[7.3, 9.6]]])
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(16.0), indexing="ij")

    def loss_of_a_gaussian_at(px: float, py: float) -> float:
        logits = -((x - px) ** 2 + (y - py) ** 2) / (2 * 2.0**2)
        return heatmap_cross_entropy(logits[None, None], heatmap_xy, 2.0).item()

    best = loss_of_a_gaussian_at(7.3, 9.6)
    for dx, dy in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
        assert loss_of_a_gaussian_at(7.3 + dx, 9.6 + dy) > best


@pytest.mark.parametrize("side", [289, 385, 417, 513])
def test_canvas_corners_fall_on_heatmap_corners(side: int) -> None:
    assert canvas_side(side) == side
    assert (heatmap_side(side) - 1) * 4 == side - 1
    with torch.inference_mode():
        heatmaps = LiteNetwork(2).eval()(torch.zeros(1, 3, side, 97))
    assert heatmaps.shape == (1, 2, heatmap_side(side), 25)


def test_the_network_commutes_with_mirroring_when_its_kernels_are_symmetric() -> None:
    network = LiteNetwork(1).eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = 0.5 * (parameter.data + parameter.data.flip(-1))
    picture = torch.rand(1, 3, 97, 129)
    with torch.inference_mode():
        straight, turned = network.logits(picture), network.logits(picture.flip(-1)).flip(-1)
    assert torch.allclose(straight, turned, atol=1e-5)


def test_only_the_asked_channels_are_computed() -> None:
    network = LiteNetwork(5).eval()
    picture = torch.rand(1, 3, 97, 97)
    with torch.inference_mode():
        assert torch.allclose(network(picture, slice(2, 4)), network(picture)[:, 2:4], atol=1e-6)


def test_the_images_of_a_subject_stay_together(a_dataset: Path) -> None:
    from MedLandmarkLib.dataset import read_dataset

    kept, held_out = split_by_subject(read_dataset(a_dataset).split("train"), 0.3, seed=1)
    assert held_out and not {case.subject for case in kept} & {case.subject for case in held_out}


def test_an_unknown_setting_of_a_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"epoch": 3}))
    with pytest.raises(DatasetError, match="Unknown setting 'epoch'"):
        Recipe.from_file(tmp_path / "recipe.json")


def test_the_running_error_is_measured_in_mm(a_dataset: Path, tmp_path: Path) -> None:
    train([TaskRequest.parse(f"{a_dataset}=fetal-head-4@97x97")], tmp_path / "run", a_short_recipe(), model_id="bars")
    last = log_rows(tmp_path / "run")[-1]
    scheme, error = last["validation errors"].split()
    assert scheme == "fetal-head-4" and math.isfinite(float(error)) and float(error) < 96 * 0.5 * 1.5
