"""Several small networks in one file, each for the schemes that it does best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .lite import ConvolutionNorm, LiteNetwork

FAMILY = "lite-set"


class LiteSet(nn.Module):
    """members: the arguments of each LiteNetwork. Its channels are theirs, one member's after the other's.

    shared: {"member", "of", "stages"} for each member whose trunk has the convolutions of an earlier one in these
    stages. They are held and stored once; each member's normalisations are its own.
    """

    def __init__(self, members: Sequence[Mapping[str, Any]], shared: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self.members = nn.ModuleList(LiteNetwork(**arguments) for arguments in members)
        self.stored_as: dict[str, str] = {}  # the names of weights that have another name already
        for entry in shared:
            self._share(entry["member"], entry["of"], entry["stages"])
        self.register_load_state_dict_pre_hook(_with_shared)

    def _share(self, number: int, other: int, stages: Sequence[int]) -> None:
        if not 0 <= other < number < len(self.members):
            raise ValueError(f"Member {number} cannot have weights of member {other}: it must be a later one.")
        for stage in stages:
            own, earlier = (dict(_layers(self.members[one], stage)) for one in (number, other))
            for name, layer in own.items():
                layer.convolution = earlier[name].convolution
                layer.is_shared = earlier[name].is_shared = True
                weight = f"{name}.convolution.weight"
                self.stored_as[f"members.{number}.{weight}"] = f"members.{other}.{weight}"

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

    def stored(self) -> dict[str, torch.Tensor]:
        """The state without what stands in it under another name already."""
        return {name: tensor for name, tensor in self.state_dict().items() if name not in self.stored_as}


def common_stages(network: LiteNetwork, other: LiteNetwork) -> list[int]:
    """Stages of the trunk in which both have the same convolutions, bit for bit."""
    pairs = {
        stage: zip(_layers(network, stage), _layers(other, stage), strict=True)
        for stage in range(len(network.trunk.stages))
    }
    return [
        stage
        for stage, layers in pairs.items()
        if all(torch.equal(one.convolution.weight, two.convolution.weight) for (_, one), (_, two) in layers)
    ]


def _layers(network: LiteNetwork, stage: int) -> Iterator[tuple[str, ConvolutionNorm]]:
    for name, module in network.trunk.stages[stage].named_modules(prefix=f"trunk.stages.{stage}"):
        if isinstance(module, ConvolutionNorm):
            yield name, module


def _with_shared(together: LiteSet, state: dict[str, torch.Tensor], *_: object) -> None:
    """What is stored once, under all its names."""
    for name, other in together.stored_as.items():
        if other in state:
            state.setdefault(name, state[other])
