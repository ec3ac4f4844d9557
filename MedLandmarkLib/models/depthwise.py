"""Depthwise convolutions that train on a CPU at the speed of the rest of the network.

torch 2.13 has fast CPU kernels for the forward pass and for 3 × 3 gradients, but not for the weight gradient of a
5 × 5 kernel, nor, in bfloat16, for the input gradient of a strided one: together half of a training step of the lite
network (Testing/Benchmarks).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class DepthwiseConvolution(nn.Conv2d):
    """A depthwise convolution whose gradients are computed by the fast kernels where torch itself takes slow ones."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if features.device.type == "cpu" and torch.is_grad_enabled() and self._has_slow_gradients:
            is_mixed = torch.is_autocast_enabled("cpu")
            dtype = torch.get_autocast_dtype("cpu") if is_mixed else features.dtype
            return _FastGradients.apply(features.to(dtype), self.weight, self.stride[0])
        return super().forward(features)

    @property
    def _has_slow_gradients(self) -> bool:
        return self.kernel_size[0] == 5 or self.stride[0] > 1


class _FastGradients(torch.autograd.Function):
    """Depthwise convolution (B, C, H, W) with a square odd kernel (C, 1, k, k), padded by k // 2."""

    @staticmethod
    def forward(ctx, features: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        low = weight.to(features.dtype)
        ctx.save_for_backward(features, low)
        ctx.stride, ctx.weight_dtype = stride, weight.dtype
        return F.conv2d(features, low, stride=stride, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, None]:
        features, weight = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            of_features = _input_gradient(features, weight, gradient, ctx.stride) if ctx.needs_input_grad[0] else None
            of_weight = _weight_gradient(features, weight, gradient, ctx.stride)
        return of_features, of_weight.to(ctx.weight_dtype), None


def _input_gradient(features: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor, stride: int) -> torch.Tensor:
    """In float32 where a stride makes bfloat16 slow."""
    dtype = torch.promote_types(features.dtype, torch.float32) if stride > 1 else features.dtype
    operands = (gradient.to(dtype), features.to(dtype), weight.to(dtype))
    return _gradients(*operands, stride, weight.shape[-1] // 2, of_weight=False).to(features.dtype)


def _weight_gradient(features: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor, stride: int) -> torch.Tensor:
    """(C, 1, k, k). That of a 5 × 5 kernel is put together from those of the four 3 × 3 kernels in its corners."""
    if weight.shape[-1] != 5:
        return _gradients(gradient, features, weight, stride, weight.shape[-1] // 2, of_weight=True)
    padded = F.pad(features, (2, 2, 2, 2))
    rows, columns = ((size - 1) * stride + 3 for size in gradient.shape[-2:])
    whole = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            seen = padded[:, :, top : top + rows, left : left + columns]
            corner = (..., slice(top, top + 3), slice(left, left + 3))
            whole[corner] = _gradients(gradient, seen, weight[corner], stride, 0, of_weight=True)
    return whole


def _gradients(
    gradient: torch.Tensor, features: torch.Tensor, weight: torch.Tensor, stride: int, padding: int, *, of_weight: bool
) -> torch.Tensor:
    """torch's own, of the weight or of the input. `torch.nn.grad` would lose the layout with channels last."""
    wanted = [not of_weight, of_weight, False]
    found = torch.ops.aten.convolution_backward(
        gradient, features, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), wanted
    )
    return found[1] if of_weight else found[0]
