"""What a heatmap network is fitted to. Every loss is silent where a landmark is not annotated."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..detection.heatmap import encode_heatmaps


def heatmap_cross_entropy(logits: torch.Tensor, heatmap_xy: torch.Tensor, sigma: float) -> torch.Tensor:
    """Cross-entropy between a Gaussian around each landmark and the softmax of its map over all positions.

    logits: (B, K, H, W); heatmap_xy: (B, K, 2), NaN where absent. Returns a scalar: the mean over landmarks present.
    Its gradient does not fade on a large empty map, as that of a squared error does.
    """
    target = encode_heatmaps(heatmap_xy, (logits.shape[-1], logits.shape[-2]), sigma).flatten(2)
    mass = target.sum(dim=2, keepdim=True)
    present = mass[..., 0] > 0
    target = target / mass.clamp_min(1e-6)
    per_landmark = -(target * logits.float().flatten(2).log_softmax(dim=2)).sum(dim=2)
    return per_landmark[present].sum() / present.sum().clamp_min(1)


def heatmap_squared_error(heatmaps: torch.Tensor, heatmap_xy: torch.Tensor, sigma: float) -> torch.Tensor:
    """Mean squared error to a Gaussian of height 1, averaged over the landmarks present (the reference's loss).

    heatmaps: (B, K, H, W); heatmap_xy: (B, K, 2), NaN where absent.
    """
    target = encode_heatmaps(heatmap_xy, (heatmaps.shape[-1], heatmaps.shape[-2]), sigma)
    present = ~heatmap_xy.isnan().any(dim=-1)
    per_landmark = (heatmaps.float() - target).square().mean(dim=(2, 3))
    return per_landmark[present].sum() / present.sum().clamp_min(1)


def grouped(
    loss: Callable[..., torch.Tensor], maps: torch.Tensor, heatmap_xy: torch.Tensor, sigma: float, first: int
) -> torch.Tensor:
    """A loss of the first landmarks, plus that of all others where there are any: both groups weigh alike."""
    own = loss(maps[:, :first], heatmap_xy[:, :first], sigma)
    return own if maps.shape[1] == first else own + loss(maps[:, first:], heatmap_xy[:, first:], sigma)


LOSSES = {"cross_entropy": heatmap_cross_entropy, "squared_error": heatmap_squared_error}
