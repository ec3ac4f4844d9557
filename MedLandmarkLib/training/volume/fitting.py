"""Fitting a heatmap network to planes of volumes, drawn anew at every step.

Every plane, and every random change of its grey values, follows from the seed and the step: a run that was stopped and
resumed goes through the same steps as one that was not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import nn

from ...detection.heatmap import encode_heatmaps
from ...errors import DetectionCancelled
from ..augmentation import AUGMENTATIONS, Augmentation
from ..average import RunningAverage
from ..backbones import MEAN, STD
from ..checkpoint import save_checkpoint
from ..lite_backbone import LiteBackbone
from ..log import TrainingLog
from ..optimizer import build_optimizer, set_learning_rates
from ..recipe import Recipe
from ..validation import take_norms_from
from .planes import PlaneBatch, PlaneSource

Progress = Callable[[float, str], None]

PLANES_PER_EPOCH = 1600  # where the recipe does not say
_EPOCHS_PER_VALIDATION = 5
_VALIDATION_BATCHES, _NORM_BATCHES = 6, 24
# Of "where" over "whether" in the loss: most maps of a plane are empty, and a network soon knows which.
_WHERE_WEIGHT = 2.0


def fading_cross_entropy(
    logits: torch.Tensor, heatmap_xy: torch.Tensor, amplitude: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Cross-entropy between each map, with one more place for "not in this plane", and a Gaussian of that share.

    logits: (B, K, H, W), the logit of the extra place being 0; heatmap_xy: (B, K, 2); amplitude: (B, K), 0..1: the
    landmark's share, the rest goes to the extra place; NaN where it was not read: silent. The divergence of the two
    falls into whether the landmark is in the plane and, times its share, where; "where" counts twice. Returns a sum
    over all maps by the landmarks that are there, so that the many empty maps do not drown them.
    """
    known = ~amplitude.isnan()
    share = amplitude.nan_to_num(0.0)
    places = logits.float().flatten(2)
    target = encode_heatmaps(heatmap_xy.nan_to_num(-1e3), (logits.shape[-1], logits.shape[-2]), sigma).flatten(2)
    target = target / target.sum(dim=2, keepdim=True).clamp_min(1e-6)
    where = share * (torch.xlogy(target, target) - target * places.log_softmax(dim=2)).sum(dim=2)
    present = places.logsumexp(dim=2)
    whether = torch.xlogy(share, share) - share * F.logsigmoid(present)
    whether = whether + torch.xlogy(1.0 - share, 1.0 - share) - (1.0 - share) * F.logsigmoid(-present)
    return (_WHERE_WEIGHT * where + whether)[known].sum() / share[known].sum().clamp_min(1.0)


