"""Training a Sapiens network: with LoRA as MedSapiens was, its head alone, its normalisations, or all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..dataset import Case
from ..errors import DatasetError, ModelError
from ..models.catalogue import ModelCard
from ..models.folder import base_path, weights_path
from ..models.heatmap_head import HeatmapHead
from ..models.lora import merge_lora
from ..models.sapiens import SapiensArchitecture, SapiensNetwork, infer_architecture, network_state
from ..models.sapiens_architecture import SAPIENS_SIZES
from ..models.store import model_card
from ..models.tensors import TensorFile
from .backbones import Backbone, channel_count
from .canvases import Task
from .initial_weights import known_channels
from .lora import LoraLinear, insert_lora, lora_layers
from .recipe import SAPIENS, Recipe

_LAYER = re.compile(r"backbone\.layers\.(\d+)\.")
_FIRST = ("backbone.patch_embed.", "backbone.pos_embed")


class SapiensBackbone(Backbone):
    family = "sapiens"

    def __init__(self, recipe: Recipe) -> None:
        if recipe.loss != "squared_error":
            raise DatasetError(f"Sapiens' heatmaps are fitted by squared_error; the recipe says loss {recipe.loss}.")
        if recipe.start == SAPIENS:
            raise DatasetError("Backbone 'sapiens' has the size of the model it starts from: add --from MODEL.")
        self.recipe = recipe
        self.start = model_card(recipe.start)
        if self.start.family != self.family:
            raise ModelError(f"Model '{self.start.id}' is of family '{self.start.family}': it cannot start a Sapiens.")
        if recipe.adapt == "norms" and self.start.is_base:
            raise ModelError(
                f"--adapt norms needs a head that was trained; '{self.start.id}' has none. Use lora or head."
            )
        self.padding = self.start.input.padding
        self.licence = self.start.licence
        self._backbone, self._own = _tensors_of(self.start)
        plain = {name: tensor for name, tensor in self._own.items() if ".lora_" not in name}
        self._architecture = infer_architecture(merge_lora(self._backbone, plain), self.start.architecture)
        self._require_size(recipe.backbone)
        self._canvas_wh: tuple[int, int] | None = None
        weights = self.start.weights
        if weights.base_sha256 and recipe.adapt != "full":
            self.base_sha256 = weights.base_sha256
            self.base = self.start.id if self.start.is_base else self.start.base

    def canvas_wh(self, scheme_id: str, asked: tuple[int, int] | None, cases: Sequence[Case]) -> tuple[int, int]:
        """One canvas for all datasets: the asked size, in whole patches, else that of the first weights."""
        patch = self._architecture.patch_size
        width, height = (max(1, round(side / patch)) * patch for side in asked or self._architecture.input_size_wh)
        if self._canvas_wh not in (None, (width, height)):
            raise DatasetError(
                f"Sapiens has one canvas for all datasets; {scheme_id} has {width}x{height} px, another dataset "
                f"{self._canvas_wh[0]}x{self._canvas_wh[1]}. Give all the same @WIDTHxHEIGHT."
            )
        self._canvas_wh = (width, height)
        return self._canvas_wh

    def heatmap_wh(self, canvas_wh: tuple[int, int]) -> tuple[int, int]:
        return replace(self._architecture, input_size_wh=canvas_wh).heatmap_size_wh

    def network(self, tasks: Sequence[Task]) -> SapiensNetwork:
        architecture = replace(self._architecture, input_size_wh=tasks[0].canvas_wh, keypoints=channel_count(tasks))
        lora = {name: tensor for name, tensor in self._own.items() if ".lora_" in name}
        plain = {name: tensor for name, tensor in self._own.items() if name not in lora}
        merged = merge_lora(self._backbone, self._own if self.recipe.adapt == "full" else plain)
        state = network_state(architecture, {**merged, **self._head(architecture, tasks)})
        # copies, as the files are mapped and what learns is written to
        state = {name: tensor.detach().clone().float() for name, tensor in state.items()}
        network = TrainableSapiens.from_state_dict(architecture, state)
        if self.recipe.adapt == "lora" or (lora and self.recipe.adapt != "full"):
            insert_lora(network, self.recipe, lora, self.start.id)
        network.backbone.checkpoint_gradients = self.recipe.checkpoint_gradients
        learn_only(network, self.recipe.adapt)
        return network

    def layers_from_end(self, name: str) -> int | None:
        if name.startswith(_FIRST):
            return self._architecture.layers + 1
        layer = _LAYER.match(name)
        return self._architecture.layers - int(layer[1]) if layer else None

    def stored(self, network: SapiensNetwork) -> dict[str, torch.Tensor]:
        """LoRA, head and whatever else was learned, in the reference's names; the whole network where it has no base.

        The reference keeps an adapted backbone inside a wrapper: "backbone.module.…".
        """
        if self.base_sha256 is None:
            return _whole_state(network)
        learned = {
            name: parameter.detach()
            for name, parameter in network.named_parameters()
            if name.startswith("head.") or ".lora_" in name or parameter.requires_grad
        }
        return {re.sub(r"^backbone\.", "backbone.module.", name): tensor for name, tensor in learned.items()}

    def architecture(self, network: SapiensNetwork) -> Mapping[str, Any]:
        return network.architecture.to_json()

    def _head(self, architecture: SapiensArchitecture, tasks: Sequence[Task]) -> dict[str, torch.Tensor]:
        """The head's first weights: the model's, with the channels of the schemes it knows; else random ones."""
        head = HeatmapHead(architecture.embed, architecture.head_channels, architecture.keypoints)
        nn.init.normal_(head.final_layer.weight, std=0.001)  # as the reference begins
        nn.init.zeros_(head.final_layer.bias)
        state = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
        channels = {task.scheme_id: task.scheme_channels for task in tasks}
        known = known_channels(self.start, channels)
        for name, tensor in self._own.items():
            if name.startswith("head.final_layer."):
                for scheme_id, taken in known.items():
                    state[name][channels[scheme_id]] = tensor[taken]
            elif name.startswith("head."):
                state[name] = tensor
        return state

    def _require_size(self, name: str) -> None:
        size = name.removeprefix(f"{SAPIENS}-")
        found = (self._architecture.embed, self._architecture.layers)
        if size in SAPIENS_SIZES and SAPIENS_SIZES[size][:2] != found:
            raise ModelError(
                f"Model '{self.start.id}' is a Sapiens of width {found[0]} with {found[1]} layers, not {name}. Leave "
                f"--backbone {SAPIENS} to train the size it has."
            )


class TrainableSapiens(SapiensNetwork):
    norms = ()  # its normalisations keep no statistics

    def logits(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps, which nothing follows."""
        return self(canvas, channels)


