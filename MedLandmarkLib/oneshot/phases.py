"""What the parts of a teaching share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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

    def keep_labels(self, name: str, labels: PseudoLabels) -> None:
        """For a run that is resumed, and for whoever wants to look at them."""
        with replacing(self.folder / f"labels-{name}.safetensors") as partial:
            write_tensors(partial, {"canvas_xy": labels.canvas_xy, "weight": labels.weight})

    def kept_labels(self, name: str) -> PseudoLabels | None:
        """What `keep_labels` wrote for as many pictures and landmarks; None where there is none."""
        path = self.folder / f"labels-{name}.safetensors"
        if not path.is_file():
            return None
        tensors = TensorFile(path).mapped()
        points, weight = tensors["canvas_xy"].clone(), tensors["weight"].clone()
        if points.shape[:2] != (len(self.gallery), self.gallery.landmark_count):
            return None
        return PseudoLabels(points, weight, self.gallery.template_count)
