"""The specialists' knowledge in one network ("alike"): shared weights, and an adapter for each landmark.

The shared part starts from the joint network and learns, with all adapters, from the specialists' labels. After that a
landmark can be retrained, or a new one added, with the shared part frozen: only its own adapter changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from ..models.adapters import LandmarkAdapter
from ..models.fusion import FusionNetwork
from ..models.lite import LiteNetwork
from ..models.specialists import SpecialistSet
from .fitting import Batch, LabelFitting, Schedule
from .joint import SIGMA, WIDTH
from .labels import PseudoLabels
from .phases import PhaseContext
from .request import FUSION
from .whole import WholePictures, taught_points

STEPS, BATCH = 220, 8
ADAPTER_WIDTH = 8


class FusionPhase:
    def __init__(self, context: PhaseContext, labels: PseudoLabels, network: SpecialistSet) -> None:
        self.context, self.labels, self.joint = context, labels, network.scout

    def run(self) -> tuple[PseudoLabels, FusionNetwork]:
        context, count = self.context, self.context.gallery.landmark_count
        source = WholePictures(context.gallery, self.labels, BATCH)
        schedule = Schedule(context.steps(STEPS), BATCH, learning_rate=1e-3, trunk_learning_rate=3e-4, sigma=SIGMA)
        fitting = LabelFitting(
            fusion_of(self.joint), source.draw, schedule, device=context.device,
            seed=context.request.settings.seed + 7, checkpoint=context.folder / "fusion.ckpt",
        )  # fmt: skip
        report = context.teller.part(FUSION)
        fitting.run_to(
            schedule.steps, progress=lambda fraction, text: report(0.95 * fraction, f"Fusion: {text}"),
            should_stop=context.should_stop,
        )  # fmt: skip
        trained = fitting.result()
        _, spread = taught_points(
            trained.to(context.device), context.gallery, 1, device=context.device, should_stop=context.should_stop
        )
        context.teller.estimated(spread, context.gallery)
        context.write_model(
            trained.cpu(), FUSION, keypoints=count, width=WIDTH, adapter_width=ADAPTER_WIDTH, sigma=SIGMA
        )
        report(1.0, "done")
        return self.labels, trained


def fusion_of(joint: LiteNetwork) -> FusionNetwork:
    """A fusion that gives the joint network's maps as long as it has learned nothing more."""
    fused = FusionNetwork(joint.final.out_channels, joint.final.in_channels, ADAPTER_WIDTH, joint.sigma)
    fused.trunk.load_state_dict(joint.trunk.state_dict())
    fused.decoder.load_state_dict(joint.decoder.state_dict())
    with torch.no_grad():
        for number, adapter in enumerate(fused.adapters):
            _copy_head(adapter, joint, number)
    return fused


def _copy_head(adapter: LandmarkAdapter, joint: LiteNetwork, number: int) -> None:
    adapter.head.weight.copy_(joint.final.weight[number : number + 1])
    adapter.head.bias.copy_(joint.final.bias[number : number + 1])


def with_landmark(fused: FusionNetwork, adapter: LandmarkAdapter) -> FusionNetwork:
    """The fusion with one landmark more, the last. What the others answer stays the same, bit for bit."""
    more = copy.copy(fused)
    more._modules = {**fused._modules, "adapters": nn.ModuleList([*fused.adapters, adapter])}
    return more


def retrained(
    fused: FusionNetwork,
    number: int,
    draw: Callable[[int], Batch],
    *,
    steps: int,
    device: torch.device,
    progress: Callable[[float, str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FusionNetwork:
    """The fusion with one landmark's adapter taught anew; the shared weights and all other adapters are frozen.

    draw: (seed) → Batch whose points and weights are those of this landmark alone, (B, 1, 2) and (B, 1).
    Raises DetectionCancelled.
    """
    student = copy.deepcopy(fused).requires_grad_(False)
    student.adapters[number].requires_grad_(True)
    alone = _OneLandmark(student, number)
    schedule = Schedule(steps, BATCH, learning_rate=1e-3, warmup_steps=min(20, steps), sigma=fused.sigma)
    fitting = LabelFitting(alone, draw, schedule, device=device)
    fitting.run_to(steps, progress=progress, should_stop=should_stop)
    changed = copy.deepcopy(fused)  # training lays tensors out otherwise, which alone moves the last bits
    changed.adapters[number].load_state_dict(fitting.result().fused.adapters[number].state_dict())
    return changed


class _OneLandmark(nn.Module):
    """A fusion of which one landmark is asked; its shared part keeps to what it learned."""

    norms = ()

    def __init__(self, fused: FusionNetwork, number: int) -> None:
        super().__init__()
        self.fused, self.number = fused, number

    def logits(self, canvas: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.fused.eval()
            features = self.fused.shared(canvas)
        return self.fused.adapters[self.number](features)
