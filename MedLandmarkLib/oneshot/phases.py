"""What the parts of a teaching share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ..models.tensors import TensorFile, write_tensors
from ..training.files import replacing
from .gallery import Gallery
from .labels import PseudoLabels
from .model_folder import write_taught_model
from .request import TeachRequest

Reporting = Callable[[float, str], None]


class Teller(Protocol):
    estimate: float | None

    def part(self, name: str) -> Reporting: ...

    def estimated(self, spread_px: torch.Tensor, gallery: Gallery) -> None: ...


class Phase(Protocol):
    def run(self) -> tuple[PseudoLabels, nn.Module]:
        """Teach, write the model, and give the labels and the network on. Raises DetectionCancelled."""


@dataclass(frozen=True)
class KeptLabels:
    """Labels as they were renewed after so many steps; spread_px: (N, K), how far the answers then lay apart."""

    labels: PseudoLabels
    spread_px: torch.Tensor
    step: int


@dataclass(frozen=True)
class PhaseContext:
    """What every part is given."""

    request: TeachRequest
    gallery: Gallery
    folder: Path
    device: torch.device
    teller: Teller
    should_stop: Callable[[], bool] | None

    @property
    def diagonal(self) -> float:
        """Of the canvas, px."""
        return math.hypot(*self.gallery.canvas_wh)

    def steps(self, usual: int) -> int:
        return max(4, round(usual * self.request.settings.effort))

    def write_model(self, network: nn.Module, method: str, **architecture: Any) -> None:
        estimate = self.teller.estimate
        told = (
            "" if estimate is None else f"Views of one picture differ by {estimate:.2f} {self.gallery.unit} (median)."
        )
        write_taught_model(self.folder / "model", network, method, architecture, self.request, self.gallery, told)

    def keep_labels(self, name: str, kept: KeptLabels) -> None:
        """For a run that is resumed, and for whoever wants to look at them."""
        tensors = {"canvas_xy": kept.labels.canvas_xy, "weight": kept.labels.weight, "spread_px": kept.spread_px}
        with replacing(self.folder / f"labels-{name}.safetensors") as partial:
            write_tensors(partial, tensors, {"step": kept.step})

    def kept_labels(self, name: str, first: PseudoLabels) -> KeptLabels:
        """What `keep_labels` wrote; the first labels where it did not yet, or not for these pictures."""
        path = self.folder / f"labels-{name}.safetensors"
        begun = KeptLabels(first, torch.full_like(first.weight, math.nan), 0)
        if not path.is_file():
            return begun
        file = TensorFile(path)
        tensors = {key: tensor.clone() for key, tensor in file.mapped().items()}
        if "spread_px" not in tensors or tensors["canvas_xy"].shape != first.canvas_xy.shape:
            return begun
        labels = replace(first, canvas_xy=tensors["canvas_xy"], weight=tensors["weight"])
        return KeptLabels(labels, tensors["spread_px"], file.note["step"])
