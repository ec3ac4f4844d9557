"""What a file of tensors is: a base backbone, an adapter (LoRA and head) for one, or a whole network.

Names and shapes decide, never the file's name or folder. Names: the base file has `patch_embed.projection.weight` and
so on; an adapter has `backbone.module.layers.0.attn.qkv.lora_down.weight` and `head.…`; a whole network has
`backbone.patch_embed.projection.weight` and `head.…` (the reference's training code writes all three).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..errors import ModelError
from .lora import merge_lora, plain_name
from .sapiens import SapiensNetwork
from .sapiens_architecture import SapiensArchitecture, infer_architecture

_BACKBONE = ("pos_embed", "patch_embed.", "layers.", "ln1.")
_BASE_SIGN = "patch_embed.projection.weight"
_NAMED = 4  # tensors named in a message before "and N more"


@dataclass(frozen=True)
class Weights:
    """A recognised file. kind: "base", "adapter" or "whole". tensors: only those the network needs, by stored name."""

    name: str
    kind: str
    tensors: dict[str, torch.Tensor]


def recognise(name: str, tensors: Mapping[str, torch.Tensor]) -> Weights:
    """What `tensors`, read from the file called `name`, are. Raises ModelError where they are none of the three."""
    if all(key.startswith("module.") for key in tensors):  # saved from a data-parallel wrapper
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    head = {key: tensor for key, tensor in tensors.items() if key.startswith("head.")}
    adapter = {f"backbone.{plain_name(key)}": tensor for key, tensor in tensors.items() if ".lora_" in key}
    backbone = {
        plain_name(key): tensor
        for key, tensor in tensors.items()
        if key not in head and ".lora_" not in key and plain_name(key).startswith(_BACKBONE)
    }
    if _BASE_SIGN in backbone and head:
        whole = {f"backbone.{key}": tensor for key, tensor in backbone.items()}
        return Weights(name, "whole", {**whole, **adapter, **head})
    if _BASE_SIGN in backbone and not adapter:
        return Weights(name, "base", backbone)
    if adapter and head:
        return Weights(name, "adapter", {**adapter, **head})
    if adapter:
        raise ModelError(
            f"{name} holds LoRA tensors but no heatmap head ('head.…'): it detects nothing. Give the whole checkpoint."
        )
    if head:
        raise ModelError(f"{name} holds a head but neither LoRA tensors nor a backbone. Give the whole checkpoint.")
    raise ModelError(
        f"{name} holds {len(tensors)} tensors ({_some(list(tensors))}), which are not those of a Sapiens network. Give "
        "the MedSapiens checkpoint or the Sapiens base (sapiens_0.3b_epoch_1600_clean.pth)."
    )


def checked_base(base: Weights, overrides: Mapping[str, Any]) -> SapiensArchitecture:
    """The architecture of a base (keypoints 0). Raises ModelError where tensors are missing or of the wrong shape."""
    with _named(base.name):
        architecture = infer_architecture(base.tensors, overrides)
        state = {f"backbone.{key}": tensor for key, tensor in base.tensors.items()}
        _require_fit(state, replace(architecture, keypoints=1), needs_head=False)
    return architecture


def checked_network(
    weights: Weights, base: Mapping[str, torch.Tensor] | None, overrides: Mapping[str, Any]
) -> SapiensArchitecture:
    """The architecture of an adapter with its base, or of a whole network; only shapes are read, nothing is computed.

    Raises ModelError where tensors are missing, of the wrong shape, or the adapter belongs to another base.
    """
    own = {key: _blank(tensor) for key, tensor in weights.tensors.items()}
    backbone = {key: _blank(tensor) for key, tensor in (base or {}).items()}
    with _named(weights.name):
        state = merge_lora(backbone, own)
        architecture = infer_architecture(state, overrides)
        _require_adapter_complete(own, architecture.layers)
        _require_fit(state, architecture, needs_head=True)
    return architecture


def require_finite(weights: Weights) -> None:
    """ModelError where a value is infinite or not a number: such a network answers nonsense everywhere."""
    for key, tensor in weights.tensors.items():
        # a sum is infinite or NaN where one value is, and needs no second copy of a large tensor
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float64)):
            raise ModelError(f"{weights.name}: tensor '{key}' holds values that are not numbers. Download it again.")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Puts the file's name before the message of a ModelError raised inside."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def _blank(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, device="meta")


def _require_adapter_complete(tensors: Mapping[str, torch.Tensor], layers: int) -> None:
    """What LoRA adapts in one layer it adapts in all; a gap means that tensors were lost."""
    adapted = [key.removeprefix("backbone.layers.").split(".", 1) for key in tensors if ".lora_" in key]
    wanted = {f"backbone.layers.{layer}.{part}" for layer in range(layers) for part in {part for _, part in adapted}}
    missing = sorted(wanted - set(tensors))
    if missing:
        raise ModelError(
            f"{len(missing)} tensors are missing: {_some(missing)}. The file is incomplete; download it again."
        )


def _require_fit(state: Mapping[str, torch.Tensor], architecture: SapiensArchitecture, needs_head: bool) -> None:
    with torch.device("meta"):
        expected = SapiensNetwork(architecture).state_dict()
    if not needs_head:
        expected = {key: tensor for key, tensor in expected.items() if not key.startswith("head.")}
    missing = [key for key in expected if key not in state]
    if missing:
        raise ModelError(
            f"{len(missing)} of {len(expected)} tensors are missing: {_some(missing)}. The file is incomplete or of "
            "another network; download it again."
        )
    surplus = [key for key in state if key not in expected]
    if surplus:
        raise ModelError(
            f"{len(surplus)} tensors have no place in a Sapiens network: {_some(surplus)}. It is another network."
        )
    for key, tensor in expected.items():
        found = tuple(state[key].shape)
        if key == "backbone.pos_embed":
            _require_position_embedding(found, tuple(tensor.shape))
        elif found != tuple(tensor.shape):
            raise ModelError(
                f"tensor '{key}' has shape {found}, but {tuple(tensor.shape)} is expected. It is another network."
            )


def _require_position_embedding(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """(1, N, embed) where N is the network's own grid, or a square grid with or without the class token's row."""
    if len(found) == 3 and found[0] == 1 and found[2] == expected[2]:
        tokens = found[1] - found[1] % 2
        if found[1] == expected[1] or round(tokens**0.5) ** 2 == tokens > 0:
            return
    raise ModelError(
        f"tensor 'pos_embed' has shape {found}; (1, N, {expected[2]}) is expected, where N is a square (4096, or 4097 "
        f"with the class token) or {expected[1]}."
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