class VolumeFitting:
    """One training run on planes of volumes. network: a LiteNetwork whose activation is "softmax-or-absent"."""

    def __init__(
        self,
        network: nn.Module,
        source: PlaneSource,
        recipe: Recipe,
        folder: Path,
        *,
        validation: PlaneSource | None = None,
        fabric: Fabric | None = None,
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.source, self.validation = source, validation
        self.fade_px = source.geometry.fade_px
        self.fabric = fabric or Fabric(accelerator="auto", devices=1, precision=recipe.precision)
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) / 255.0 for values in (MEAN, STD))
        network = network.to(memory_format=torch.channels_last)
        with torch.no_grad():  # at first every landmark is as likely absent as anywhere
            network.final.bias.fill_(-math.log((source.geometry.size_px // 4) ** 2))
        optimizer = build_optimizer(network, recipe, LiteBackbone(recipe).layers_from_end)
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.network.mark_forward_method("logits")
        self.average = RunningAverage(self.network.module, recipe.ema_decay)
        self.photometric = Augmentation(AUGMENTATIONS[recipe.augmentation]).photometric
        self.step = 0
        self.log = TrainingLog(folder / "log.csv")

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil((self.recipe.cases_per_epoch or PLANES_PER_EPOCH) / self.recipe.batch_size)

    @property
    def step_count(self) -> int:
        return self.steps_per_epoch * self.recipe.epochs

    def run(self, *, progress: Progress | None = None, should_stop: Callable[[], bool] | None = None) -> nn.Module:
        """Fit to the end, or from the last checkpoint on, and return the averaged network (eval mode, CPU).

        Raises DetectionCancelled when `should_stop` says so; the checkpoint written then resumes at the same step.
        """
        self.resume()
        losses: list[float] = []
        while self.step < self.step_count:
            if should_stop and should_stop():
                self.save()
                raise DetectionCancelled(f"Stopped at step {self.step} of {self.step_count}; it can be resumed.")
            losses.append(self._train())
            self.step += 1
            epoch = self.step // self.steps_per_epoch
            if progress:
                progress(self.step / self.step_count, f"Epoch {epoch + 1}, loss {losses[-1]:.3f}")
            if self.step % self.steps_per_epoch == 0:
                is_due = epoch % _EPOCHS_PER_VALIDATION == 0 or self.step == self.step_count
                errors = self.validate() if is_due and self.validation else {}
                self.log.write(epoch, self.step, sum(losses) / len(losses), errors)
                losses = []
                self.save()
        with self._averaged() as network:
            return copy.deepcopy(network).cpu()

    def _train(self) -> float:
        batch = self._batch(self.source, self.recipe.seed * 1_000_003 + self.step)
        self.network.train()
        set_learning_rates(self.optimizer, self.step, self.step_count, self.recipe.warmup_steps)
        loss = self._loss(self.network, batch)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.network, self.optimizer, max_norm=self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return loss.item()

    def _batch(self, source: PlaneSource, seed: int) -> tuple[torch.Tensor, PlaneBatch]:
        """Normalised pictures (B, 3, H, W), their grey values changed at random, and the batch they come from."""
        batch = source.draw(np.random.default_rng(seed), self.recipe.batch_size)
        torch.manual_seed(seed)
        pictures = batch.pictures.to(self.fabric.device).float() / 255.0
        if self.recipe.augmentation != "none":
            with torch.no_grad():
                pictures = self.photometric(pictures).clamp(0.0, 1.0)
        normalised = (pictures - self.mean.to(pictures.device)) / self.std.to(pictures.device)
        return normalised.contiguous(memory_format=torch.channels_last), batch

    def _loss(self, network: nn.Module, drawn: tuple[torch.Tensor, PlaneBatch]) -> torch.Tensor:
        pictures, batch = drawn
        logits = network.logits(pictures)
        heatmap_xy = batch.canvas_xy.to(logits.device) * _heatmap_over_canvas(logits, pictures)
        amplitude = batch.amplitudes(self.fade_px).to(logits.device)
        return fading_cross_entropy(logits, heatmap_xy, amplitude, self.recipe.sigma)

    @contextmanager
    def _averaged(self) -> Iterator[nn.Module]:
        """Within it, the network in eval mode with the averaged weights and normalisation statistics taken anew."""
        network = self.network.module
        drawn = ((self._batch(self.source, 2**40 + number)[0], None) for number in range(_NORM_BATCHES))
        with torch.no_grad(), self.average.in_place():
            take_norms_from(network, drawn)
            yield network

    def validate(self) -> dict[str, float]:
        """The averaged network's loss on planes of the held-out volumes, always the same ones."""
        with self._averaged() as network:
            batches = (self._batch(self.validation, 2**41 + number) for number in range(_VALIDATION_BATCHES))
            losses = [self._loss(network, batch).item() for batch in batches]
        return {"held-out loss": sum(losses) / len(losses)}

    def save(self) -> None:
        """Write the checkpoint that `resume` continues from; a half-written one never takes its place."""
        state = {"network": self.network.state_dict(), "average": self.average.tensors, "step": self.step}
        state["optimizer"] = self.optimizer.state_dict()
        if self.fabric.is_global_zero:
            save_checkpoint(state, self.folder / "last.ckpt")

    def resume(self) -> None:
        """Continue from last.ckpt where there is one."""
        checkpoint = self.folder / "last.ckpt"
        if not checkpoint.is_file():
            return
        state = torch.load(checkpoint, map_location=self.fabric.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def _heatmap_over_canvas(heatmaps: torch.Tensor, pictures: torch.Tensor) -> float:
    """The factor canvas_xy → heatmap_xy of square pictures, corners on corners."""
    return (heatmaps.shape[-1] - 1) / (pictures.shape[-1] - 1)
