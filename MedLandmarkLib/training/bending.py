"""Smooth random deformations of pictures, with the landmarks following exactly (kornia's leave keypoints behind).

After Simard, Steinkraus and Platt, Best practices for convolutional neural networks, ICDAR 2003, section 2; here the
displacements are drawn on a coarse grid and interpolated.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_CONTROL_POINTS = 6  # along each side
_ROUNDS = 12


def bent(pictures: torch.Tensor, canvas_xy: torch.Tensor, bend: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, C, H, W) and landmarks (B, K, 2), canvas px, bent; what comes in from outside is black.

    bend: standard deviation of the control points' displacement, as a share of the canvas' diagonal.
    """
    height, width = pictures.shape[2:]
    count = len(pictures)
    drawn = torch.randn(count, 2, _CONTROL_POINTS, _CONTROL_POINTS, device=pictures.device)
    drawn = drawn * bend * math.hypot(width, height)
    displacement = F.interpolate(drawn, size=(height, width), mode="bicubic", align_corners=True)  # px
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((x, y), dim=-1).to(pictures.device) + displacement.permute(0, 2, 3, 1)
    limit = torch.tensor([width - 1.0, height - 1.0], device=pictures.device)
    moved = F.grid_sample(pictures, places / limit * 2.0 - 1.0, align_corners=True)
    # the new place p of what was at q: p + displacement(p) = q
    placed = canvas_xy
    for _ in range(_ROUNDS):
        there = F.grid_sample(
            displacement, (placed / limit * 2.0 - 1.0)[:, :, None], align_corners=True, padding_mode="border"
        )
        placed = canvas_xy - there[..., 0].transpose(1, 2)
    return moved, placed
