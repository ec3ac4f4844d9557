"""Small networks whose answer is known, for tests of what runs networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from MedLandmarkLib.models.catalogue import InputGeometry
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.store import load_model

AN_INPUT = InputGeometry(
    size_wh=(96, 128),
    padding=1.25,
    mean=(120.0, 110.0, 100.0),
    std=(60.0, 55.0, 50.0),
    resampling="area",
    heatmap_size_wh=(24, 32),
    sigma=1.5,
    blur_kernel=5,
)

BLACK = np.zeros((40, 30, 3), np.uint8)


class BrightSpotNetwork(nn.Module):
    """Answers with the canvas itself at a quarter of its size, once per colour channel: it finds the brightest spot.

    It has one weight, 1, so that devices and precisions apply to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(3)[:, :, None, None])
        self.batch_sizes: list[int] = []

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        self.batch_sizes.append(len(canvas))
        maps = self.mix(canvas)[:, channels or slice(None)]
        # corner on corner, as the geometry has it
        return nn.functional.interpolate(maps, size=(32, 24), mode="bilinear", align_corners=True) + 2.5


class FixedNetwork(nn.Module):
    """Answers with given heatmaps (K, h, w), whatever it is shown."""

    def __init__(self, heatmaps: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("heatmaps", heatmaps)

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        return self.heatmaps[channels or slice(None)].expand(len(canvas), -1, -1, -1).clone()


def a_picture_with_spots(width: int, height: int, *spots_xy: tuple[float, float]) -> np.ndarray:
    """A Gaussian spot per colour channel, as wide as the scale asks for."""
    sigma = 0.04 * max(width, height)
    y, x = np.mgrid[:height, :width]
    channels = [np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * sigma**2)) for sx, sy in spots_xy]
    return np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8)


def pictures_with_spots() -> list[np.ndarray]:
    """Five of different sizes and proportions."""
    return [
        a_picture_with_spots(300, 400, (100.0, 120.0), (200.5, 310.25), (50.0, 350.0)),
        a_picture_with_spots(500, 250, (250.0, 125.0), (100.0, 60.0), (420.0, 200.0)),
        a_picture_with_spots(64, 64, (20.0, 30.0), (40.0, 50.0), (50.0, 10.0)),
        a_picture_with_spots(200, 900, (100.0, 450.0), (60.0, 100.0), (150.0, 800.0)),
        a_picture_with_spots(120, 160, (30.0, 40.0), (60.0, 80.0), (100.0, 140.0)),
    ]


def embedded_member(scheme_id: str) -> tuple[LiteNetwork, slice]:
    """The member of the embedded model that finds a scheme, and the scheme's channels in it."""
    loaded = load_model("lite")
    channels = loaded.card.channels(scheme_id)
    return loaded.network.member(slice(channels.first, channels.stop))
