"""The small network that ships with the extension: an EfficientNet-Lite0 trunk with a light top-down decoder.

The trunk follows Tan & Le (EfficientNet, ICML 2019) in its "lite" form: no squeeze-and-excitation, ReLU6, a stem that
is not widened. The decoder adds the trunk's levels from coarse to fine (feature pyramid, Lin et al., CVPR 2017).

A network that learned several datasets keeps the normalisation statistics of each apart (Chang et al., Domain-specific
batch normalization, CVPR 2019): heads and hearts have other grey levels. Which to use follows from the channels asked.

Canvas sides are 32 n + 1 px. Every stride-2 convolution then maps 2 m + 1 pixel centres onto m + 1, first on first and
last on last: each level keeps exactly the corner-aligned geometry in which heatmaps are encoded and decoded, and the
network commutes with mirroring up to its weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .depthwise import DepthwiseConvolution

# kernel, stride, expansion, channels, repeats of each stage (EfficientNet, table 1; B0 = Lite0)
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STAGE_COUNT = len(_STAGES)
# the stages whose output feeds the decoder, and their strides: 4, 8, 16, 32
_LEVELS = (1, 2, 4, 6)
_LEVEL_CHANNELS = tuple(_STAGES[stage][3] for stage in _LEVELS)
_EPSILON = 1e-3  # of the normalisation, as EfficientNet


def canvas_side(side: int) -> int:
    """The canvas side nearest to `side` px that the network keeps aligned: 32 n + 1."""
    return max(2, round((side - 1) / 32)) * 32 + 1


def heatmap_side(canvas: int) -> int:
    """The heatmap's side for a canvas side of 32 n + 1 px: one pixel for every fourth, corners on corners."""
    return (canvas - 1) // 4 + 1


class LiteNetwork(nn.Module):
    """Pictures to heatmaps at a quarter of the canvas' resolution.

    keypoints: number of channels K, the union of all schemes the model was trained for.
    domains: the channels [first, stop) that were learned from one dataset each; default: all from one.
    width: channels of the decoder's finest level. sigma: of the Gaussian targets, heatmap px.
    activation: "softmax" where trained by cross-entropy (each map is a distribution over positions, scaled so that one
    as sharp as the target peaks at 1), "softmax-or-absent" where one more place stands for "not in this picture", its
    logit 0, "linear" where trained by squared error.
    """

    def __init__(
        self,
        keypoints: int,
        width: int = 64,
        sigma: float = 2.0,
        activation: str = "softmax",
        domains: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        if activation not in ("softmax", "softmax-or-absent", "linear"):
            raise ValueError(f"activation is '{activation}'; it must be 'softmax', 'softmax-or-absent' or 'linear'.")
        self.sigma = sigma
        self.activation = activation
        self.domains = [tuple(domain) for domain in domains or [(0, keypoints)]]
        self.trunk = LiteTrunk(len(self.domains))
        self.decoder = LiteDecoder(width, len(self.domains))
        self.final = nn.Conv2d(width, keypoints, 1)
        if not self.final.weight.is_meta:  # normal_ on "meta" loads torch's compiler, which takes a second
            nn.init.normal_(self.final.weight, std=0.01)
        nn.init.zeros_(self.final.bias)

    def logits(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) raw output of the asked channels."""
        channels = channels or slice(None)
        self._select_domain(channels)
        features = self.decoder(self.trunk(canvas))  # (B, width, h, w)
        return F.conv2d(features, self.final.weight[channels], self.final.bias[channels])

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps of the asked channels, about 0..1."""
        logits = self.logits(canvas, channels).float()
        if self.activation == "linear":
            return logits
        places = logits.flatten(2)  # (B, K, n)
        if self.activation == "softmax-or-absent":
            shares = F.pad(places, (0, 1)).softmax(dim=2)[..., :-1]
        else:
            shares = places.softmax(dim=2)
        return shares.view_as(logits) * (2.0 * math.pi * self.sigma**2)

    @property
    def norms(self) -> list[DomainNorm]:
        """Every normalisation of the network."""
        return [module for module in self.modules() if isinstance(module, DomainNorm)]

    def _select_domain(self, channels: slice) -> None:
        first, stop, _ = channels.indices(self.final.out_channels)
        inside = [number for number, (start, end) in enumerate(self.domains) if start <= first and stop <= end]
        if not inside:
            raise ValueError(f"Channels {first} to {stop} are not those of one dataset; these are: {self.domains}.")
        for norm in self.norms:
            norm.domain = inside[0]


class LiteTrunk(nn.Module):
    """EfficientNet-Lite0 without its classifier; gives the features of strides 4, 8, 16 and 32, finest first."""

    def __init__(self, domains: int = 1) -> None:
        super().__init__()
        self.stem = ConvolutionNorm(3, 32, kernel=3, stride=2, domains=domains)
        stages, channels = [], 32
        for kernel, stride, expansion, out_channels, repeats in _STAGES:
            blocks = []
            for repeat in range(repeats):
                first_stride = stride if repeat == 0 else 1
                blocks.append(InvertedResidual(channels, out_channels, kernel, first_stride, expansion, domains))
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, canvas: torch.Tensor) -> list[torch.Tensor]:
        features = self.stem(canvas.contiguous(memory_format=torch.channels_last))  # depthwise layers run faster
        levels = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index in _LEVELS:
                levels.append(features)
        return levels


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; added to its input where the shapes allow."""

    def __init__(
        self, channels: int, out_channels: int, kernel: int, stride: int, expansion: int, domains: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = ConvolutionNorm(channels, wide, kernel=1, domains=domains) if expansion > 1 else nn.Identity()
        self.depthwise = ConvolutionNorm(wide, wide, kernel=kernel, stride=stride, groups=wide, domains=domains)
        self.project = ConvolutionNorm(wide, out_channels, kernel=1, is_active=False, domains=domains)
        self.has_skip = stride == 1 and channels == out_channels

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        out = self.project(self.depthwise(self.expand(features)))
        return _added(out, features) if self.has_skip else out


def _added(fresh: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Their sum, written over what was just computed where no gradient needs it."""
    return features + fresh if torch.is_grad_enabled() else fresh.add_(features)


