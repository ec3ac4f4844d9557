"""Low-rank adapters that learn, beside the frozen layers that they adapt.

LoRA (Hu et al., ICLR 2022, section 4.1), on the fused query-key-value layer and the projection after attention, with
the ranks, the dropout and the scaling (1) of MedSapiens' training configuration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import ModelError
from ..models.lora import plain_name
from ..models.sapiens import SapiensNetwork
from .recipe import Recipe


class LoraLinear(nn.Module):
    """A linear layer W x + b with an update of low rank: W x + b + B A dropout(x).

    Its parts are named as in the reference: original_layer (frozen), lora_down (A) and lora_up (B), which begins at 0.
    """

    def __init__(self, original_layer: nn.Linear, rank: int, dropout: float) -> None:
        super().__init__()
        self.original_layer = original_layer
        self.lora_down = nn.Linear(original_layer.in_features, rank, bias=False)
        self.lora_up = nn.Linear(rank, original_layer.out_features, bias=False)
        self.dropout = dropout
        nn.init.kaiming_uniform_(self.lora_down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, in) → (…, out)."""
        return self.original_layer(x) + self.lora_up(self.lora_down(F.dropout(x, self.dropout, self.training)))

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): the merged weight, computed as merging a stored adapter does."""
        return torch.addmm(self.original_layer.weight, self.lora_up.weight, self.lora_down.weight)

    @property
    def bias(self) -> torch.Tensor:
        return self.original_layer.bias


def insert_lora(network: SapiensNetwork, recipe: Recipe, stored: Mapping[str, torch.Tensor], model: str) -> None:
    """Put an adapter beside qkv and proj of every layer, with the matrices of `stored` where there are any.

    stored: ".lora_" tensors, named as in `recognise` or the reference. Raises ModelError where their ranks are not the
    recipe's; `model` names where they come from.
    """
    stored = {plain_name(name): tensor for name, tensor in stored.items()}
    for number, layer in enumerate(network.backbone.layers):
        for part, setting in (("qkv", "lora_qkv_rank"), ("proj", "lora_proj_rank")):
            rank = getattr(recipe, setting)
            adapted = LoraLinear(getattr(layer.attn, part), rank, recipe.lora_dropout)
            setattr(layer.attn, part, adapted)
            if stored:
                place = f"layers.{number}.attn.{part}"
                _take_over(adapted, stored, place, setting, model)


def _take_over(adapted: LoraLinear, stored: Mapping[str, torch.Tensor], place: str, setting: str, model: str) -> None:
    down, up = (stored.get(f"{place}.lora_{kind}.weight") for kind in ("down", "up"))
    if down is None or up is None:
        raise ModelError(f"Model '{model}' has LoRA, but none on '{place}': it cannot be trained further with LoRA.")
    if down.shape != adapted.lora_down.weight.shape:
        raise ModelError(
            f"Model '{model}' has LoRA of rank {len(down)} on '{place}', the recipe asks for "
            f"{len(adapted.lora_down.weight)}. Set {setting} to {len(down)} in the recipe."
        )
    with torch.no_grad():
        adapted.lora_down.weight.copy_(down)
        adapted.lora_up.weight.copy_(up)


def lora_layers(network: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Every adapted layer, by the name that it has in the network."""
    return ((name, module) for name, module in network.named_modules() if isinstance(module, LoraLinear))
