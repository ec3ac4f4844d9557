"""Further views of a picture, a little nearer, farther or moved, whose heatmaps are averaged with those of the whole.

A network's errors depend on where a landmark falls on its grid and at which scale; part of them goes away in the mean
over several views (test-time augmentation; Krizhevsky et al., NeurIPS 2012, section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from ..models.catalogue import View
from .canvas import CanvasGeometry

# In the order in which they help most; chosen on images held out of the embedded model's training.
STANDARD_VIEWS = (View(0.9), View(0.95, (0.01, 0.01)), View(1.05, (-0.01, 0.01)))
MOST_LOOKS = 1 + len(STANDARD_VIEWS)


def further_views(looks: int) -> tuple[View, ...]:
    """What is looked at besides the whole picture, in 1 to MOST_LOOKS looks altogether."""
    return STANDARD_VIEWS[: looks - 1]


def view_geometry(geometry: CanvasGeometry, view: View) -> CanvasGeometry:
    """The canvas of one view: its region is `view.scale` times that of the whole picture, and moved."""
    width, height = (side - 1.0 for side in geometry.picture_wh)
    middle_x, middle_y = (0.5 + view.shift[0]) * width, (0.5 + view.shift[1]) * height
    reach_x, reach_y = 0.5 * view.scale * width, 0.5 * view.scale * height
    return replace(geometry, box_xyxy=(middle_x - reach_x, middle_y - reach_y, middle_x + reach_x, middle_y + reach_y))


def averaged_views(looks: Sequence[torch.Tensor], geometries: Sequence[Sequence[CanvasGeometry]]) -> torch.Tensor:
    """(B, K, h, w): the mean of all looks on the grid of the first, at each place over those that see it.

    looks: (B, K, h, w) heatmaps each; geometries: for each look, those of the B pictures.
    """
    total = looks[0].clone()
    seen_by = torch.ones_like(total[:, :1])
    for heatmaps, own in zip(looks[1:], geometries[1:], strict=True):
        grid = torch.stack([_places(one, onto) for one, onto in zip(own, geometries[0], strict=True)])
        grid = grid.to(heatmaps.device)
        total += F.grid_sample(heatmaps, grid, align_corners=True)
        seen_by += (grid.abs() <= 1.0).all(dim=-1)[:, None]
    return total / seen_by


def _places(of: CanvasGeometry, onto: CanvasGeometry) -> torch.Tensor:
    """(h, w, 2) float32: where each pixel of the heatmap of `onto` lies on that of `of`, -1..1 for grid_sample."""
    width, height = onto.heatmap_wh
    heatmap_xy = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    there_xy = of.heatmap_from_picture(onto.picture_from_heatmap(heatmap_xy))
    return torch.from_numpy(there_xy / (np.array(of.heatmap_wh) - 1.0) * 2.0 - 1.0).float()
