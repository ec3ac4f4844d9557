"""What a detector finds in one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import CanvasGeometry


@dataclass(frozen=True)
class PicturePeaks:
    """The peaks of K heatmaps of one picture. A distance in heatmap px times `geometry`'s scale is one in the picture.

    picture_xy: (K, 2) float64, continuous picture coordinates. score: (K,) float32, the raw heatmap maximum.
    heatmap_xy: (K, 2) float32, and argmax_xy: (K, 2) int64, the pixel it was refined from.
    Where score <= 0 there is no peak: both are (-1, -1), and picture_xy is that position's place in the picture.
    second_peak_ratio: (K,), 0..1, the highest value away from the peak over the peak's own (1 without a peak).
    spread_px: (K,), how far the peak's mass reaches, heatmap px (infinite without a peak).
    flip_disagreement_px: (K,), how far the peaks of the plain and of the mirrored pass lie apart, heatmap px (infinite
    where one has none); None without the flip test.
    features: (C,) float32, the network's deepest features averaged over the picture; None where it offers none.
    """

    picture_xy: np.ndarray
    score: np.ndarray
    heatmap_xy: np.ndarray
    argmax_xy: np.ndarray
    second_peak_ratio: np.ndarray
    spread_px: np.ndarray
    flip_disagreement_px: np.ndarray | None
    geometry: CanvasGeometry
    features: np.ndarray | None = None

    @property
    def step_px(self) -> np.ndarray:
        """(K,), how far the refinement moved from the highest pixel, heatmap px; more than 1 where a map is flat."""
        return np.linalg.norm(self.heatmap_xy - self.argmax_xy, axis=1)
