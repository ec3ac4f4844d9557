"""Depthwise convolutions trained in bfloat16 on a CPU give the gradients of float32, as near as bfloat16 allows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedLandmarkLib.models.depthwise import DepthwiseConvolution


@pytest.fixture(params=[1, 2], ids=["stride 1", "stride 2"])
def a_convolution(request: pytest.FixtureRequest) -> DepthwiseConvolution:
    torch.manual_seed(0)
    return DepthwiseConvolution(8, 8, 5, stride=request.param, padding=2, groups=8, bias=False)


def gradients(convolution: nn.Module, features: torch.Tensor, *, bfloat16: bool) -> list[torch.Tensor]:
    features = features.clone().requires_grad_()
    convolution.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = convolution(features)
    assert out.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
    out.float().square().sum().backward()
    return [features.grad, convolution.weight.grad.clone()]


def test_gradients_in_bfloat16_are_those_of_float32(a_convolution: DepthwiseConvolution) -> None:
    features = torch.randn(2, 8, 33, 41)
    precise, fast = (gradients(a_convolution, features, bfloat16=kind) for kind in (False, True))
    for one, other in zip(precise, fast, strict=True):
        assert other.dtype == torch.float32
        assert (one - other).abs().max() <= 0.02 * one.abs().max()


def test_without_mixed_precision_it_is_an_ordinary_convolution(a_convolution: DepthwiseConvolution) -> None:
    features = torch.randn(1, 8, 17, 17)
    assert torch.equal(a_convolution(features), nn.Conv2d.forward(a_convolution, features))
