"""Windows around one landmark: drawn for its specialist, and judged by it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from ..detection.heatmap import decode_heatmaps
from ..models.lite import LiteNetwork
from .fitting import HEATMAP_STRIDE, Batch
from .gallery import Gallery
from .labels import PseudoLabels
from .views import SLIGHT, STRONG, USUAL, GreyChanges, draw_views, normalised

_TEMPLATES, _BANK = 0.2, 0.2  # shares of a batch: annotated windows, and the most certain of the others
_BANK_SIZE = 12
_VIEWS, _BATCH = 3, 48
_UNLIKE = 4.0  # robust standard deviations below the usual likeness to the annotated windows


@dataclass(frozen=True)
class Judged:
    """canvas_xy: (N, 1, 2); spread_px: (N, 1), how far the views lie apart.

    likeness: (N,), the cosine with the template that is most like it.
    """

    canvas_xy: torch.Tensor
    spread_px: torch.Tensor
    likeness: torch.Tensor


class Windows:
    """Draws windows of a gallery around the present labels (N, 1, 2) of one landmark."""

    def __init__(self, gallery: Gallery, labels: PseudoLabels, side: int, batch_size: int) -> None:
        self.gallery, self.labels, self.side, self.batch_size = gallery, labels, side, batch_size
        self.grey = GreyChanges()
        self.bank = torch.arange(0)  # the most certain pictures: further templates, renewed with the labels

    def renew(self, judged: Judged, diagonal: float) -> None:
        """New labels from what the specialist found; windows unlike all annotated ones are not believed."""
        labels = self.labels.renewed(judged.canvas_xy, judged.spread_px, diagonal)
        usual = judged.likeness.median()
        deviation = 1.4826 * (judged.likeness - usual).abs().median()
        unlike = judged.likeness < usual - _UNLIKE * deviation.clamp_min(0.01)
        unlike[: labels.fixed] = False
        self.labels = replace(labels, weight=labels.weight * ~unlike[:, None])
        self.bank = self.labels.most_certain(_BANK_SIZE)

    def draw(self, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        annotated = self.labels.weight[: self.labels.fixed, 0].nonzero()[:, 0]
        templates = max(1, round(_TEMPLATES * self.batch_size))
        if len(annotated) > 2 * templates:
            templates = self.batch_size // 2
        chosen = [annotated[torch.randint(len(annotated), (templates,), generator=generator)]]
        if len(self.bank):
            share = round(_BANK * self.batch_size)
            chosen.append(self.bank[torch.randint(len(self.bank), (share,), generator=generator)])
        trust = self.labels.weight[self.labels.fixed :, 0]
        left = self.batch_size - sum(len(part) for part in chosen)
        if len(trust) and float(trust.sum()) > 0:
            picked = torch.multinomial(trust + 1e-4, left, replacement=True, generator=generator)
            chosen.append(picked + self.labels.fixed)
        else:
            chosen.append(annotated[torch.randint(len(annotated), (left,), generator=generator)])
        numbers = torch.cat(chosen)
        points = self.labels.canvas_xy[numbers]
        parts = [
            (
                part,
                draw_views(self.gallery.pictures[numbers[part]], points[part, 0], (self.side,) * 2, change, generator),
            )
            for part, change in ((slice(0, templates), STRONG), (slice(templates, None), USUAL))
        ]
        placed = torch.cat([views.from_canvas(points[part]) for part, views in parts])
        pictures = self.grey(torch.cat([views.pictures for _, views in parts]), seed)
        return Batch(pictures, placed, self.labels.weight[numbers])

    @torch.no_grad()
    def judged(self, network: LiteNetwork, seed: int, device: torch.device) -> Judged:
        """What a specialist (eval mode) finds in every picture, in several views around the present labels."""
        generator = torch.Generator().manual_seed(seed)
        centres = self.labels.canvas_xy[:, 0].nan_to_num(0.0)
        points, spreads, features = [], [], []
        for numbers in torch.arange(len(self.gallery)).split(_BATCH):
            seen, described = [], []
            for _ in range(_VIEWS):
                views = draw_views(
                    self.gallery.pictures[numbers], centres[numbers], (self.side,) * 2, SLIGHT, generator
                )
                found, description = _answers(network, normalised(views.pictures.to(device)))
                seen.append(views.to_canvas(found.cpu() * HEATMAP_STRIDE))
                described.append(description.cpu())
            stacked = torch.stack(seen)
            middle = stacked.median(dim=0).values
            points.append(middle)
            spreads.append((stacked - middle).norm(dim=-1).mean(dim=0) * 1.5)
            features.append(torch.stack(described).mean(dim=0))
        described = F.normalize(torch.cat(features), dim=1)
        annotated = self.labels.weight[: self.labels.fixed, 0] > 0
        templates = torch.cat((described[: self.labels.fixed][annotated], described[self.bank]))
        return Judged(torch.cat(points), torch.cat(spreads), (described @ templates.T).amax(dim=1))


def _answers(network: nn.Module, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 1, 2) heatmap px, and (B, width) the decoder's features there."""
    features = network.decoder(network.trunk(windows))
    logits = F.conv2d(features, network.final.weight, network.final.bias)
    peaks = decode_heatmaps(logits.float().flatten(2).softmax(dim=2).view_as(logits) * 25.0)
    height, width = features.shape[-2:]
    places = peaks.heatmap_xy / torch.tensor([width - 1.0, height - 1.0], device=features.device) * 2.0 - 1.0
    sampled = F.grid_sample(features.float(), places[:, None], align_corners=True)[:, :, 0, 0]
    return peaks.heatmap_xy, sampled
