"""Pictures with the same contrast everywhere: a soft edge in the dark then counts as much as one of bright bone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

# As shares of the diagonal. Chosen on 50 ISBI training images: 6, 12 and 20 mm are alike (2.15, 2.13, 2.13 mm).
_NEIGHBOURHOOD = 0.058  # the sigma of the surroundings: 12 mm on a cephalogram
_STEP = 0.004  # the grid on which the surroundings are averaged
_LEAST = 0.14  # of the network's unit of grey (8 of 255): what varies less is noise
_GAIN, _MIDDLE, _LIMIT = 0.87, 0.2, 2.5  # where the trunk is used to find greys


def with_local_contrast(canvas: torch.Tensor) -> torch.Tensor:
    """A normalised picture (3, H, W), each grey by how it differs from its surroundings.

    The difference from the surroundings' mean is divided by their standard deviation (divisive normalisation; Jarrett
    et al., What is the best multi-stage architecture for object recognition?, ICCV 2009).
    """
    height, width = canvas.shape[1:]
    diagonal = math.hypot(height, width)
    factor = min(1.0, 1.0 / (_STEP * diagonal))
    grid = max(2, round(factor * height)), max(2, round(factor * width))
    statistics = F.interpolate(torch.stack((canvas, canvas.square())), grid, mode="area")
    sigma = _NEIGHBOURHOOD * diagonal * factor
    side = 2 * round(math.sqrt(4.0 * sigma**2 + 1.0) / 2.0) + 1  # of three boxes with a Gaussian's variance
    for box in 3 * ((1, side), (side, 1)):  # across and down, which is less work than squares
        padding = box[0] // 2, box[1] // 2
        statistics = F.avg_pool2d(statistics, box, stride=1, padding=padding, count_include_pad=False)
    mean, square = F.interpolate(statistics, (height, width), mode="bilinear", align_corners=False)
    deviation = (square - mean.square()).clamp_min(0.0).sqrt()
    local = _GAIN * (canvas - mean) / (deviation + _LEAST) + _MIDDLE
    return local.clamp(-_LIMIT, _LIMIT)
