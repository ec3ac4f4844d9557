"""Whole pictures: drawn for training, and judged by a teacher that looks at each in several views."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..detection.heatmap import decode_heatmaps
from ..errors import DetectionCancelled
from ..training.augmentation import is_outside
from ..training.bending import bent
from .fitting import HEATMAP_STRIDE, Batch
from .gallery import Gallery
from .labels import PseudoLabels
from .views import NONE, SLIGHT, STRONG, USUAL, GreyChanges, draw_views, normalised

_TEMPLATE_SHARE = 0.25  # of a batch at least one picture
_VIEWS = 3
_BATCH = 4

Reporting = Callable[[float, str], None]


class WholePictures:
    """Draws batches of a gallery with its present labels, which may be renewed at any time.

    bend: how much pictures are bent as well (`training.bending`), as a share of the canvas' diagonal.
    """

    def __init__(self, gallery: Gallery, labels: PseudoLabels, batch_size: int, bend: float = 0.0) -> None:
        self.gallery, self.labels, self.batch_size, self.bend = gallery, labels, batch_size, bend
        self.grey = GreyChanges()

    def draw(self, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        templates = min(self.batch_size, max(1, round(_TEMPLATE_SHARE * self.batch_size)))
        if self.labels.fixed >= templates * 4:  # many annotated pictures: each in its turn
            templates = self.batch_size // 2
        chosen = torch.randint(self.labels.fixed, (templates,), generator=generator)
        trust = self.labels.weight[self.labels.fixed :].mean(dim=1)
        if len(trust) and float(trust.sum()) > 0:
            others = torch.multinomial(trust + 1e-3, self.batch_size - templates, replacement=True, generator=generator)
            chosen = torch.cat((chosen, others + self.labels.fixed))
        else:
            chosen = torch.randint(self.labels.fixed, (self.batch_size,), generator=generator)
        centres = _middle(self.gallery).expand(len(chosen), 2)
        strong = draw_views(
            self.gallery.pictures[chosen[:templates]], centres[:templates], self.gallery.canvas_wh, STRONG, generator
        )
        usual = draw_views(
            self.gallery.pictures[chosen[templates:]], centres[templates:], self.gallery.canvas_wh, USUAL, generator
        )
        pictures = torch.cat((strong.pictures, usual.pictures))
        points = self.labels.canvas_xy[chosen]
        points = torch.cat((strong.from_canvas(points[:templates]), usual.from_canvas(points[templates:])))
        if self.bend:
            pictures, points = _bent(pictures, points, self.bend, seed)
        return Batch(self.grey(pictures, seed), points, self.labels.weight[chosen])


@torch.no_grad()
def taught_points(
    network: nn.Module,
    gallery: Gallery,
    seed: int,
    *,
    device: torch.device,
    progress: Reporting | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, K, 2) canvas px, the median over several views of each picture, and (N, K) px, how far the views lie apart.

    network: canvas → heatmaps, eval mode. Raises DetectionCancelled.
    """
    generator = torch.Generator().manual_seed(seed)
    points, spreads = [], []
    for numbers in torch.arange(len(gallery)).split(_BATCH):
        if should_stop and should_stop():
            raise DetectionCancelled("Stopped while the labels were renewed; it can be resumed.")
        centres = _middle(gallery).expand(len(numbers), 2)
        seen = []
        for view in range(_VIEWS):
            change = SLIGHT if view else NONE
            views = draw_views(gallery.pictures[numbers], centres, gallery.canvas_wh, change, generator)
            peaks = decode_heatmaps(network(normalised(views.pictures.to(device))))
            seen.append(views.to_canvas(peaks.heatmap_xy.cpu() * HEATMAP_STRIDE))
        stacked = torch.stack(seen)  # (V, B, K, 2)
        middle = stacked.median(dim=0).values
        points.append(middle)
        spreads.append((stacked - middle).norm(dim=-1).mean(dim=0) * 1.5)  # unbiased enough for three views
        if progress:
            progress(int(numbers[-1] + 1) / len(gallery), "renewing the labels")
    return torch.cat(points), torch.cat(spreads)


def _bent(pictures: torch.Tensor, points: torch.Tensor, bend: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and points (B, K, 2) bent at random; NaN stays, and stands for what leaves the picture."""
    torch.manual_seed(seed)
    known = points.isfinite().all(dim=-1)
    pictures, moved = bent(pictures, points.nan_to_num(0.0), bend)
    known &= ~is_outside(moved, pictures)
    return pictures, torch.where(known[..., None], moved, torch.full_like(moved, torch.nan))


def _middle(gallery: Gallery) -> torch.Tensor:
    return (torch.tensor(gallery.canvas_wh, dtype=torch.float32) - 1.0) / 2.0
