"""Fitting a heatmap network to one or several datasets at once.

Every step's images come from one dataset, and only that dataset's channels are computed for it: the union head learns
from each image what was annotated in it and nothing about the rest, as a loss masked by visibility would.
The order of the images and every random change follow from the seed and the step, so that a run that was stopped and
resumed goes through the same steps as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from ..errors import DatasetError, DetectionCancelled
from .average import RunningAverage, learned_tensors
from .batches import Batches
from .canvases import Canvases
from .checkpoint import checkpoint_bytes, ensure_room, save_checkpoint
from .files import load_checkpoint
from .identity import require_same_run, run_identity
from .log import TrainingLog
from .losses import LOSSES, grouped
from .optimizer import LayersFromEnd, build_optimizer, set_learning_rates
from .pace import Pace
from .recipe import Recipe
from .tasks import dataset_name
from .validation import Normaliser, heatmap_over_canvas, radial_errors, refresh_norms

Progress = Callable[[float, str], None]

LAST, BEST = "last.ckpt", "best.ckpt"
# of what is learned, on the disk at once: weights, average and two moments, old and new; the best; the model
_COPIES = 10


class Fitting:
    """One training run: network, optimizer, running average and the step it has reached.

    network must offer `logits` and `forward` (canvas, channels) and `norms`, as LiteNetwork does; what requires no
    gradient stays as it is. mean and std (3 numbers, 0..255) normalise the canvas. fabric: launched; default: one
    device. Every device takes `recipe.accumulate` portions of a step.
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
        layers_from_end: LayersFromEnd = lambda name: None,
        validation: Sequence[Canvases] = (),
        fabric: Fabric | None = None,
    ) -> None:
        self.recipe, self.folder, self.validation = recipe, folder, list(validation)
        self.fabric = fabric or Fabric(accelerator="auto", devices=1, precision=recipe.precision)
        self.batches = Batches(canvases, recipe, recipe.accumulate * self.fabric.world_size)
        # depthwise convolutions run several times faster with channels last, on the CPU as on CUDA
        network = network.to(memory_format=torch.channels_last)
        optimizer = build_optimizer(network, recipe, layers_from_end)
        self.wrapped, self.optimizer = self.fabric.setup(network, optimizer)
        self.wrapped.mark_forward_method("logits")
        self.network = self.wrapped.module
        self.frozen = [part for part in self.network.modules() if not any(p.requires_grad for p in part.parameters())]
        self.average = RunningAverage(self.network, recipe.ema_decay)
        self.normalise = Normaliser(mean, std, self.fabric.device)
        self.loss = LOSSES[recipe.loss]
        self.log = TrainingLog(folder / "log.csv")
        self.step = 0
        self.seconds = 0.0  # of earlier sittings
        self.epoch_losses: list[float] = []
        self.best = {"epoch": 0, "error": math.inf, "validations since": 0}

    @property
    def step_count(self) -> int:
        return self.batches.steps_per_epoch * self.recipe.epochs

    @property
    def is_exhausted(self) -> bool:
        """Whether the error did not get better for as many validations as the recipe's patience."""
        patience = self.recipe.patience
        return patience is not None and self.best["validations since"] >= patience

    def run(self, *, progress: Progress | None = None, should_stop: Callable[[], bool] | None = None) -> nn.Module:
        """Fit to the end, or from the last checkpoint on, and return the network with the best averaged weights.

        The best are those of the validation with the least error; without held-out images, the last.
        Raises DetectionCancelled when `should_stop` says so; the checkpoint written then resumes at the same step.
        Raises ModelError where the disk is full (before the first step, where that can be seen), DatasetError where
        the loss is no number; the last checkpoint still stands then.
        """
        self.resume()
        ensure_room(self.folder, _COPIES * checkpoint_bytes(self.average.tensors))
        while self.step < self.step_count and not self.is_exhausted:
            self._run_epoch(progress, should_stop)
        self._take_best()
        return self.network

    def _run_epoch(self, progress: Progress | None, should_stop: Callable[[], bool] | None) -> None:
        epoch, done = divmod(self.step, self.batches.steps_per_epoch)
        if done == 0:
            self.epoch_losses = []
        pace, every = Pace(), self.recipe.checkpoint_every
        for task_index, cases in list(self.batches.steps(epoch))[done:]:
            if self._is_asked_to_stop(should_stop):
                self.seconds += pace.elapsed
                self.save()
                raise DetectionCancelled(f"Stopped at step {self.step} of {self.step_count}; it can be resumed.")
            self.epoch_losses.append(self._train_on(task_index, cases, pace))
            self.step += 1
            if progress:
                progress(self.step / self.step_count, f"Epoch {epoch + 1}, loss {self.epoch_losses[-1]:.3f}")
            if every and self.step % every == 0 and self.step % self.batches.steps_per_epoch:
                self.save()
        self._close_epoch(epoch + 1, pace)

    def _close_epoch(self, epoch: int, pace: Pace) -> None:
        """Validate where it is due, keep the best, write log and checkpoint."""
        pace.end()
        is_due = epoch % self.recipe.validate_every == 0 or self.step == self.step_count
        errors = self.validate() if is_due and self.validation else {}
        if errors:
            self._keep_if_best(epoch, errors)
        self.seconds += pace.elapsed
        if self.fabric.is_global_zero:
            self.log.write(
                epoch,
                self.step,
                sum(self.epoch_losses) / len(self.epoch_losses),
                errors,
                seconds=self.seconds,
                pace=pace,
                learning_rate=max(group["lr"] for group in self.optimizer.param_groups),
                best_epoch=self.best["epoch"],
            )
        self.save()

    def _is_asked_to_stop(self, should_stop: Callable[[], bool] | None) -> bool:
        """Whether any process was asked: all must leave at the same step."""
        is_asked = bool(should_stop and should_stop())
        if self.fabric.world_size == 1:
            return is_asked
        return self.fabric.strategy.reduce_boolean_decision(is_asked, all=False)

    def _train_on(self, task_index: int, cases: torch.Tensor, pace: Pace) -> float:
        """One step; returns its loss."""
        task, world = self.batches.canvases[task_index].task, self.fabric.world_size
        self.wrapped.train()
        for module in self.frozen:
            module.training = False
        set_learning_rates(self.optimizer, self.step, self.step_count, self.recipe.warmup_steps)
        step_loss = torch.zeros((), device=self.fabric.device)
        portions = self.batches.share(task_index, cases, self.fabric.global_rank, world)
        for portion in portions:
            with pace.waiting():
                pictures, canvas_xy = self.batches.augmented(portion, self.step, self.fabric.device)
            with self.fabric.no_backward_sync(self.wrapped, enabled=portion is not portions[-1]):
                logits = self.wrapped.logits(self.normalise(pictures), task.channels)
                heatmap_xy = canvas_xy * heatmap_over_canvas(logits, pictures)
                loss = grouped(self.loss, logits, heatmap_xy, self.recipe.sigma, len(task.landmark_names))
                self.fabric.backward(loss * (portion.weight * world))  # the processes' gradients are averaged
            step_loss += loss.detach() * portion.weight
        pace.images += len(cases)
        value = float(self.fabric.all_reduce(step_loss, reduce_op="sum"))
        self._require_number(value, "loss", task_index)
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=self.recipe.gradient_clip, error_if_nonfinite=False
        )
        if self.recipe.precision != "16-mixed":  # which passes over steps that overflow
            self._require_number(float(norm), "gradient", task_index)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return value

    def _require_number(self, value: float, what: str, task_index: int) -> None:
        if not math.isfinite(value):
            task = self.batches.canvases[task_index].task
            kept = f"{LAST} holds the run before it" if (self.folder / LAST).is_file() else "nothing was saved yet"
            raise DatasetError(
                f"The {what} became {value} at step {self.step + 1} of {self.step_count}, on {dataset_name(task)} "
                f"({task.scheme_id}); {kept}. Try a lower learning rate, a longer warm-up or precision 32-true, with "
                "another --output."
            )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean radial error of the averaged network per scheme: mm where the spacing is known, otherwise canvas px."""
        with self.average.in_place():
            refresh_norms(self.network, self.batches, self.normalise, self.fabric.device)
            errors: dict[str, list[torch.Tensor]] = {}
            for canvas in self.validation:
                errors.setdefault(canvas.task.scheme_id, []).append(self.radial_errors(canvas)[0].flatten())
        # one process decides for all which epoch is the best
        return self.fabric.broadcast({scheme: float(torch.cat(own).nanmean()) for scheme, own in errors.items()})

    def radial_errors(self, canvas: Canvases) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K) radial errors and peak scores of the network as it is; see validation.radial_errors."""
        self.network.eval()
        return radial_errors(self.network, canvas, self.normalise, self.fabric.device, self.recipe.batch_size)

    def _keep_if_best(self, epoch: int, errors: dict[str, float]) -> None:
        """The geometric mean over schemes decides: a scheme in px, or with large errors, then weighs as any other."""
        known = [error for error in errors.values() if math.isfinite(error)]
        error = math.exp(sum(math.log(max(error, 1e-6)) for error in known) / len(known)) if known else math.inf
        self.best["validations since"] += 1
        if error < self.best["error"]:
            self.best = {"epoch": epoch, "error": error, "validations since": 0}
            if self.fabric.is_global_zero:
                save_checkpoint({"average": self.average.tensors, **self.best}, self.folder / BEST)

    def _take_best(self) -> None:
        """Put the best averaged weights into the network, for good."""
        self.fabric.barrier()  # the first process writes the file
        best = load_checkpoint(self.folder / BEST, self.fabric.device) if self.best["epoch"] else None
        if best is not None:
            self.average.load(best["average"])
        _copy_into(learned_tensors(self.network), self.average.tensors)
        if best is None:
            refresh_norms(self.network, self.batches, self.normalise, self.fabric.device)
        self.network.eval()

    def save(self) -> None:
        """Write the checkpoint that `resume` continues from; a half-written one never takes its place."""
        if self.fabric.is_global_zero:
            state: dict[str, Any] = {
                "network": {name: tensor.detach() for name, tensor in learned_tensors(self.network).items()},
                "average": self.average.tensors,
                "optimizer": self.optimizer.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "epoch losses": self.epoch_losses,
                "best": self.best,
                "identity": run_identity(self.batches),
            }
            save_checkpoint(state, self.folder / LAST)

    def resume(self) -> None:
        """Continue from last.ckpt where there is one. Raises DatasetError where it is damaged or of another run."""
        state = load_checkpoint(self.folder / LAST, self.fabric.device)
        if state is None:
            return
        require_same_run(self.folder, state.get("identity"), run_identity(self.batches))
        # earlier versions kept the average inside a wrapper
        average = {name.removeprefix("module."): tensor for name, tensor in state["average"].items()}
        _copy_into(learned_tensors(self.network), state["network"])
        self.average.load(average)
        self.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        self.step, self.seconds = state["step"], state.get("seconds", 0.0)
        self.epoch_losses, self.best = state.get("epoch losses", []), state.get("best", self.best)
        if self.fabric.is_global_zero:
            self.log.resume_at(self.step)


@torch.no_grad()
def _copy_into(targets: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]) -> None:
    for name, target in targets.items():
        target.copy_(tensors[name])
