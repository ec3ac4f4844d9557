"""What of a small model some of its schemes need: the networks that find them, without the channels of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..models.catalogue import ModelCard, SchemeChannels
from ..models.lite import LiteNetwork
from ..models.lite_set import LiteSet
from ..models.loading import LoadedModel


@dataclass(frozen=True, eq=False)
class Part:
    """networks and the arguments of each; schemes: their channels, counted through all networks of the part."""

    card: ModelCard
    networks: tuple[LiteNetwork, ...]
    arguments: tuple[dict[str, Any], ...]
    schemes: dict[str, SchemeChannels]

    @property
    def channel_count(self) -> int:
        return sum(network.final.out_channels for network in self.networks)


def part_for(one: LoadedModel, schemes: Collection[str]) -> Part:
    """The part of a lite network, or of a set of them, that finds these schemes, bit for bit as before.

    Channels, normalisation statistics and whole networks that serve no other purpose are left out.
    """
    is_set = isinstance(one.network, LiteSet)
    members = list(one.network.members) if is_set else [one.network]
    given = one.card.architecture["members"] if is_set else [one.card.architecture]
    found: dict[str, tuple[LiteNetwork, slice]] = {}
    for name in schemes:
        entry = one.card.channels(name)
        asked = slice(entry.first, entry.stop)
        found[name] = one.network.member(asked) if is_set else (one.network, asked)
    networks, arguments, kept, begun = [], [], {}, 0
    for member, own in zip(members, given, strict=True):
        wanted = {name: channels for name, (network, channels) in found.items() if network is member}
        if not wanted:
            continue
        network, own, channels = _pruned(member, own, wanted)
        for name, places in channels.items():
            kept[name] = replace(one.card.channels(name), first=begun + places.start, stop=begun + places.stop)
        networks.append(network)
        arguments.append(own)
        begun += network.final.out_channels
    return Part(one.card, tuple(networks), tuple(arguments), kept)


def _pruned(
    network: LiteNetwork, arguments: Mapping[str, Any], wanted: Mapping[str, slice]
) -> tuple[LiteNetwork, dict[str, Any], dict[str, slice]]:
    """The network with the wanted channels alone, its arguments, and where those channels are now."""
    rows, numbers, domains, channels = [], [], [], {}
    for row, (first, stop) in enumerate(network.domains):
        inside = {name: own for name, own in wanted.items() if first <= own.start and own.stop <= stop}
        if not inside:
            continue
        begun = len(numbers)
        for name, own in sorted(inside.items(), key=lambda item: item[1].start):
            channels[name] = slice(len(numbers), len(numbers) + own.stop - own.start)
            numbers += range(own.start, own.stop)
        rows.append(row)
        domains.append([begun, len(numbers)])
    arguments = {**arguments, "keypoints": len(numbers), "domains": domains}
    pruned = LiteNetwork(**arguments)
    state = {name: _kept(name, tensor, rows, numbers) for name, tensor in network.state_dict().items()}
    pruned.load_state_dict(state)
    return pruned.requires_grad_(False).eval(), arguments, channels


def _kept(name: str, tensor: torch.Tensor, rows: list[int], numbers: list[int]) -> torch.Tensor:
    if name.startswith("final."):
        return tensor[numbers]
    return tensor[rows] if name.endswith(("running_mean", "running_var")) else tensor
