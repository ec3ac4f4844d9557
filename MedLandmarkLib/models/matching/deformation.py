"""Points found together: each where its own map is high, all of them as a smooth deformation of the template."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .correlation import top_of

_ROUNDS = 7


@dataclass(frozen=True)
class Smoothness:
    """What is expected of the deformation, canvas px: its size, over which distance it changes, what each point adds.

    softness: the difference in cosine that counts as one unit of log-likelihood.
    """

    size: float
    length: float
    own: float
    softness: float

    def times(self, px: float) -> Smoothness:
        """In px, where the lengths are shares of so many px."""
        return Smoothness(self.size * px, self.length * px, self.own * px, self.softness)


def smoothly_placed(
    maps: torch.Tensor,
    stride: float,
    expected_xy: torch.Tensor,
    smooth: Smoothness,
    apart_xy: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, 2) canvas px where the points lie, and (K,) px the standard deviation with which the others foretell each.

    maps: (K, h, w) cosines; expected_xy: (K, 2), the points before the deformation; apart_xy: (K, 2), where they lie to
    each other, if each map has an origin of its own. The deviations from it are a
    Gaussian process (covariance size² exp(-d² / 2 length²)); each point is placed at the top of its map plus the
    logarithm of what the others foretell, in turns until they agree (iterated conditional modes; Besag, 1986).
    """
    height, width = maps.shape[1:]
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    grid = torch.stack((x, y), dim=-1).to(maps.device).float()  # (h, w, 2)
    apart_xy = expected_xy if apart_xy is None else apart_xy
    distance2 = torch.cdist(apart_xy, apart_xy).square()
    kernel = smooth.size**2 * torch.exp(-distance2 / (2.0 * smooth.length**2))
    foretold, variance = expected_xy, torch.full((len(maps),), smooth.size**2, device=maps.device)
    scaled = maps / smooth.softness
    for _ in range(_ROUNDS):
        squared = (grid[None] - foretold[:, None, None]).square().sum(dim=-1)
        likely = scaled - squared / (2.0 * (variance + smooth.own**2))[:, None, None]
        placed = top_of(likely, stride)
        share = likely.flatten(1).softmax(dim=1).view_as(likely)
        spread = (share * (grid[None] - placed[:, None, None]).square().sum(dim=-1)).sum(dim=(1, 2)) / 2.0
        noise = spread + (0.25 * stride) ** 2 + smooth.own**2
        inverse = torch.linalg.inv((kernel + torch.diag(noise)).cpu().double()).to(maps.device).float()
        diagonal = torch.diag(inverse)
        deviation = placed - expected_xy
        # what all others say about each (Sundararajan and Keerthi, Neural Computation 13, 2001)
        foretold = expected_xy + deviation - (inverse @ deviation) / diagonal[:, None]
        variance = (1.0 / diagonal - noise).clamp_min(1.0)
    return placed, variance.sqrt()
