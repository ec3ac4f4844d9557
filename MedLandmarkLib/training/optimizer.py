"""Which parameter learns how fast: AdamW, slower in the trunk and further from its end, warm-up and half cosine."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from .recipe import Recipe

# name of a parameter → how many layers it lies before the trunk's last one; None: behind the trunk
LayersFromEnd = Callable[[str], "int | None"]


def build_optimizer(network: nn.Module, recipe: Recipe, layers_from_end: LayersFromEnd) -> torch.optim.Optimizer:
    """AdamW over what is to be learned, without decay on norms and biases.

    Each group's "peak_lr" is its learning rate after the warm-up.
    """
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            layers = layers_from_end(name)
            factor = recipe.layer_decay ** (layers or 0)
            groups.setdefault((layers is not None, factor, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak_lr": (recipe.trunk_learning_rate if is_trunk else recipe.learning_rate) * factor,
                "weight_decay": recipe.weight_decay if is_matrix else 0.0,
            }
            for (is_trunk, factor, is_matrix), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )


def set_learning_rates(optimizer: torch.optim.Optimizer, step: int, step_count: int, warmup_steps: int) -> float:
    """Linear warm-up, then half a cosine to zero; returns the largest rate now."""
    warm = min(1.0, (step + 1) / max(1, warmup_steps))
    factor = warm * 0.5 * (1.0 + math.cos(math.pi * step / step_count))
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)
