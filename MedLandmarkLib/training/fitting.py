"""Fitting a heatmap network to one or several datasets at once.

Every batch comes from one dataset, and only that dataset's channels are computed for it: the union head learns from
each image what was annotated in it and nothing about the rest, as a loss masked by visibility would.
The order of the batches and every random change follow from the seed and the step, so that a run that was stopped and
resumed goes through the same steps as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..detection.heatmap import decode_heatmaps
from ..errors import DetectionCancelled
from .augmentation import AUGMENTATIONS, Augmentation
from .canvases import Canvases
from .ends import ordered_ends
from .log import TrainingLog
from .losses import LOSSES
from .recipe import Recipe

Progress = Callable[[float, str], None]

_EPOCHS_PER_VALIDATION = 5


class Fitting:
    """One training run: network, optimizer, running average and the step it has reached.

    network must offer `logits` and `forward` (canvas, channels), `trunk` and `norms`, as LiteNetwork does; mean and std
    (3 numbers, 0..255) normalise the canvas.
    """

    def __init__(
        self,
        network: nn.Module,
        canvases: Sequence[Canvases],
        recipe: Recipe,
        folder: Path,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        validation: Sequence[Canvases] = (),
        fabric: Fabric | None = None,
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.canvases, self.validation = list(canvases), list(validation)
        self.fabric = fabric or Fabric(accelerator="auto", devices=1, precision=recipe.precision)
        self.mean = torch.tensor(mean).view(3, 1, 1) / 255.0
        self.std = torch.tensor(std).view(3, 1, 1) / 255.0
        # depthwise convolutions run several times faster with channels last, on the CPU as on CUDA
        network = network.to(memory_format=torch.channels_last)
        optimizer = _optimizer(network, recipe)
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.network.mark_forward_method("logits")
        self.average = self.fabric.to_device(self.average)
        self.augmentations = [
            Augmentation(AUGMENTATIONS[recipe.augmentation], canvas.task.mirrored_order) for canvas in self.canvases
        ]
        self.loss = LOSSES[recipe.loss]
        self.step = 0
        self.log = TrainingLog(folder / "log.csv")

    @property
    def steps_per_epoch(self) -> int:
        return sum(math.ceil(self._cases_per_epoch(canvas) / self.recipe.batch_size) for canvas in self.canvases)

    def _cases_per_epoch(self, canvas: Canvases) -> int:
        return min(len(canvas), self.recipe.cases_per_epoch or len(canvas))

    @property
    def step_count(self) -> int:
        return self.steps_per_epoch * self.recipe.epochs

    def run(self, *, progress: Progress | None = None, should_stop: Callable[[], bool] | None = None) -> nn.Module:
        """Fit to the end, or from the last checkpoint on, and return the averaged network (eval mode, CPU).

        Raises DetectionCancelled when `should_stop` says so; the checkpoint written then resumes at the same step.
        """
        self.resume()
        while self.step < self.step_count:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            losses = []
            for task_index, cases in list(self._batches(epoch))[done:]:
                if should_stop and should_stop():
                    self.save()
                    raise DetectionCancelled(f"Stopped at step {self.step} of {self.step_count}; it can be resumed.")
                losses.append(self._train_on(task_index, cases))
                self.step += 1
                if progress:
                    progress(self.step / self.step_count, f"Epoch {epoch + 1}, loss {losses[-1]:.3f}")
            is_last = self.step == self.step_count
            errors = self.validate() if (epoch + 1) % _EPOCHS_PER_VALIDATION == 0 or is_last else {}
            self.log.write(epoch + 1, self.step, sum(losses) / max(1, len(losses)), errors)
            self.save()
        self.refresh_norms()
        return self.average.module.eval().cpu()

    def _batches(self, epoch: int) -> Iterator[tuple[int, torch.Tensor]]:
        """(task index, case indices) of one epoch: a case at most once, batches of all tasks shuffled together."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
        batches = []
        for index, canvas in enumerate(self.canvases):
            order = torch.randperm(len(canvas), generator=generator)[: self._cases_per_epoch(canvas)]
            batches += [(index, cases) for cases in order.split(self.recipe.batch_size)]
        for position in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[position]

    def _train_on(self, task_index: int, cases: torch.Tensor) -> float:
        canvas = self.canvases[task_index]
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)
        pictures = canvas.pictures[cases].to(self.fabric.device).float() / 255.0
        pictures, canvas_xy = self.augmentations[task_index](pictures, canvas.canvas_xy[cases].to(pictures.device))
        canvas_xy = ordered_ends(canvas_xy, canvas.task.ends)
        self.network.train()
        self._set_learning_rates()
        logits = self.network.logits(self._normalised(pictures), canvas.task.channels)
        loss = self.loss(logits, canvas_xy * _heatmap_over_canvas(logits, pictures), self.recipe.sigma)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.network, self.optimizer, max_norm=self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update_parameters(self.network.module)
        return loss.item()

    def _normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        pictures = pictures.expand(-1, 3, -1, -1)
        normalised = (pictures - self.mean.to(pictures.device)) / self.std.to(pictures.device)
        return normalised.contiguous(memory_format=torch.channels_last)

    def _set_learning_rates(self) -> None:
        warm = min(1.0, (self.step + 1) / max(1, self.recipe.warmup_steps))
        factor = warm * 0.5 * (1.0 + math.cos(math.pi * self.step / self.step_count))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor

    @torch.no_grad()
    def refresh_norms(self) -> None:
        """Take the averaged network's normalisation statistics anew from one pass over each dataset, augmented.

        The running ones belong to weights of the past, not to their average ("precise" batch normalisation: Wu and
        Johnson, Rethinking "Batch" in BatchNorm, 2021, section 3).
        """
        network = self.average.module
        network.train()
        for index, canvas in enumerate(self.canvases):
            torch.manual_seed(self.recipe.seed)
            for number, cases in enumerate(torch.arange(len(canvas)).split(self.recipe.batch_size)):
                for norm in network.norms:
                    norm.momentum = 1.0 / (number + 1)  # the mean over all batches so far
                pictures = canvas.pictures[cases].to(self.fabric.device).float() / 255.0
                pictures, _ = self.augmentations[index](pictures, canvas.canvas_xy[cases].to(pictures.device))
                network.logits(self._normalised(pictures), canvas.task.channels)
        network.eval()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean radial error of the averaged network per task: mm where the spacing is known, otherwise canvas px."""
        self.refresh_norms()
        return {canvas.task.scheme_id: float(self.radial_errors(canvas)[0].nanmean()) for canvas in self.validation}

    @torch.inference_mode()
    def radial_errors(self, canvas: Canvases) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K) radial errors and (N, K) peak scores.

        Errors are in mm, or canvas px where no spacing is known; NaN where a landmark is absent.
        """
        network = self.average.module.eval()
        errors, scores = [], []
        for cases in torch.arange(len(canvas)).split(self.recipe.batch_size):
            pictures = canvas.pictures[cases].to(self.fabric.device).float() / 255.0
            heatmaps = network(self._normalised(pictures), canvas.task.channels)
            peaks = decode_heatmaps(heatmaps)
            canvas_xy = peaks.heatmap_xy / _heatmap_over_canvas(heatmaps, pictures)
            reference = ordered_ends(canvas.canvas_xy[cases], canvas.task.ends)
            distance = (canvas_xy.cpu() - reference).norm(dim=-1)
            errors.append(distance * canvas.mm_per_px[cases].nan_to_num(1.0)[:, None])
            scores.append(peaks.score.cpu())
        return torch.cat(errors), torch.cat(scores)

    def save(self) -> None:
        """Write the checkpoint that `resume` continues from; a half-written one never takes its place."""
        state = {"network": self.network.state_dict(), "average": self.average.state_dict(), "step": self.step}
        state["optimizer"] = self.optimizer.state_dict()
        partial = self.folder / "last.ckpt.part"
        if self.fabric.is_global_zero:
            torch.save(state, partial)
            partial.replace(self.folder / "last.ckpt")

    def resume(self) -> None:
        """Continue from last.ckpt where there is one."""
        checkpoint = self.folder / "last.ckpt"
        if not checkpoint.is_file():
            return
        state = torch.load(checkpoint, map_location=self.fabric.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def _heatmap_over_canvas(heatmaps: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """(2,) factor canvas_xy → heatmap_xy, corners on corners."""
    heatmap_wh = torch.tensor((heatmaps.shape[-1], heatmaps.shape[-2]), dtype=torch.float32)
    canvas_wh = torch.tensor((pictures.shape[-1], pictures.shape[-2]), dtype=torch.float32)
    return ((heatmap_wh - 1) / (canvas_wh - 1)).to(heatmaps.device)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with the trunk at its own rate and no decay on norms and biases."""
    trunk = {id(parameter) for parameter in network.trunk.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        groups.setdefault((id(parameter) in trunk, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak_lr": recipe.trunk_learning_rate if is_trunk else recipe.learning_rate,
                "weight_decay": recipe.weight_decay if is_matrix else 0.0,
            }
            for (is_trunk, is_matrix), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )
