"""A network for each landmark alone, behind a scout that says where to look."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .lite import LiteNetwork

_LOOKS = 2  # at where the scout saw the landmark, then at where the specialist itself did
_STRIDE = 4  # canvas px for each heatmap px


class SpecialistSet(nn.Module):
    """Pictures to heatmaps; each landmark's map comes from its own network, which sees a window around it.

    keypoints: K. window: the side of what a specialist sees, canvas px, 32 n + 1. The scout is a network for all
    landmarks; only the place of its peaks is used. taught: numbers of the landmarks that there is a specialist for
    (default: all); the maps of the others are empty.
    """

    def __init__(
        self,
        keypoints: int,
        window: int = 161,
        width: int = 64,
        sigma: float = 2.0,
        taught: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.window, self.width, self.sigma = window, width, sigma
        self.taught = tuple(range(keypoints) if taught is None else taught)
        self.scout = LiteNetwork(keypoints, width, sigma)
        self.specialists = nn.ModuleDict({str(number): LiteNetwork(1, width, sigma) for number in self.taught})

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps, about 0..1; zero outside the windows."""
        found = self.scout(canvas)
        numbers = range(found.shape[1])[channels or slice(None)]
        maps = [
            self._looked_for(canvas, found[:, number], self.specialists[str(number)])
            if number in self.taught
            else torch.zeros_like(found[:, number])
            for number in numbers
        ]
        return torch.stack(maps, dim=1)

    def _looked_for(self, canvas: torch.Tensor, seen: torch.Tensor, specialist: LiteNetwork) -> torch.Tensor:
        """(B, h, w): one landmark's map, from where `seen` (B, h, w) is highest."""
        for _ in range(_LOOKS):
            maps = torch.zeros_like(seen)
            flat = seen.flatten(1).argmax(dim=1)
            corners = [self._corner(place, seen.shape[1:]) for place in flat.tolist()]
            windows = torch.stack(
                [window_of(picture, *corner, self.window) for picture, corner in zip(canvas, corners, strict=True)]
            )
            answers = specialist(windows)[:, 0]
            for one, (x, y), answer in zip(maps, corners, answers, strict=True):
                paste(one, answer, x // _STRIDE, y // _STRIDE)
            seen = maps
        return maps

    def _corner(self, place: int, heatmap_hw: tuple[int, int]) -> tuple[int, int]:
        """The window's first pixel (x, y), canvas px, around a place of the map; both multiples of four."""
        half = (self.window - 1) // 2 // _STRIDE
        y, x = divmod(place, heatmap_hw[1])
        return _STRIDE * (x - half), _STRIDE * (y - half)


def window_of(canvas: torch.Tensor, x: int, y: int, side: int) -> torch.Tensor:
    """(C, side, side) of a canvas (C, H, W) from pixel (x, y) on; what lies outside repeats the border."""
    height, width = canvas.shape[1:]
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(0, x + side - width), max(0, y + side - height)
    inside = canvas[:, max(0, y) : y + side, max(0, x) : x + side]
    return F.pad(inside[None], (left, right, top, bottom), mode="replicate")[0]


def paste(maps: torch.Tensor, answer: torch.Tensor, x: int, y: int) -> None:
    """Add a window's map (h, w) to a whole one (H, W) at column x, row y; what lies outside is dropped."""
    height, width = maps.shape
    rows, columns = answer.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(rows, height - y), min(columns, width - x)
    if top < bottom and left < right:
        maps[y + top : y + bottom, x + left : x + right] += answer[top:bottom, left:right]
