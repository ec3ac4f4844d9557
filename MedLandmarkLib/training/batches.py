"""The order in which a training sees its images; it follows from the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..detection.ends import ordered_ends
from .augmentation import AUGMENTATIONS, Augmentation
from .canvases import Canvases
from .recipe import Recipe


@dataclass(frozen=True)
class Portion:
    """A part of a step's images that goes through the network at once; weight: its share of the step's loss."""

    task_index: int
    cases: torch.Tensor
    number: int
    weight: float


class Batches:
    """All steps of a run. A step takes images of one task, in `portions` portions of at most recipe.batch_size.

    Two processes that take a portion each go through the same step as one that takes both in turn.
    """

    def __init__(self, canvases: Sequence[Canvases], recipe: Recipe, portions: int = 1) -> None:
        self.canvases, self.recipe, self.portions = list(canvases), recipe, portions
        self.augmentations = [
            Augmentation(AUGMENTATIONS[recipe.augmentation_of(task.scheme_id)], task.mirrored_order)
            for task in (canvas.task for canvas in self.canvases)
        ]

    @property
    def steps_per_epoch(self) -> int:
        return sum(-(-self._cases_per_epoch(canvas) // self._images_per_step) for canvas in self.canvases)

    @property
    def _images_per_step(self) -> int:
        return self.recipe.batch_size * self.portions

    def _cases_per_epoch(self, canvas: Canvases) -> int:
        return min(len(canvas), self.recipe.cases_per_epoch or len(canvas))

    def steps(self, epoch: int) -> Iterator[tuple[int, torch.Tensor]]:
        """(task index, case indices) of one epoch: a case at most once, steps of all tasks shuffled together."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)
        steps = []
        for index, canvas in enumerate(self.canvases):
            order = torch.randperm(len(canvas), generator=generator)[: self._cases_per_epoch(canvas)]
            steps += [(index, cases) for cases in order.split(self._images_per_step)]
        for position in torch.randperm(len(steps), generator=generator).tolist():
            yield steps[position]

    def share(self, task_index: int, cases: torch.Tensor, first: int, every: int) -> list[Portion]:
        """Portions first, first + every, … of a step; one without images repeats an image with weight 0."""
        return [
            Portion(task_index, part if len(part) else cases[:1], number, len(part) / len(cases))
            for number, part in enumerate(cases.tensor_split(self.portions))
            if number % every == first
        ]

    def augmented(self, portion: Portion, step: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, H, W) pictures 0..1 and (B, K, 2) canvas_xy of a portion, on `device`, changed as its place says."""
        canvas = self.canvases[portion.task_index]
        torch.manual_seed(self.recipe.seed * 1_000_003 + step + 15_485_863 * portion.number)
        pictures, canvas_xy = self.augmentations[portion.task_index](*loaded(canvas, portion.cases, device))
        return pictures, ordered_ends(canvas_xy, canvas.task.ends)


def loaded(canvas: Canvases, cases: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, C, H, W) pictures 0..1 and (B, K, 2) canvas_xy, as they are, on `device`."""
    return canvas.pictures[cases].to(device).float() / 255.0, canvas.canvas_xy[cases].to(device)
