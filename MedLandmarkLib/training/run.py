"""A whole training: from dataset folders to a model folder that describes itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..models.lite import LiteNetwork, heatmap_side
from ..scheme import load_scheme
from .calibration import fit_confidence
from .canvases import Canvases, Task, lay_canvases
from .fitting import Fitting
from .initial_weights import load_imagenet_trunk, load_trained_weights
from .memory import keep_freed_memory
from .model_folder import write_model_folder
from .recipe import Recipe
from .tasks import TaskRequest, plan_tasks, split_by_subject

# ImageNet's, which the trunk's first weights were trained with (0-255)
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

Progress = Callable[[float, str], None]


def train(
    requests: Sequence[TaskRequest],
    folder: Path,
    recipe: Recipe,
    *,
    model_id: str,
    rater: str | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Fit the lite network to all requested datasets at once and write `folder`/model.

    The checkpoint, the log and the recipe stand in `folder`; calling again with the same folder continues. A share of
    the subjects (`recipe.holdout`) is never trained on: it gives the running validation error and calibrates the
    confidence. Raises DatasetError before the first step where a dataset is not fit for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = plan_tasks(requests, rater)
    (folder / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=1), encoding="utf-8")
    canvases, validation = [], []
    for task in tasks:
        kept, held_out = split_by_subject(task.cases, recipe.holdout, recipe.seed)
        canvases.append(_lay(replace(task, cases=kept), progress))
        if held_out:
            validation.append(_lay(replace(task, cases=held_out), progress))
    torch.manual_seed(recipe.seed)
    network = LiteNetwork(
        tasks[-1].channels.stop,
        sigma=recipe.sigma,
        activation="softmax" if recipe.loss == "cross_entropy" else "linear",
        domains=[(task.channels.start, task.channels.stop) for task in tasks],
    )
    if recipe.start == "imagenet":
        load_imagenet_trunk(network)
    else:
        load_trained_weights(network, {task.scheme_id: task.channels for task in tasks}, recipe.start)
    keep_freed_memory()
    fitting = Fitting(network, canvases, recipe, folder, mean=MEAN, std=STD, validation=validation)
    trained = fitting.run(progress=progress, should_stop=should_stop)
    return write_model_folder(
        folder / "model", trained, tasks, recipe, model_id=model_id, mean=MEAN, std=STD,
        confidence={held.task.scheme_id: _confidence(fitting, held) for held in validation},
    )  # fmt: skip


def _lay(task: Task, progress: Progress | None) -> Canvases:
    return lay_canvases(task, (heatmap_side(task.canvas_wh[0]), heatmap_side(task.canvas_wh[1])), progress=progress)


def _confidence(fitting: Fitting, held_out: Canvases) -> dict[str, float] | None:
    errors, scores = fitting.radial_errors(held_out)
    return fit_confidence(errors, scores, load_scheme(held_out.task.scheme_id).tolerance)
