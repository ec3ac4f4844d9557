"""The heatmap head of Sapiens' pose models: the patch grid doubled twice, then mixed per pixel, one map per landmark.

Deconvolutions as in Xiao et al. (Simple Baselines, ECCV 2018); each is followed by instance normalisation without
learned parameters (epsilon 1e-5) and SiLU, as Sapiens configures it. The mean and the spread of a channel are taken
over the whole canvas, so the black padding is part of what the network was trained on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .frugal import EPSILON_INSTANCE_NORM, frugal_heatmaps

_UPSAMPLING = {"kernel_size": 4, "stride": 2, "padding": 1}


class HeatmapHead(nn.Module):
    """(B, embed, h, w) features → (B, K, 4 h, 4 w) heatmaps."""

    def __init__(self, embed: int, channels: int, keypoints: int) -> None:
        super().__init__()
        # Positions in the lists are those of the reference, whose normalisations stand between and hold no weights.
        self.deconv_layers = nn.ModuleDict(
            {
                "0": nn.ConvTranspose2d(embed, channels, **_UPSAMPLING, bias=False),
                "3": nn.ConvTranspose2d(channels, channels, **_UPSAMPLING, bias=False),
            }
        )
        self.conv_layers = nn.ModuleDict({"0": nn.Conv2d(channels, channels, 1), "3": nn.Conv2d(channels, channels, 1)})
        self.final_layer = nn.Conv2d(channels, keypoints, 1)

    def forward(self, features: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, embed, h, w) → (B, K, 4 h, 4 w); K counts the asked `channels` (default: all), and only they cost."""
        channels = channels or slice(None)
        weight, bias = self.final_layer.weight[channels], self.final_layer.bias[channels]
        features = features.to(self.deconv_layers["0"].weight.dtype)
        if features.device.type == "cpu" and not torch.is_grad_enabled():
            return torch.stack([frugal_heatmaps(self, sample, weight, bias) for sample in features])
        for layer in (*self.deconv_layers.values(), *self.conv_layers.values()):
            features = F.silu(F.instance_norm(layer(features), eps=EPSILON_INSTANCE_NORM), inplace=True)
        # one by one: the last layer may be kept in float32, and a batch of such features would fill a small GPU
        return torch.cat([F.conv2d(sample.to(weight.dtype), weight, bias) for sample in features.split(1)])
