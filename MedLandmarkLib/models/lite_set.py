"""Several small networks in one file, each for the schemes that it does best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .lite import LiteNetwork

FAMILY = "lite-set"


class LiteSet(nn.Module):
    """members: the arguments of each LiteNetwork. Its channels are theirs, one member's after the other's."""

    def __init__(self, members: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.members = nn.ModuleList(LiteNetwork(**arguments) for arguments in members)

    def first_channel(self, number: int) -> int:
        """Where the channels of a member begin among those of the set."""
        return sum(member.final.out_channels for member in self.members[:number])

    def member(self, channels: slice) -> tuple[LiteNetwork, slice]:
        """The network that these channels belong to, and their numbers in it. Raises ValueError."""
        for number, network in enumerate(self.members):
            first = self.first_channel(number)
            if first <= channels.start < channels.stop <= first + network.final.out_channels:
                return network, slice(channels.start - first, channels.stop - first)
        raise ValueError(f"Channels {channels.start} to {channels.stop} are not those of one member.")

    def forward(self, canvas: torch.Tensor, channels: slice) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps of the asked channels, all of one member."""
        network, own = self.member(channels)
        return network(canvas, own)
