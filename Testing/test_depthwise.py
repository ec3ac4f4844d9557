"""Depthwise convolutions trained in bfloat16 on a CPU give the gradients of float32, as near as bfloat16 allows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from MedLandmarkLib.models.depthwise import DepthwiseConvolution


@pytest.fixture(params=[(5, 1), (5, 2), (3, 1), (3, 2)], ids=lambda pair: f"kernel {pair[0]}, stride {pair[1]}")
def a_convolution(request: pytest.FixtureRequest) -> DepthwiseConvolution:
    torch.manual_seed(0)
    side, stride = request.param
    return DepthwiseConvolution(8, 8, side, stride=stride, padding=side // 2, groups=8, bias=False)


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


@pytest.mark.parametrize("size", [(33, 41), (32, 40), (5, 6)])
def test_gradients_are_those_of_an_ordinary_convolution(a_convolution: DepthwiseConvolution, size: tuple) -> None:
    convolution, features = a_convolution.double(), torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)
    gradient = torch.randn_like(convolution(features))
    found = torch.autograd.grad(convolution(features), (features, convolution.weight), gradient)
    plain = torch.autograd.grad(nn.Conv2d.forward(convolution, features), (features, convolution.weight), gradient)
    for one, other in zip(found, plain, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_frozen_input_costs_no_gradient(a_convolution: DepthwiseConvolution) -> None:
    a_convolution(torch.randn(1, 8, 17, 17)).sum().backward()
    assert a_convolution.weight.grad.abs().max() > 0


def test_without_mixed_precision_it_is_an_ordinary_convolution(a_convolution: DepthwiseConvolution) -> None:
    features = torch.randn(1, 8, 17, 17)
    assert torch.equal(a_convolution(features), nn.Conv2d.forward(a_convolution, features))
