"""Depthwise convolutions that can be trained in bfloat16 on a CPU at the speed of the rest of the network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class DepthwiseConvolution(nn.Conv2d):
    """A depthwise convolution; the weight gradient of a wide kernel is computed in float32 where torch is slow.

    torch 2.13 takes 3 to 6 times as long for the weight gradient of a 5 × 5 depthwise convolution in bfloat16 as in
    float32 on a CPU: four fifths of the whole backward pass of the lite network (Testing/Benchmarks).
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if features.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled():
            dtype = torch.get_autocast_dtype("cpu")
            if dtype == torch.bfloat16 and self.kernel_size[0] > 3:
                return _Float32WeightGradient.apply(features.to(dtype), self.weight, self.stride[0])
        return super().forward(features)


class _Float32WeightGradient(torch.autograd.Function):
    """Depthwise convolution (B, C, H, W) with a square odd kernel (C, 1, k, k), padded by k // 2."""

    @staticmethod
    def forward(ctx, features: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        low = weight.to(features.dtype)
        ctx.save_for_backward(features, low)
        ctx.stride, ctx.weight_dtype = stride, weight.dtype
        return F.conv2d(features, low, stride=stride, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        features, weight = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            padding, groups = weight.shape[-1] // 2, len(weight)
            of_features = torch.nn.grad.conv2d_input(
                features.shape, weight, gradient, stride=ctx.stride, padding=padding, groups=groups
            )
            of_weight = torch.nn.grad.conv2d_weight(
                features.float(), weight.shape, gradient.float(), stride=ctx.stride, padding=padding, groups=groups
            )
        return of_features, of_weight.to(ctx.weight_dtype), None