def _tensors_of(card: ModelCard) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(backbone, own): mapped tensors of the base, or of a whole network's backbone, and of the model's own file."""
    own_path, weights = weights_path(card), card.weights
    own = TensorFile(own_path).mapped() if own_path else {}
    if weights.base_sha256:
        return TensorFile(base_path(weights.base_sha256)).mapped(), own
    backbone = {name for name in own if name.startswith("backbone.") and ".lora_" not in name}
    return {name: own[name] for name in backbone}, {name: own[name] for name in own if name not in backbone}


def learn_only(network: SapiensNetwork, adapt: str) -> None:
    """Let what `adapt` names be learned; positions stay fixed, as they are in Sapiens."""
    network.requires_grad_(adapt == "full")
    network.backbone.pos_embed.requires_grad_(False)
    (network.head.final_layer if adapt == "norms" else network.head).requires_grad_(True)
    for module in network.backbone.modules():
        if adapt == "norms" and isinstance(module, nn.LayerNorm):
            module.requires_grad_(True)
        if adapt == "lora" and isinstance(module, LoraLinear):
            module.lora_down.requires_grad_(True)
            module.lora_up.requires_grad_(True)


def _whole_state(network: SapiensNetwork) -> dict[str, torch.Tensor]:
    """All tensors, LoRA merged."""
    state = network.state_dict()
    for name, layer in lora_layers(network):
        for part in ("original_layer.weight", "original_layer.bias", "lora_down.weight", "lora_up.weight"):
            del state[f"{name}.{part}"]
        state[f"{name}.weight"], state[f"{name}.bias"] = layer.weight.detach(), layer.bias.detach()
    return state
