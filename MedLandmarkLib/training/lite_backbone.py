"""Training the small network, from ImageNet's weights or a trained model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..dataset import Case
from ..errors import DatasetError
from ..models.lite import LiteNetwork, canvas_side, heatmap_side
from ..models.store import model_card
from .backbones import Backbone, channel_count
from .canvases import Task
from .initial_weights import load_imagenet_trunk, load_trained_weights
from .recipe import FROM_IMAGENET, Recipe

# Canvas area of a dataset whose canvas is not given: that of 417 × 513 px, 0.47 mm on a lateral cephalogram.
_CANVAS_AREA = 417 * 513


class LiteBackbone(Backbone):
    family = "lite"
    # Share by which the canvas exceeds the image, so that a landmark at the border has room around it.
    padding = 1.05

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.start = None if recipe.start == FROM_IMAGENET else model_card(recipe.start)
        if recipe.adapt == "lora":
            raise DatasetError("LoRA adapts the Sapiens backbones. For lite, use --adapt norms, head or full.")
        if recipe.adapt != "full" and self.start is None:
            raise DatasetError(f"--adapt {recipe.adapt} needs a trained model to begin with: add --from MODEL.")

    def canvas_wh(self, scheme_id: str, asked: tuple[int, int] | None, cases: Sequence[Case]) -> tuple[int, int]:
        """The asked size; else the one that the first weights learned this scheme on; else by the images' shape."""
        if asked is None and self.start is not None and scheme_id in self.start.schemes:
            asked = self.start.input_for(scheme_id).size_wh
        width, height = asked or _usual_canvas(cases)
        return canvas_side(width), canvas_side(height)

    def heatmap_wh(self, canvas_wh: tuple[int, int]) -> tuple[int, int]:
        return heatmap_side(canvas_wh[0]), heatmap_side(canvas_wh[1])

    def network(self, tasks: Sequence[Task]) -> LiteNetwork:
        channels = {task.scheme_id: task.scheme_channels for task in tasks}
        domains = {task.scheme_id: (task.channels.start, task.channels.stop) for task in tasks}
        network = LiteNetwork(
            channel_count(tasks),
            sigma=self.recipe.sigma,
            activation="softmax" if self.recipe.loss == "cross_entropy" else "linear",
            domains=list(domains.values()),
        )
        if self.start is None:
            load_imagenet_trunk(network)
        else:
            load_trained_weights(network, channels, self.recipe.start)
        _freeze(network, self.recipe)
        return network

    def layers_from_end(self, name: str) -> int | None:
        part, _, rest = name.partition(".")
        if part != "trunk":
            return None
        layer, _, rest = rest.partition(".")
        return 8 if layer == "stem" else 7 - int(rest.partition(".")[0])  # a stem and seven stages

    def stored(self, network: nn.Module) -> dict[str, torch.Tensor]:
        return network.state_dict()

    def architecture(self, network: LiteNetwork) -> Mapping[str, Any]:
        return {
            "keypoints": network.final.out_channels,
            "width": network.final.in_channels,
            "sigma": network.sigma,
            "activation": network.activation,
            "domains": network.domains,
        }


def _freeze(network: LiteNetwork, recipe: Recipe) -> None:
    """Leave only what the recipe's `adapt` names, and not its `frozen_stages`, to be learned."""
    if recipe.adapt != "full":
        network.requires_grad_(False)
        network.final.requires_grad_(True)
        learning = [network.decoder] if recipe.adapt == "head" else network.norms
        for module in learning:
            module.requires_grad_(True)
    for stage in recipe.frozen_stages:
        network.trunk.stages[stage].requires_grad_(False)


def _usual_canvas(cases: Sequence[Case]) -> tuple[int, int]:
    """The canvas (W, H) that fits the typical proportions of the images, in the usual area."""
    aspect = float(np.median([case.size[0] / case.size[1] for case in cases]))
    return round((_CANVAS_AREA * aspect) ** 0.5), round((_CANVAS_AREA / aspect) ** 0.5)
