"""Dense features of a frozen trunk, whitened so that what is common to all places does not drown what is special."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..lite import LiteTrunk

_EPSILON = 0.03  # of the mean eigenvalue: directions that hardly vary are not blown up without bound


@torch.no_grad()
def stage_features(trunk: LiteTrunk, canvas: torch.Tensor, stages: Sequence[int]) -> dict[int, torch.Tensor]:
    """(3, H, W) normalised canvas → the output (C, h, w) of each of these stages of the trunk."""
    features = trunk.stem(canvas[None].contiguous(memory_format=torch.channels_last))  # depthwise layers run faster
    kept = {}
    for number, stage in enumerate(trunk.stages[: max(stages) + 1]):
        features = stage(features)
        if number in stages:
            kept[number] = features[0].float()
    return kept


def compared_features(
    one: dict[int, torch.Tensor], other: dict[int, torch.Tensor], stages: Sequence[int], grid_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both pictures' features on one grid, (C, h, w), of unit length at every place; the stages weigh alike.

    Each stage is whitened by the covariance over both pictures (ZCA). Without it the cosine of two features is governed
    by the few directions that vary everywhere; Hariharan et al., Discriminative decorrelation for clustering and
    classification, ECCV 2012, gives the reasoning for other features.
    """
    ours, theirs = [], []
    for stage in stages:
        for whitened, collected in zip(_whitened(one[stage], other[stage]), (ours, theirs), strict=True):
            on_grid = F.interpolate(whitened[None], size=grid_hw, mode="bilinear", align_corners=True)[0]
            collected.append(F.normalize(on_grid, dim=0) / len(stages) ** 0.5)
    return torch.cat(ours), torch.cat(theirs)


def _whitened(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    pooled = torch.cat((one.flatten(1), other.flatten(1)), dim=1)
    mean = pooled.mean(dim=1, keepdim=True)
    pooled = pooled - mean
    covariance = pooled @ pooled.T / pooled.shape[1]
    values, vectors = (part.to(one.device) for part in torch.linalg.eigh(covariance.cpu()))
    values = values.clamp_min(0.0)
    matrix = (vectors * (values + _EPSILON * values.mean().clamp_min(1e-12)).rsqrt()) @ vectors.T
    return tuple((matrix @ (part.flatten(1) - mean)).view_as(part) for part in (one, other))
