"""What a network saw in a picture as a whole: its deepest features, averaged over the canvas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def pooled_features(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """While the network runs inside, each pass adds (B, C) float32 to the list.

    The network is asked for its `trunk`, which gives its levels from fine to coarse; the list stays empty where it has
    none.
    """
    seen: list[torch.Tensor] = []
    trunk = getattr(network, "trunk", None)
    if trunk is None:
        yield seen
        return

    def keep(_module: nn.Module, _inputs: object, levels: list[torch.Tensor]) -> None:
        seen.append(levels[-1].float().mean(dim=(2, 3)))

    handle = trunk.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
