"""Dense features of a frozen trunk, whitened so that what is common to all places does not drown what is special."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..lite import LiteTrunk

_EPSILON = 0.03  # of the mean eigenvalue: directions that hardly vary are not blown up without bound


def stage_features(trunk: LiteTrunk, canvas: torch.Tensor, stages: Sequence[int]) -> dict[int, torch.Tensor]:
    """(3, H, W) normalised canvas → the output (C, h, w) of each of these stages of the trunk."""
    return {number: features[0] for number, features in window_features(trunk, canvas[None], stages).items()}


@torch.no_grad()
def window_features(trunk: LiteTrunk, windows: torch.Tensor, stages: Sequence[int]) -> dict[int, torch.Tensor]:
    """(N, 3, H, W) normalised windows → the output (N, C, h, w) of each of these stages of the trunk."""
    features = trunk.stem(windows.contiguous(memory_format=torch.channels_last))  # depthwise layers run faster
    kept = {}
    for number, stage in enumerate(trunk.stages[: max(stages) + 1]):
        features = stage(features)
        if number in stages:
            kept[number] = features.float()
    return kept


def compared_features(
    one: dict[int, torch.Tensor], other: dict[int, torch.Tensor], stages: Sequence[int], grid_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both pictures' features on one grid, (C, h, w), of unit length at every place; the stages weigh alike.

    Each stage is whitened by the covariance over both pictures (ZCA). Without it the cosine of two features is governed
    by the few directions that vary everywhere; Hariharan et al., Discriminative decorrelation for clustering and
    classification, ECCV 2012, gives the reasoning for other features.
    """
    ours, theirs = (compared[0] for compared in _compared(
        {stage: one[stage][None] for stage in stages}, {stage: other[stage][None] for stage in stages}, grid_hw
    ))  # fmt: skip
    return ours, theirs


def compared_windows(
    one: dict[int, torch.Tensor], other: dict[int, torch.Tensor], stages: Sequence[int], side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `compared_features`, of windows (N, c, h, w): (N, C, side, side); whitened over all windows of both."""
    return _compared({stage: one[stage] for stage in stages}, {stage: other[stage] for stage in stages}, (side, side))


def _compared(
    one: dict[int, torch.Tensor], other: dict[int, torch.Tensor], grid_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    ours, theirs = [], []
    for stage in one:
        for whitened, collected in zip(_whitened(one[stage], other[stage]), (ours, theirs), strict=True):
            on_grid = F.interpolate(whitened, size=grid_hw, mode="bilinear", align_corners=True)
            collected.append(F.normalize(on_grid, dim=1) / len(one) ** 0.5)
    return torch.cat(ours, dim=1), torch.cat(theirs, dim=1)


def _whitened(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, C, h, w) each."""
    places = [part.transpose(0, 1).flatten(1) for part in (one, other)]  # (C, N h w)
    pooled = torch.cat(places, dim=1)
    mean = pooled.mean(dim=1, keepdim=True)
    pooled = pooled - mean
    covariance = pooled @ pooled.T / pooled.shape[1]
    values, vectors = (part.to(one.device) for part in torch.linalg.eigh(covariance.cpu()))
    values = values.clamp_min(0.0)
    matrix = (vectors * (values + _EPSILON * values.mean().clamp_min(1e-12)).rsqrt()) @ vectors.T
    return tuple(
        (matrix @ (flat - mean)).unflatten(1, (part.shape[0], *part.shape[2:])).transpose(0, 1)
        for flat, part in zip(places, (one, other), strict=True)
    )
