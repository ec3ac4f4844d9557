"""Low-rank adapters, written into the weights that they adapt.

LoRA (Hu et al., ICLR 2022, section 4.1): W' = W + (alpha / rank) B A, with A the "down" and B the "up" matrix. Merged
once, an adapted network costs what the plain one costs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..errors import ModelError

_DOWN, _UP = ".lora_down.weight", ".lora_up.weight"


def plain_name(name: str) -> str:
    """A backbone tensor's name as in the base file: no "backbone.", no wrapper's "module." or ".original_layer"."""
    return name.removeprefix("backbone.").removeprefix("module.").replace(".original_layer.", ".")


def adapter_targets(adapter: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """The base tensors (names as in the base file) that an adapter rewrites."""
    return tuple(plain_name(name.removesuffix(_DOWN) + ".weight") for name in adapter if name.endswith(_DOWN))


def merge_lora(
    base: Mapping[str, torch.Tensor],
    adapter: Mapping[str, torch.Tensor],
    scaling: float = 1.0,
    *,
    in_place: bool = False,
) -> dict[str, torch.Tensor]:
    """One state dict from a base backbone and an adapter with its head.

    base: backbone tensors, with or without the prefix "backbone.". adapter: "….lora_down.weight" (rank, in) and
    "….lora_up.weight" (out, rank) pairs, other backbone tensors (which replace the base's), and "head." tensors.
    scaling: alpha / rank; 1 for MedSapiens, whose qkv have 4 / 4 and proj 8 / 8 (its training configuration).
    in_place: write into the tensors of `base` instead of new ones, which saves a copy of all adapted weights.
    Returns "backbone." and "head." tensors; those that nothing changes are the very tensors given.
    Raises ModelError where a pair is incomplete or does not fit the base.
    """
    merged = {plain_name(name): tensor for name, tensor in base.items()}
    own = {name: tensor for name, tensor in adapter.items() if ".lora_" not in name}
    head = {name: tensor for name, tensor in own.items() if name.startswith("head.")}
    merged.update({plain_name(name): tensor for name, tensor in own.items() if name not in head})
    for name in adapter:
        if name.endswith(_DOWN):
            target = plain_name(name.removesuffix(_DOWN) + ".weight")
            up_name = name.removesuffix(_DOWN) + _UP
            if up_name not in adapter:
                raise ModelError(f"The adapter has '{name}' but not '{up_name}': the file is incomplete.")
            merged[target] = _adapted(merged, target, adapter[up_name], adapter[name], scaling, in_place)
        elif name.endswith(_UP) and name.removesuffix(_UP) + _DOWN not in adapter:
            raise ModelError(f"The adapter has '{name}' but no matrix '{_DOWN}' for it: the file is incomplete.")
    return {**{f"backbone.{name}": tensor for name, tensor in merged.items()}, **head}


def _adapted(
    base: Mapping[str, torch.Tensor],
    target: str,
    up: torch.Tensor,
    down: torch.Tensor,
    scaling: float,
    in_place: bool,
) -> torch.Tensor:
    if target not in base:
        raise ModelError(f"The adapter changes '{target}', which the base does not have: it belongs to another base.")
    weight = base[target]
    if (up.shape[0], down.shape[1]) != tuple(weight.shape) or up.shape[1] != down.shape[0]:
        raise ModelError(
            f"The adapter's matrices {tuple(up.shape)} and {tuple(down.shape)} do not fit '{target}' of shape "
            f"{tuple(weight.shape)}: it belongs to another base."
        )
    up, down = up.to(weight.dtype), down.to(weight.dtype)
    if in_place:
        return weight.addmm_(up, down, alpha=scaling)
    return torch.addmm(weight, up, down, alpha=scaling)
