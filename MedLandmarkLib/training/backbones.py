"""The networks that can be trained: what a training must know of each, and how it begins and is stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..dataset import Case
from ..models.catalogue import Licence
from .canvases import Task
from .recipe import Recipe

# ImageNet's, which lite's trunk and Sapiens were trained with (0-255)
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

TRAINING_DATA_LICENCE = Licence(
    name="As the training data allow",
    spdx="LicenseRef-TrainingData",
    url="https://spdx.org/licenses/",
    noncommercial=True,
    summary="Trained on the data named in this card; ask the owners of the data before any use beyond research.",
)


class Backbone(ABC):
    """A kind of network, as a recipe names it. Its constructor raises where the recipe or the first weights do not fit.

    padding: by which the canvas exceeds the image. licence: of what is trained. base, base_sha256: the model that a
    stored network needs beside its own file.
    """

    family: str
    padding: float
    licence: Licence = TRAINING_DATA_LICENCE
    base: str | None = None
    base_sha256: str | None = None

    @abstractmethod
    def canvas_wh(self, scheme_id: str, asked: tuple[int, int] | None, cases: Sequence[Case]) -> tuple[int, int]:
        """The canvas (W, H) for a dataset: the asked size or the usual one, as the network needs it."""

    @abstractmethod
    def heatmap_wh(self, canvas_wh: tuple[int, int]) -> tuple[int, int]:
        """The heatmap (W, H) that the network answers with."""

    @abstractmethod
    def network(self, tasks: Sequence[Task]) -> nn.Module:
        """The network with its first weights; what is not to be learned is frozen.

        It offers `logits` and `forward` (canvas, channels), and `norms`, whose statistics can be taken anew.
        """

    @abstractmethod
    def layers_from_end(self, name: str) -> int | None:
        """How many layers before the trunk's end a parameter lies (1: its last one); None: behind the trunk."""

    @abstractmethod
    def stored(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """The tensors of a model's own file, by name; together with `base` they are the whole network."""

    @abstractmethod
    def architecture(self, network: nn.Module) -> Mapping[str, Any]:
        """What a card says of the network."""


def choose_backbone(recipe: Recipe) -> Backbone:
    """The network that a recipe asks for. Raises DatasetError or ModelError where it cannot be had."""
    from .lite_backbone import LiteBackbone
    from .sapiens_backbone import SapiensBackbone

    return LiteBackbone(recipe) if recipe.is_lite else SapiensBackbone(recipe)


def channel_count(tasks: Sequence[Task]) -> int:
    """Channels of the union of all tasks' schemes."""
    return max(task.channels.stop for task in tasks)
