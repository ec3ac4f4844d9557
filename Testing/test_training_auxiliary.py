"""Further landmarks of a dataset that help to learn: on channels of their own, and never offered."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_files import write_bars

from MedLandmarkLib.detection import detect
from MedLandmarkLib.errors import DatasetError
from MedLandmarkLib.models.tensors import TensorFile
from MedLandmarkLib.training.backbones import choose_backbone
from MedLandmarkLib.training.canvases import lay_canvases
from MedLandmarkLib.training.losses import grouped, heatmap_cross_entropy
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest, plan_tasks

FURTHER = ("middle", "corner")


@pytest.fixture
def a_dataset(tmp_path: Path) -> Path:
    return with_further(write_bars(tmp_path / "bars"))


def with_further(folder: Path) -> Path:
    """A dataset of bars with two more landmarks: the middle of each picture's first two, and a corner."""
    description = json.loads((folder / "dataset.json").read_text())
    description["landmarks"] += [{"name": name} for name in FURTHER]
    (folder / "dataset.json").write_text(json.dumps(description))
    with (folder / "landmarks.csv").open(encoding="utf-8") as file:
        points: dict[str, list[np.ndarray]] = {}
        for row in csv.DictReader(file):
            points.setdefault(row["case"], []).append(np.array([float(row["x"]), float(row["y"])]))
    with (folder / "landmarks.csv").open("a", newline="", encoding="utf-8") as file:
        for case, own in points.items():
            csv.writer(file).writerow([case, "a reader", "middle", *(own[0] + own[1]) / 2])
            csv.writer(file).writerow([case, "a reader", "corner", 5.0, 7.0])
    return folder


def planned(folder: Path, *, auxiliary: bool = True):
    backbone = choose_backbone(Recipe())
    request = TaskRequest(folder, "fetal-head-4", (97, 97))
    return backbone, plan_tasks([request], backbone, auxiliary=auxiliary)[0]


def test_they_have_channels_behind_those_of_the_scheme(a_dataset: Path) -> None:
    backbone, task = planned(a_dataset)
    assert (task.channels, task.scheme_channels, task.auxiliary_names) == (slice(0, 6), slice(0, 4), FURTHER)
    assert backbone.network([task]).domains == [(0, 6)]
    canvas_xy = lay_canvases(task, (25, 25)).canvas_xy
    assert canvas_xy.shape == (12, 6, 2)
    ends = [task.landmark_names.index(name) for name in ("BPD_1", "BPD_2")]
    assert torch.allclose(canvas_xy[:, 4], canvas_xy[:, ends].mean(dim=1), atol=1e-3)
    alone = task.without_auxiliary()
    assert (alone.channels, alone.all_names) == (slice(0, 4), task.landmark_names)
    assert lay_canvases(alone, (25, 25)).canvas_xy.shape == (12, 4, 2)


def test_unless_asked_for_they_are_not_learned(a_dataset: Path) -> None:
    _, task = planned(a_dataset, auxiliary=False)
    assert (task.channels, task.auxiliary_names) == (slice(0, 4), ())


def test_the_model_offers_the_scheme_alone(a_dataset: Path, tmp_path: Path) -> None:
    recipe = Recipe(epochs=2, batch_size=4, warmup_steps=2, holdout=0.3, auxiliary=True)
    folder = train([TaskRequest(a_dataset, "fetal-head-4", (97, 97))], tmp_path / "run", recipe, model_id="bars")
    card = json.loads((folder / "card.json").read_text())
    assert {name: (entry["first"], entry["stop"]) for name, entry in card["schemes"].items()} == {
        "fetal-head-4": (0, 4)
    }
    assert TensorFile(folder / "model.safetensors").mapped()["final.weight"].shape[0] == 6
    assert len(detect(a_dataset / "images/0.png", "fetal-head-4", str(folder)).frames[0].landmarks) == 4
    again = Recipe(epochs=1, batch_size=4, holdout=0.0, start=str(folder))
    onward = train([TaskRequest(a_dataset, "fetal-head-4", (97, 97))], tmp_path / "on", again, model_id="on")
    assert TensorFile(onward / "model.safetensors").mapped()["final.weight"].shape[0] == 4


def test_both_groups_weigh_alike_however_many_they_are() -> None:
    torch.manual_seed(0)
    maps, points = torch.randn(2, 9, 16, 16), torch.rand(2, 9, 2) * 15
    own = heatmap_cross_entropy(maps[:, :3], points[:, :3], 2.0)
    others = heatmap_cross_entropy(maps[:, 3:], points[:, 3:], 2.0)
    assert torch.allclose(grouped(heatmap_cross_entropy, maps, points, 2.0, 3), own + others)
    assert torch.allclose(grouped(heatmap_cross_entropy, maps[:, :3], points[:, :3], 2.0, 3), own)


def test_datasets_of_one_scheme_with_different_further_landmarks_are_refused(a_dataset: Path, tmp_path: Path) -> None:
    plain = write_bars(tmp_path / "plain", seed=1)
    backbone = choose_backbone(Recipe())
    requests = [TaskRequest(a_dataset, "fetal-head-4", (97, 97)), TaskRequest(plain, "fetal-head-4")]
    with pytest.raises(DatasetError, match=r"plain: its further landmarks \(0\) are not those of bars \(2\)"):
        plan_tasks(requests, backbone, auxiliary=True)


def test_a_recipe_takes_no_other_value() -> None:
    with pytest.raises(DatasetError, match="auxiliary is 1; it must be true or false"):
        Recipe(auxiliary=1)