class ConvolutionNorm(nn.Module):
    """Convolution, normalisation and, unless told otherwise, ReLU6.

    Once it is for inference alone, the normalisation is part of the convolution's weights: what is left of the time on
    a CPU is that of the products, and no map is held twice.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        is_active: bool = True,
        domains: int = 1,
    ) -> None:
        super().__init__()
        kind = DepthwiseConvolution if groups > 1 else nn.Conv2d
        self.convolution = kind(
            channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = DomainNorm(out_channels, domains)
        self.is_active = is_active
        self.is_shared = False  # whether another layer has the same convolution
        self._folded: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None

    def for_inference(self) -> None:
        self._folded = {}
        if len(self.norm.running_mean) == 1 and not self.is_shared:  # nothing is held twice then
            weight, bias = self._with_norm(0)
            self.convolution.weight = nn.Parameter(weight, requires_grad=False)
            self._folded[0] = self.convolution.weight, bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self._folded is None:
            features = self.norm(self.convolution(features))
            return F.relu6(features) if self.is_active else features
        domain, layer = self.norm.domain, self.convolution
        if domain not in self._folded:
            self._folded[domain] = self._with_norm(domain)
        features = F.conv2d(features, *self._folded[domain], layer.stride, layer.padding, layer.dilation, layer.groups)
        return features.clamp_(0.0, 6.0) if self.is_active else features

    def _with_norm(self, domain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The convolution's weights and bias with the normalisation of a domain multiplied in, of the weights' type."""
        scale, shift = self.norm.scale_and_shift(domain)
        weight = self.convolution.weight
        return (weight.float() * scale[:, None, None, None]).to(weight.dtype), shift.to(weight.dtype)


class DomainNorm(nn.Module):
    """Batch normalisation whose running statistics are kept for each domain.

    weight, bias: (C,), shared. running_mean, running_var: (domains, C). `domain` selects the row; `momentum` is the
    share of a new batch in the running statistics while training.
    """

    def __init__(self, channels: int, domains: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(domains, channels))
        self.register_buffer("running_var", torch.ones(domains, channels))
        self.momentum = 0.05
        self.domain = 0

    def scale_and_shift(self, domain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(C,) each: normalised = scale · features + shift, with a domain's running statistics."""
        scale = self.weight * (self.running_var[domain] + _EPSILON).rsqrt()
        return scale, self.bias - scale * self.running_mean[domain]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(
            features,
            self.running_mean[self.domain],
            self.running_var[self.domain],
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=_EPSILON,
        )


class LiteDecoder(nn.Module):
    """Adds the trunk's levels from coarse to fine: (B, c, ·, ·) of strides 32, 16, 8, 4 → (B, width, H/4, W/4)."""

    def __init__(self, width: int, domains: int = 1) -> None:
        super().__init__()
        widths = (width, 2 * width, 2 * width, 2 * width)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(_LEVEL_CHANNELS, widths, strict=True))
        self.merge = nn.ModuleList(
            DepthwiseBlock(widths[min(level + 1, 3)], widths[level], domains) for level in range(len(widths))
        )
        self.refine = ConvolutionNorm(width, width, kernel=3, domains=domains)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        features = self.merge[3](self.lateral[3](levels[3]))
        for level in (2, 1, 0):
            size = levels[level].shape[-2:]
            features = F.interpolate(features, size=size, mode="bilinear", align_corners=True)
            features = self.merge[level](features, self.lateral[level](levels[level]))
        return self.refine(features)


class DepthwiseBlock(nn.Module):
    """5 × 5 depthwise and 1 × 1 convolution; a lateral input is added between them and the residual path."""

    def __init__(self, channels: int, out_channels: int, domains: int) -> None:
        super().__init__()
        self.adapt = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1, bias=False)
        self.depthwise = ConvolutionNorm(out_channels, out_channels, kernel=5, groups=out_channels, domains=domains)
        self.pointwise = ConvolutionNorm(out_channels, out_channels, kernel=1, domains=domains)

    def forward(self, features: torch.Tensor, lateral: torch.Tensor | None = None) -> torch.Tensor:
        features = self.adapt(features)
        if lateral is not None:
            features = features + lateral
        return _added(self.pointwise(self.depthwise(features)), features)
