"""A whole training: from dataset folders to a model folder that describes itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..models.folder import checked_id
from .backbones import MEAN, STD, choose_backbone
from .calibrate_model import calibrate_model
from .canvases import lay_all
from .devices import launched_fabric
from .files import replacing
from .fitting import Fitting
from .memory import keep_freed_memory
from .model_folder import write_model_folder
from .recipe import Recipe
from .tasks import TaskRequest, plan_tasks, split_by_subject
from .volume import train_volumes, volume_request

Progress = Callable[[float, str], None]


def train(
    requests: Sequence[TaskRequest],
    folder: Path,
    recipe: Recipe,
    *,
    model_id: str,
    rater: str | None = None,
    devices: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Fit the recipe's network to all requested datasets at once and write `folder`/model.

    The checkpoints, the log and the recipe stand in `folder`; calling again with the same folder continues. A share of
    the subjects (`recipe.holdout`) is never trained on: it gives the running validation error, which chooses the epoch
    that is used, and calibrates the confidence. devices: GPUs, or CPU processes where there is none.
    Raises DatasetError or ModelError before the first step where a dataset, the recipe or the model to start from is
    not fit for it.
    """
    checked_id(model_id)
    if (volumes := volume_request(requests)) is not None:
        return train_volumes(
            volumes, folder, recipe, model_id=model_id, rater=rater, progress=progress, should_stop=should_stop
        )
    backbone = choose_backbone(recipe)
    tasks = plan_tasks(requests, backbone, rater, auxiliary=recipe.auxiliary)
    fabric = launched_fabric(recipe.precision, devices)
    folder.mkdir(parents=True, exist_ok=True)
    shares = [split_by_subject(task.cases, recipe.holdout, recipe.seed) for task in tasks]
    kept = [replace(task, cases=cases) for task, (cases, _) in zip(tasks, shares, strict=True)]
    held_out = [
        replace(task.without_auxiliary(), cases=cases) for task, (_, cases) in zip(tasks, shares, strict=True) if cases
    ]
    laid = lay_all([(task, backbone.heatmap_wh(task.canvas_wh)) for task in kept + held_out], progress=progress)
    canvases, validation = laid[: len(kept)], laid[len(kept) :]
    torch.manual_seed(recipe.seed)
    network = backbone.network(tasks)
    keep_freed_memory()
    fitting = Fitting(
        network, canvases, recipe, folder, mean=MEAN, std=STD, layers_from_end=backbone.layers_from_end,
        validation=validation, fabric=fabric,
    )  # fmt: skip
    trained = fitting.run(progress=progress, should_stop=should_stop)
    if fabric.is_global_zero:
        with replacing(folder / "recipe.json") as partial:
            partial.write_text(json.dumps(recipe.as_dict(), indent=1), encoding="utf-8")
        write_model_folder(
            folder / "model", trained, tasks, recipe, model_id=model_id, backbone=backbone,
            best_epoch=fitting.best["epoch"],
        )  # fmt: skip
        notes = calibrate_model(
            folder / "model", requests, holdout=recipe.holdout, seed=recipe.seed, rater=rater, progress=progress
        )
        if progress:
            progress(1.0, " ".join(notes) or "done")
    fabric.barrier()
    return folder / "model"
