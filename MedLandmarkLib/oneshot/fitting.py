"""Fitting one network to pseudo-labels: the loop that the joint network, each specialist and the fusion share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..detection.heatmap import encode_heatmaps
from ..errors import DetectionCancelled
from ..training.average import RunningAverage
from ..training.checkpoint import save_checkpoint
from ..training.files import load_checkpoint
from ..training.lite_backbone import LiteBackbone
from ..training.optimizer import build_optimizer, set_learning_rates
from ..training.recipe import Recipe
from ..training.validation import take_norms_from
from .views import normalised

_CHECKPOINT_EVERY = 25  # steps
_LARGEST_GRADIENT = 5.0
HEATMAP_STRIDE = 4.0  # canvas px for each heatmap px

Reporting = Callable[[float, str], None]


@dataclass(frozen=True)
class Batch:
    """pictures: (B, 1 or 3, h, w), 0..255; picture_xy: (B, K, 2), NaN where unknown; weight: (B, K)."""

    pictures: torch.Tensor
    picture_xy: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns; the rates as in training.recipe.

    norm_batches: from which the averaged network's normalisation statistics are taken.
    """

    steps: int
    batch_size: int
    learning_rate: float = 1.5e-3
    trunk_learning_rate: float = 5e-4
    warmup_steps: int = 30
    ema_decay: float = 0.99
    sigma: float = 2.0
    norm_batches: int = 6


def weighted_cross_entropy(
    logits: torch.Tensor, heatmap_xy: torch.Tensor, weight: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Cross-entropy of each map's softmax with a Gaussian around its point, in the mean over maps by their weight.

    logits: (B, K, H, W); heatmap_xy: (B, K, 2), NaN where unknown; weight: (B, K).
    """
    target = encode_heatmaps(heatmap_xy, (logits.shape[-1], logits.shape[-2]), sigma).flatten(2)
    mass = target.sum(dim=2, keepdim=True)
    weight = weight * (mass[..., 0] > 0)
    each = -(target / mass.clamp_min(1e-6) * logits.float().flatten(2).log_softmax(dim=2)).sum(dim=2)
    return (weight * each).sum() / weight.sum().clamp_min(1e-3)


class LabelFitting:
    """A network, its running average, and the step it has reached.

    network: with `logits` and `norms`. draw: (seed) → Batch; everything random about it follows from the seed.
    checkpoint: the file that a stopped run goes on from; None where the run is short.
    """

    def __init__(
        self,
        network: nn.Module,
        draw: Callable[[int], Batch],
        schedule: Schedule,
        *,
        device: torch.device,
        seed: int = 0,
        checkpoint: Path | None = None,
    ) -> None:
        recipe = Recipe(learning_rate=schedule.learning_rate, trunk_learning_rate=schedule.trunk_learning_rate)
        self.draw, self.schedule, self.seed, self.checkpoint = draw, schedule, seed, checkpoint
        self.device = device
        self.network = network.to(device).train().to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.network, recipe, LiteBackbone(recipe).layers_from_end)
        self.average = RunningAverage(self.network, schedule.ema_decay)
        self.step = 0
        self._resume()

    def run_to(
        self, step: int, *, progress: Reporting | None = None, should_stop: Callable[[], bool] | None = None
    ) -> None:
        """Fit up to this step. Raises DetectionCancelled when `should_stop` says so, after a checkpoint."""
        while self.step < min(step, self.schedule.steps):
            if should_stop and should_stop():
                self.save()
                raise DetectionCancelled(f"Stopped at step {self.step} of {self.schedule.steps}; it can be resumed.")
            loss = self._train()
            self.step += 1
            if progress:
                progress(self.step / self.schedule.steps, f"step {self.step} of {self.schedule.steps}, loss {loss:.2f}")
            if self.step % _CHECKPOINT_EVERY == 0:
                self.save()

    def _train(self) -> float:
        batch = self.draw(self.seed * 1_000_003 + self.step)
        self.network.train()
        set_learning_rates(self.optimizer, self.step, self.schedule.steps, self.schedule.warmup_steps)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_fast_bfloat16(self.device)):
            logits = self.network.logits(normalised(batch.pictures.to(self.device)))
        points, weight = batch.picture_xy.to(self.device), batch.weight.to(self.device)
        loss = weighted_cross_entropy(logits, points / HEATMAP_STRIDE, weight, self.schedule.sigma)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return loss.item()

    @contextmanager
    def teacher(self) -> Iterator[nn.Module]:
        """Within it, the network in eval mode with the averaged weights and normalisation statistics taken anew."""
        count = min(self.schedule.norm_batches, self.schedule.steps)
        pictures = (self.draw(2**40 + number).pictures for number in range(count))
        drawn = ((normalised(part.to(self.device)), None) for part in pictures)
        with torch.no_grad(), self.average.in_place():
            take_norms_from(self.network, drawn)
            yield self.network

    def result(self) -> nn.Module:
        """A copy of the averaged network, eval mode, CPU."""
        with self.teacher() as network:
            return copy.deepcopy(network).cpu().float().eval()

    def save(self) -> None:
        if self.checkpoint is None:
            return
        state = {"network": self.network.state_dict(), "average": self.average.tensors, "step": self.step}
        save_checkpoint({**state, "optimizer": self.optimizer.state_dict()}, self.checkpoint)

    def _resume(self) -> None:
        state = load_checkpoint(self.checkpoint, self.device) if self.checkpoint else None
        if state is not None:
            self.network.load_state_dict(state["network"])
            self.average.load(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster there than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
