"""How like a patch of features around a point of one picture is to every place of another."""

from __future__ import annotations

import torch
import torch.nn.functional as F

_REACH = 2  # grid points to either side of the middle of a patch
_DILATION = 2  # a patch spans more of the picture with fewer products


def correlate(patches_of: torch.Tensor, points_xy: torch.Tensor, features: torch.Tensor, stride: float) -> torch.Tensor:
    """(K, h, w) cosine, -1..1, of the patch around each point of one picture with the patch around each place.

    patches_of, features: (C, h, w), one grid of `stride` canvas px; points_xy: (K, 2) canvas px.
    """
    kernels = _patches(patches_of, points_xy / stride)
    padding = _REACH * _DILATION
    raw = F.conv2d(features[None], kernels, padding=padding, dilation=_DILATION)[0]
    ones = torch.ones(1, 1, 2 * _REACH + 1, 2 * _REACH + 1, device=features.device)
    energy = F.conv2d(features.square().sum(0)[None, None], ones, padding=padding, dilation=_DILATION)[0]
    return raw / energy.clamp_min(1e-6).sqrt()


def correlate_each(
    patches_of: torch.Tensor, points_xy: torch.Tensor, features: torch.Tensor, stride: float
) -> torch.Tensor:
    """As `correlate`, each point with windows of its own: patches_of, features (K, C, h, w); points_xy (K, 2)."""
    kernels = torch.cat([_patches(*pair) for pair in zip(patches_of, points_xy[:, None] / stride, strict=True)])
    padding, count = _REACH * _DILATION, len(features)
    raw = F.conv2d(features.flatten(0, 1)[None], kernels, padding=padding, dilation=_DILATION, groups=count)[0]
    ones = torch.ones(1, 1, 2 * _REACH + 1, 2 * _REACH + 1, device=features.device)
    energy = F.conv2d(features.square().sum(1, keepdim=True), ones, padding=padding, dilation=_DILATION)[:, 0]
    return raw / energy.clamp_min(1e-6).sqrt()


def _patches(features: torch.Tensor, grid_xy: torch.Tensor) -> torch.Tensor:
    """(K, C, n, n) of unit length, sampled around each point."""
    offset = torch.arange(-_REACH, _REACH + 1, device=features.device) * float(_DILATION)
    dy, dx = torch.meshgrid(offset, offset, indexing="ij")
    places = torch.stack((grid_xy[:, 0, None, None] + dx, grid_xy[:, 1, None, None] + dy), dim=-1)
    height, width = features.shape[1:]
    places = places / torch.tensor([width - 1.0, height - 1.0], device=features.device) * 2.0 - 1.0
    sampled = F.grid_sample(
        features[None], places.flatten(0, 1)[None], align_corners=True, padding_mode="border"
    )  # (1, C, K n, n)
    side = 2 * _REACH + 1
    patches = sampled[0].unflatten(1, (len(grid_xy), side)).transpose(0, 1)
    return patches / patches.flatten(1).norm(dim=1).clamp_min(1e-6)[:, None, None, None]


def best_places(maps: torch.Tensor, count: int, stride: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` highest places of each map that are not neighbours: (K, count, 2) canvas px and their values."""
    radius = 3
    peaks = F.max_pool2d(maps[None], 2 * radius + 1, stride=1, padding=radius)[0]
    alone = torch.where(maps >= peaks, maps, torch.full_like(maps, -1.0))
    values, flat = alone.flatten(1).topk(count, dim=1)
    return _refined(maps, flat) * stride, values


def top_of(maps: torch.Tensor, stride: float) -> torch.Tensor:
    """(K, 2) canvas px: the highest place of each map, refined to a fraction of the grid."""
    return _refined(maps, maps.flatten(1).argmax(dim=1, keepdim=True))[:, 0] * stride


def _refined(maps: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
    """(K, n, 2) grid px: places (K, n), as flat numbers, after one Newton step along each axis."""
    height, width = maps.shape[1:]
    x, y = (flat % width).clamp(1, width - 2), (flat // width).clamp(1, height - 2)
    number = torch.arange(len(maps), device=maps.device)[:, None]
    here = maps[number, y, x]

    def step(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        curvature = (before + after - 2.0 * here).clamp_max(-1e-6)
        return (-(after - before) / 2.0 / curvature).clamp(-0.6, 0.6)

    dx = step(maps[number, y, x - 1], maps[number, y, x + 1])
    dy = step(maps[number, y - 1, x], maps[number, y + 1, x])
    return torch.stack((x + dx, y + dy), dim=-1)
