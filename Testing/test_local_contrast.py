"""Pictures with the same contrast everywhere, as matching compares them."""

from __future__ import annotations

import math

import pytest
import torch
from teaching_pictures import drawn_picture

from MedLandmarkLib.models.matching.contrast import with_local_contrast


@pytest.fixture
def a_canvas() -> torch.Tensor:
    picture = torch.from_numpy(drawn_picture(0)[0]).float()
    picture += 12.0 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    return ((picture - 116.0) / 57.0).expand(3, -1, -1)


def test_brightness_is_taken_away_and_contrast_nearly_so(a_canvas):
    plain = with_local_contrast(a_canvas)
    torch.testing.assert_close(with_local_contrast(a_canvas + 0.7), plain, atol=1e-3, rtol=0.0)
    stronger = with_local_contrast(2.0 * a_canvas)
    assert torch.corrcoef(torch.stack((stronger.flatten(), plain.flatten())))[0, 1] > 0.98
    assert float(stronger.std() / plain.std()) == pytest.approx(1.0, abs=0.25)


def test_an_edge_in_the_dark_becomes_as_high_as_one_in_the_bright():
    x = torch.arange(257.0)
    bright, dark = (strength * torch.tanh((x - 128.0) / 3.0).expand(3, 257, 257) for strength in (1.0, 0.4))
    heights = [
        with_local_contrast(edge)[0, 128, 140] - with_local_contrast(edge)[0, 128, 116] for edge in (bright, dark)
    ]
    assert float(heights[1] / heights[0]) > 0.8


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (801, 641)])
def test_an_even_picture_stays_even_at_any_size(size):
    even = with_local_contrast(torch.full((3, *size), 1.7))
    assert even.shape == (3, *size)
    assert float(even.std(correction=0)) < 1e-3 and math.isfinite(float(even.mean()))
