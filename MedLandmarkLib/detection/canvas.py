"""The one place where a picture's pixels are laid onto the network's canvas, and heatmap positions brought back.

The convention is the reference's unbiased data processing (UDP; Huang et al., CVPR 2020): the first and last pixel
centres of the region are mapped onto the first and last pixel centres of the canvas, and likewise of the heatmap.
Every `xy` here is continuous, (column, row), with a pixel's centre at its integer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

# OpenCV's warpAffine works on a grid of 1/32 px: 10 bits for coordinates, 5 of which remain as the fraction.
_COORDINATE_ONE = 1 << 10
_FRACTION_BITS = 5
_FRACTION_ONE = 1 << _FRACTION_BITS


@dataclass(frozen=True)
class CanvasGeometry:
    """How a picture of `picture_wh` px lies on a canvas of `canvas_wh` px and on its heatmap of `heatmap_wh` px.

    `padding` enlarges the region about its centre (1.25: the picture covers at most 80 % of the canvas); the region
    then grows along one side until it has the canvas' proportions, so that the picture is never squeezed.
    `box_xyxy` restricts the region to a part of the picture (pixel centres of its corners; default: the whole).
    """

    picture_wh: tuple[int, int]
    canvas_wh: tuple[int, int]
    heatmap_wh: tuple[int, int]
    padding: float = 1.25
    box_xyxy: tuple[float, float, float, float] | None = None

    @property
    def center_xy(self) -> np.ndarray:
        """Centre of the region in the picture, float32 as in the reference."""
        x1, y1, x2, y2 = self._box
        return np.array([x1 + x2, y1 + y2], np.float32) * np.float32(0.5)

    @property
    def scale_wh(self) -> np.ndarray:
        """Width and height of the padded region in picture pixels, float32, in the canvas' proportions."""
        x1, y1, x2, y2 = self._box
        width, height = np.array([x2 - x1, y2 - y1], np.float32) * np.float32(self.padding)
        aspect = np.float32(self.canvas_wh[0] / self.canvas_wh[1])
        if width > height * aspect:
            return np.array([width, width / aspect], np.float32)
        return np.array([height * aspect, height], np.float32)

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3) float32: picture_xy → canvas_xy. Computed in float64 and rounded once, as the reference does."""
        center, scale = self.center_xy.astype(np.float64), self.scale_wh.astype(np.float64)
        factor = (np.array(self.canvas_wh, np.float64) - 1.0) / scale
        shift = factor * (0.5 * scale - center)
        return np.array([[factor[0], 0.0, shift[0]], [0.0, factor[1], shift[1]]]).astype(np.float32)

    @property
    def _box(self) -> tuple[float, float, float, float]:
        width, height = self.picture_wh
        return self.box_xyxy or (0.0, 0.0, width - 1.0, height - 1.0)

    def canvas_from_picture(self, picture_xy: np.ndarray) -> np.ndarray:
        """(..., 2) picture_xy → canvas_xy."""
        center, scale = self.center_xy.astype(np.float64), self.scale_wh.astype(np.float64)
        return (picture_xy - center + 0.5 * scale) / scale * (np.array(self.canvas_wh) - 1.0)

    def heatmap_from_picture(self, picture_xy: np.ndarray) -> np.ndarray:
        """(..., 2) picture_xy → heatmap_xy."""
        return self.canvas_from_picture(picture_xy) * self._heatmap_over_canvas

    def picture_from_heatmap(self, heatmap_xy: np.ndarray) -> np.ndarray:
        """(..., 2) heatmap_xy → picture_xy, float64."""
        center, scale = self.center_xy.astype(np.float64), self.scale_wh.astype(np.float64)
        return heatmap_xy / (np.array(self.heatmap_wh) - 1.0) * scale + center - 0.5 * scale

    @property
    def picture_px_per_heatmap_px(self) -> float:
        """The length of one heatmap pixel in the picture (the larger of the two sides)."""
        return float(np.max(self.scale_wh / (np.array(self.heatmap_wh) - 1.0)))

    @property
    def _heatmap_over_canvas(self) -> np.ndarray:
        return (np.array(self.heatmap_wh) - 1.0) / (np.array(self.canvas_wh) - 1.0)


def warp_opencv_bilinear(picture: np.ndarray, geometry: CanvasGeometry) -> np.ndarray:
    """Lay a picture on the canvas exactly as OpenCV 4's warpAffine (INTER_LINEAR, black border) does.

    picture: uint8 (rows, columns, channels) → uint8 (canvas rows, canvas columns, channels), bit for bit.
    There is no smoothing where the picture shrinks: the reference has none, and its weights are used to that.
    """
    inverse = _inverse_of_scaling(geometry.matrix)
    columns = _fixed_point_taps(inverse[0], geometry.canvas_wh[0], picture.shape[1], per_column=True)
    rows = _fixed_point_taps(inverse[1], geometry.canvas_wh[1], picture.shape[0], per_column=False)
    is_grey = picture.shape[2] > 1 and bool((picture == picture[..., :1]).all())
    channels = picture[..., :1] if is_grey else picture
    canvas = np.zeros((geometry.canvas_wh[1], geometry.canvas_wh[0], channels.shape[2]), np.int32)
    for row_index, row_weight in rows:
        taken_rows = channels[row_index]
        for column_index, column_weight in columns:
            weight = row_weight[:, None] * column_weight[None, :]
            canvas += taken_rows[:, column_index].astype(np.int32) * weight[..., None]
    canvas = ((canvas * _FRACTION_ONE + (1 << 14)) >> 15).astype(np.uint8)
    return np.repeat(canvas, picture.shape[2], axis=2) if is_grey else canvas


def _inverse_of_scaling(matrix: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """(factor, shift) canvas → picture for x and y, in the order of operations that OpenCV uses (float64)."""
    (a, _, tx), (_, d, ty) = matrix.astype(np.float64)
    determinant = 1.0 / (a * d)
    factor_x, factor_y = d * determinant, a * determinant
    return (factor_x, -factor_x * tx), (factor_y, -factor_y * ty)


def _fixed_point_taps(
    inverse: tuple[float, float], count: int, size: int, *, per_column: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two neighbours of each canvas position and their weights in 1/32; a neighbour outside weighs nothing."""
    factor, shift = inverse
    positions = np.arange(count, dtype=np.float64)
    if per_column:
        # along a row OpenCV rounds the product and the row's offset apart
        coordinate = np.rint(factor * positions * _COORDINATE_ONE) + np.rint(shift * _COORDINATE_ONE)
    else:
        coordinate = np.rint((factor * positions + shift) * _COORDINATE_ONE)
    fixed = (coordinate.astype(np.int64) + _COORDINATE_ONE // _FRACTION_ONE // 2) >> _FRACTION_BITS
    first, fraction = fixed >> _FRACTION_BITS, (fixed & (_FRACTION_ONE - 1)).astype(np.int32)
    taps = []
    for index, weight in ((first, _FRACTION_ONE - fraction), (first + 1, fraction)):
        inside = (index >= 0) & (index < size)
        taps.append((np.clip(index, 0, size - 1), np.where(inside, weight, 0).astype(np.int32)))
    return taps


def warp_smoothed(picture: np.ndarray, geometry: CanvasGeometry) -> np.ndarray:
    """Lay a picture on the canvas with a triangle filter as wide as the shrinking asks for, black outside.

    picture: uint8 (rows, columns, channels) → float32 (canvas rows, canvas columns, channels), 0..255.
    Unlike the bilinear warp it does not alias when a large radiograph shrinks by four or five.
    """
    inverse = _inverse_of_scaling(geometry.matrix)
    rows = _triangle_weights(inverse[1], geometry.canvas_wh[1], picture.shape[0])
    columns = _triangle_weights(inverse[0], geometry.canvas_wh[0], picture.shape[1])
    is_grey = picture.shape[2] > 1 and bool((picture == picture[..., :1]).all())
    channels = picture[..., :1] if is_grey else picture
    planes = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1))).float()  # (C, rows, columns)
    canvas = torch.matmul(torch.matmul(rows, planes), columns.T).permute(1, 2, 0).contiguous().numpy()
    return np.repeat(canvas, picture.shape[2], axis=2) if is_grey else canvas


def _triangle_weights(inverse: tuple[float, float], count: int, size: int) -> torch.Tensor:
    """(count, size) float32: how much each picture row (column) contributes to each canvas row (column)."""
    factor, shift = inverse
    reach = max(1.0, factor)

    def triangle(distance: torch.Tensor) -> torch.Tensor:
        return (1.0 - distance.abs() / reach).clamp_min(0.0)

    positions = torch.arange(count, dtype=torch.float64)[:, None] * factor + shift
    weights = triangle(positions - torch.arange(size, dtype=torch.float64))
    # Each row's weights are divided by what the whole triangle holds there, which depends on where it lies between the
    # pixels; of this the picture's part is kept, so that the border fades to black as padding does.
    around = torch.arange(-math.ceil(reach), math.ceil(reach) + 1, dtype=torch.float64)
    whole = triangle(positions - (positions.round() + around)).sum(dim=1, keepdim=True)
    return (weights / whole).float()
