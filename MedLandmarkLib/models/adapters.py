"""What each landmark of a fused network has of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class LandmarkAdapter(nn.Module):
    """One landmark's own way from shared features to its map: narrow, look around, and add to the plain head.

    Nothing in it depends on another landmark, and each is computed by itself: one that is added or retrained leaves
    the maps of all others as they were, bit for bit. It begins as the plain head alone.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(features, width, 1)
        self.look = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.widen = nn.Conv2d(width, 1, 1, bias=False)
        self.head = nn.Conv2d(features, 1, 1)
        if not self.head.weight.is_meta:
            nn.init.zeros_(self.widen.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, features, h, w) → (B, 1, h, w) logits."""
        own = F.relu6(self.look(F.relu6(self.narrow(features))))
        return self.head(features) + self.widen(own)
