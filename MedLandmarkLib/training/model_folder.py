"""The folder a training leaves behind: weights and a card that says everything prediction needs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save_file

from ..models.catalogue import InputGeometry, Licence, ModelCard, SchemeChannels, Weights
from ..models.lite import LiteNetwork, heatmap_side
from .canvases import Task
from .recipe import Recipe

_WEIGHTS = "model.safetensors"
_LICENCE = Licence(
    name="As the training data allow",
    spdx="LicenseRef-TrainingData",
    url="https://spdx.org/licenses/",
    noncommercial=True,
    summary="Trained on the data named in this card; ask the owners of the data before any use beyond research.",
)
# width of the Gaussian that smooths a heatmap before its peak is refined, the reference's
_BLUR_KERNEL = 11


def write_model_folder(
    folder: Path,
    network: LiteNetwork,
    tasks: Sequence[Task],
    recipe: Recipe,
    *,
    model_id: str,
    mean: Sequence[float],
    std: Sequence[float],
    confidence: Mapping[str, dict[str, float] | None],
) -> Path:
    """Write `folder`/model.safetensors and `folder`/card.json; whole files only. Returns the folder.

    tasks: one for each scheme, with its channels and canvas; confidence: by scheme id, None where not calibrated.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (_WEIGHTS + ".part")
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, partial)
    weights = partial.read_bytes()
    os.replace(partial, folder / _WEIGHTS)
    calibrated = {scheme: values for scheme, values in confidence.items() if values}
    card = ModelCard(
        id=model_id,
        title=f"{model_id} ({network.final.out_channels} landmarks)",
        version="1",
        family="lite",
        description="Landmarks of " + ", ".join(task.scheme_id for task in tasks) + ".",
        architecture={
            "keypoints": network.final.out_channels,
            "width": network.final.in_channels,
            "sigma": network.sigma,
            "activation": network.activation,
            "domains": network.domains,
        },
        input=_input(tasks[0], recipe, mean, std),
        schemes={
            task.scheme_id: SchemeChannels(task.channels.start, task.channels.stop, task.canvas_wh) for task in tasks
        },
        flip_test=False,
        base=None,
        licence=_LICENCE,
        citation="",
        training={
            "data": [f"{_dataset(task)}: {len(task.cases)} images, read by {task.rater}" for task in tasks],
            "recipe": json.dumps(recipe.as_dict()),
        },
        confidence=calibrated or None,
        weights=Weights(_WEIGHTS, hashlib.sha256(weights).hexdigest(), len(weights)),
    )
    partial = folder / "card.json.part"
    partial.write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    os.replace(partial, folder / "card.json")
    return folder


def _input(task: Task, recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> InputGeometry:
    return InputGeometry(
        size_wh=task.canvas_wh,
        padding=task.padding,
        mean=tuple(mean),
        std=tuple(std),
        resampling="area",
        heatmap_size_wh=(heatmap_side(task.canvas_wh[0]), heatmap_side(task.canvas_wh[1])),
        sigma=recipe.sigma,
        blur_kernel=_BLUR_KERNEL,
    )


def _dataset(task: Task) -> str:
    """The dataset's folder name: images lie in FOLDER/images."""
    return task.cases[0].image_path.parent.parent.name
