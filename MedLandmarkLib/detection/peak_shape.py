"""What a heatmap looks like around and beside its peak: signs of how far the peak can be believed."""

from __future__ import annotations

import torch

# Of the peak's height: what is lower counts as background and does not widen a peak.
_BACKGROUND = 0.1


def second_peak_ratio(heatmaps: torch.Tensor, peak_xy: torch.Tensor, score: torch.Tensor, reach: float) -> torch.Tensor:
    """The highest value more than `reach` heatmap px from the peak (in x or y), over the peak's own.

    heatmaps: (B, K, H, W); peak_xy: (B, K, 2), the highest pixels; score: (B, K). Returns (B, K), 0..1; 1 where there
    is no peak. Near 0: one clear peak. Near 1: another place is about as likely.
    """
    x = torch.arange(heatmaps.shape[3], device=heatmaps.device)
    y = torch.arange(heatmaps.shape[2], device=heatmaps.device)
    is_near_x = (x - peak_xy[..., 0:1]).abs() <= reach  # (B, K, W)
    is_near_y = (y - peak_xy[..., 1:2]).abs() <= reach  # (B, K, H)
    near = is_near_y[..., :, None] & is_near_x[..., None, :]
    second = heatmaps.masked_fill(near, 0.0).amax(dim=(2, 3))
    return torch.where(score > 0, second / score.clamp_min(torch.finfo(torch.float32).tiny), 1.0).clamp(0.0, 1.0)


def peak_spread(heatmaps: torch.Tensor, peak_xy: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Root mean square distance from the peak of what rises above a tenth of its height, in heatmap px.

    Shapes as in `second_peak_ratio`. Returns (B, K); infinite where there is no peak. A Gaussian of sigma s gives about
    1.1 s; a ridge or several peaks give more.
    """
    weight = (heatmaps - _BACKGROUND * score[..., None, None]).clamp_min(0.0)
    x = torch.arange(heatmaps.shape[3], device=heatmaps.device, dtype=torch.float32)
    y = torch.arange(heatmaps.shape[2], device=heatmaps.device, dtype=torch.float32)
    dx2 = (x - peak_xy[..., 0:1].float()).square()
    dy2 = (y - peak_xy[..., 1:2].float()).square()
    moment = (weight.sum(dim=2) * dx2).sum(dim=2) + (weight.sum(dim=3) * dy2).sum(dim=2)
    mass = weight.sum(dim=(2, 3)).clamp_min(torch.finfo(torch.float32).tiny)
    return torch.where(score > 0, (moment / mass).sqrt(), torch.inf)
