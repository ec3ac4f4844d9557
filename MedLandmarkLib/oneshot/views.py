"""Pictures turned, shifted and scaled at random, whole or a window of them, with the landmarks following exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..training.augmentation import AUGMENTATIONS, Augmentation
from ..training.backbones import MEAN, STD


@dataclass(frozen=True)
class Change:
    """How much a view differs from its picture, either way: turn in degrees, share of the scale, shift in canvas px."""

    turn: float
    scale: float
    shift_px: float


STRONG, USUAL, SLIGHT, NONE = (
    Change(15.0, 0.22, 40.0), Change(10.0, 0.15, 28.0), Change(5.0, 0.06, 8.0), Change(0.0, 0.0, 0.0)
)  # fmt: skip


@dataclass(frozen=True)
class Views:
    """pictures: (B, C, h, w), 0..255 float. view_to_canvas: (B, 2, 3), view px → canvas px."""

    pictures: torch.Tensor
    view_to_canvas: torch.Tensor

    def from_canvas(self, canvas_xy: torch.Tensor) -> torch.Tensor:
        """(B, K, 2) canvas px → view px; NaN where it lies outside the view."""
        linear, shift = self.view_to_canvas[..., :2], self.view_to_canvas[..., 2]
        view_xy = torch.linalg.solve(linear, (canvas_xy - shift[:, None]).transpose(1, 2)).transpose(1, 2)
        height, width = self.pictures.shape[-2:]
        limit = torch.tensor([width - 1.0, height - 1.0], device=view_xy.device)
        outside = ((view_xy < 0) | (view_xy > limit)).any(dim=-1)
        return torch.where(outside[..., None], torch.full_like(view_xy, math.nan), view_xy)

    def to_canvas(self, view_xy: torch.Tensor) -> torch.Tensor:
        return view_xy @ self.view_to_canvas[..., :2].transpose(1, 2) + self.view_to_canvas[:, None, :, 2]


def draw_views(
    pictures: torch.Tensor,
    centres_xy: torch.Tensor,
    size_wh: tuple[int, int],
    change: Change,
    generator: torch.Generator,
) -> Views:
    """A view of `size_wh` px of each picture (B, C, H, W) around its centre (B, 2), changed at random."""
    count = len(pictures)

    def draw(reach: float, *shape: int) -> torch.Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2.0 - 1.0) * reach

    angle, scale = torch.deg2rad(draw(change.turn)), torch.exp(draw(change.scale))
    linear = scale[:, None, None] * torch.stack(
        (torch.stack((angle.cos(), -angle.sin()), -1), torch.stack((angle.sin(), angle.cos()), -1)), dim=1
    )
    middle = (torch.tensor(size_wh) - 1.0) / 2.0
    shift = centres_xy.cpu() + draw(change.shift_px, 2) - linear @ middle
    view_to_canvas = torch.cat((linear, shift[..., None]), dim=2)
    width, height = size_wh
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack((x, y), dim=-1).float().view(1, -1, 2)
    places = grid @ linear.transpose(1, 2) + shift[:, None]
    limit = torch.tensor([pictures.shape[-1] - 1.0, pictures.shape[-2] - 1.0])
    places = (places / limit * 2.0 - 1.0).view(count, height, width, 2).to(pictures.device)
    sampled = F.grid_sample(pictures.float(), places, align_corners=True, padding_mode="border")
    return Views(sampled, view_to_canvas.to(pictures.device))


class GreyChanges:
    """Brightness, contrast, gamma, blur, noise and holes, as training has them; `seed` governs them."""

    def __init__(self, name: str = "varied") -> None:
        self.photometric = Augmentation(AUGMENTATIONS[name]).photometric

    @torch.no_grad()
    def __call__(self, pictures: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return self.photometric(pictures / 255.0).clamp(0.0, 1.0) * 255.0


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """(B, 1 or 3, h, w) 0..255 → what a lite network takes, channels last."""
    mean, std = (torch.tensor(values, device=pictures.device).view(3, 1, 1) for values in (MEAN, STD))
    return ((pictures.expand(-1, 3, -1, -1) - mean) / std).contiguous(memory_format=torch.channels_last)
