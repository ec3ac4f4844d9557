"""From an installed model's files to a network that is ready to run, with one copy of the weights in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import ModelError
from .atlas import FAMILY as ATLAS
from .atlas import LoadedAtlas, load_atlas
from .catalogue import ModelCard
from .folder import base_path, weights_path
from .fusion import FusionNetwork
from .lite import LiteNetwork
from .lite_set import FAMILY as LITE_SET
from .lite_set import LiteSet
from .lora import adapter_targets, merge_lora
from .matching import MatchingNetwork
from .sapiens import SapiensNetwork, infer_architecture, network_state
from .specialists import SpecialistSet
from .tensors import TensorFile

_OWN_FAMILIES = {
    "lite": LiteNetwork, LITE_SET: LiteSet, "matching": MatchingNetwork, "specialists": SpecialistSet,
    "fusion": FusionNetwork,
}  # fmt: skip


@dataclass(frozen=True)
class LoadedModel:
    """A network on the CPU, fp32, eval mode, without gradients; LoRA is merged. sha256 identifies its weights."""

    card: ModelCard
    network: torch.nn.Module
    sha256: str


def load(card: ModelCard) -> LoadedModel | LoadedAtlas:
    """The network or the annotated volume that an installed model is.

    Raises ModelError where its files are damaged or do not fit together.
    """
    if card.family == ATLAS:
        return load_atlas(card)
    own_path = weights_path(card)
    if card.is_base or own_path is None or card.weights is None:
        raise ModelError(f"Model '{card.id}' is a base: it detects nothing by itself. Choose a model built on it.")
    own = TensorFile(own_path)
    if card.family in _OWN_FAMILIES:
        network = _own_network(card, own, _OWN_FAMILIES[card.family])
    elif card.family == "sapiens":
        base = TensorFile(base_path(card.weights.base_sha256)) if card.weights.base_sha256 else None
        network = _sapiens_network(card, own, base)
    else:
        raise ModelError(
            f"Model '{card.id}' is of family '{card.family}', which this version of MedLandmark does not know."
        )
    return LoadedModel(card, network, card.weights.sha256)


def _sapiens_network(card: ModelCard, own: TensorFile, base: TensorFile | None) -> SapiensNetwork:
    try:
        state = merged_state(own, base)
        architecture = infer_architecture(state, card.architecture)
        return SapiensNetwork.from_state_dict(architecture, network_state(architecture, state))
    except ModelError as error:
        raise ModelError(f"Model '{card.id}': {error} Delete it and get it again.") from error


def merged_state(own: TensorFile, base: TensorFile | None) -> dict[str, torch.Tensor]:
    """All tensors, float32: "backbone." and "head.", LoRA merged.

    Tensors that LoRA rewrites are read into memory of their own and rewritten there; the others are mapped from the
    files, so that nothing is held twice and the system reads them when they are first used.
    """
    adapter = own.mapped()
    targets = set(adapter_targets(adapter))
    backbone: dict[str, torch.Tensor] = {}
    if base is not None:
        backbone = {name: base.read(name) if name in targets else tensor for name, tensor in base.mapped().items()}
    else:
        for name in [name for name in adapter if name.startswith("backbone.") and ".lora_" not in name]:
            bare = name.removeprefix("backbone.")
            mapped = adapter.pop(name)
            backbone[bare] = own.read(name) if bare in targets else mapped
    return merge_lora(_as_float32(backbone), _as_float32(adapter), in_place=True)


def _own_network(card: ModelCard, own: TensorFile, family: Callable[..., torch.nn.Module]) -> torch.nn.Module:
    """A network of ours, made as its card says."""
    try:
        with torch.device("meta"):
            network = family(**card.architecture)
        network.load_state_dict(_as_float32(own.mapped()), strict=True, assign=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"Model '{card.id}': its weights do not fit its card ({error}). Delete it and get it again."
        ) from error
    return network.requires_grad_(False).eval()


def _as_float32(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating tensors as float32 (the same tensor where it is so already); counters stay what they are."""
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
