"""Many landmarks in one network that hardly disturb each other: shared weights, and an adapter for each landmark.

After "Landmarks Are Alike Yet Distinct" (arXiv 2503.16058): what landmarks have in common is computed once, what tells
them apart stays private.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .adapters import LandmarkAdapter
from .lite import DomainNorm, LiteDecoder, LiteTrunk


class FusionNetwork(nn.Module):
    """Pictures to heatmaps at a quarter of the canvas' resolution.

    keypoints: K. width: channels of the shared features. adapter_width: of each landmark's own. sigma: heatmap px.
    """

    def __init__(self, keypoints: int, width: int = 64, adapter_width: int = 8, sigma: float = 2.0) -> None:
        super().__init__()
        self.sigma, self.width, self.adapter_width = sigma, width, adapter_width
        self.trunk = LiteTrunk()
        self.decoder = LiteDecoder(width)
        self.adapters = nn.ModuleList(LandmarkAdapter(width, adapter_width) for _ in range(keypoints))

    def shared(self, canvas: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, width, H/4, W/4)."""
        return self.decoder(self.trunk(canvas))

    def logits(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) raw output of the asked channels."""
        features = self.shared(canvas)
        return torch.cat([adapter(features) for adapter in self.adapters[channels or slice(None)]], dim=1)

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps, about 0..1."""
        logits = self.logits(canvas, channels).float()
        return logits.flatten(2).softmax(dim=2).view_as(logits) * (2.0 * math.pi * self.sigma**2)

    @property
    def norms(self) -> list[DomainNorm]:
        """Every normalisation of the network; all are shared."""
        return [module for module in self.modules() if isinstance(module, DomainNorm)]
