"""The running average of a network's weights, which is what a trained model consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


def learned_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that learn and the statistics of what learns, by name: all that a training changes."""
    learning = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    owners = {name.rpartition(".")[0] for name in learning}
    statistics = {name: buffer for name, buffer in network.named_buffers() if name.rpartition(".")[0] in owners}
    return {**learning, **statistics}


class RunningAverage:
    """Exponential moving average (Polyak and Juditsky, 1992) of `learned_tensors`; frozen weights cost nothing."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in learned_tensors(network).items()}

    @torch.no_grad()
    def update(self) -> None:
        now = [tensor.detach() for tensor in learned_tensors(self.network).values()]
        torch._foreach_lerp_(list(self.tensors.values()), now, 1.0 - self.decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it, the network holds the average; statistics that are refreshed there are the average's own."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    def _exchange(self) -> None:
        for name, tensor in learned_tensors(self.network).items():
            tensor.data, self.tensors[name].data = self.tensors[name].data, tensor.data
