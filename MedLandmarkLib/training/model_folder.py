"""The folder a training leaves behind: weights and a card that says everything prediction needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..detection.views import further_views
from ..models.catalogue import InputGeometry, ModelCard, SchemeChannels
from ..models.folder import CARD_NAME, checked_id
from .backbones import MEAN, STD, Backbone, channel_count, choose_backbone
from .canvases import Task
from .files import replacing, write_weights
from .recipe import Recipe
from .tasks import dataset_name

# width of the Gaussian that smooths a heatmap before its peak is refined, the reference's
_BLUR_KERNEL = 11


def write_model_folder(
    folder: Path,
    network: nn.Module,
    tasks: Sequence[Task],
    recipe: Recipe,
    *,
    model_id: str,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
    backbone: Backbone | None = None,
    best_epoch: int = 0,
) -> Path:
    """Write `folder`/model.safetensors and `folder`/card.json; whole files only. Returns the folder.

    tasks: with their channels and canvases; backbone: what the network was made by (default: as the recipe says);
    best_epoch: the one whose weights these are, 0 for the last. The confidence is calibrated on the folder afterwards
    (`calibrate_model`).
    Raises ModelError where the disk is full.
    """
    backbone = backbone or choose_backbone(recipe)
    weights = write_weights(folder, backbone.stored(network), backbone.base_sha256)
    used = f"epoch {best_epoch}, the best on held-out images" if best_epoch else "the last epoch"
    card = ModelCard(
        id=checked_id(model_id),
        title=f"{model_id} ({channel_count(tasks)} landmarks)",
        version="1",
        family=backbone.family,
        description="Landmarks of " + ", ".join(dict.fromkeys(task.scheme_id for task in tasks)) + ".",
        architecture=dict(backbone.architecture(network)),
        input=InputGeometry(
            size_wh=tasks[0].canvas_wh,
            padding=tasks[0].padding,
            mean=tuple(mean),
            std=tuple(std),
            resampling="area",
            heatmap_size_wh=backbone.heatmap_wh(tasks[0].canvas_wh),
            sigma=recipe.sigma,
            blur_kernel=_BLUR_KERNEL,
        ),
        schemes={
            task.scheme_id: SchemeChannels(
                task.scheme_channels.start, task.scheme_channels.stop, task.canvas_wh, further_views(recipe.views)
            )
            for task in tasks
        },
        flip_test=False,  # the confidence is calibrated without it
        base=backbone.base,
        licence=backbone.licence,
        citation="",
        training={
            "data": [f"{dataset_name(task)}: {len(task.cases)} images, read by {task.rater}" for task in tasks],
            "recipe": f"{json.dumps(recipe.as_dict())}; weights of {used}",
        },
        confidence=None,
        weights=weights,
    )
    with replacing(folder / CARD_NAME) as partial:
        partial.write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    return folder
