"""Made-up shapes and peaks, for tests of what judges them."""

from __future__ import annotations

import numpy as np

from MedLandmarkLib.detection.canvas import CanvasGeometry
from MedLandmarkLib.detection.picture_peaks import PicturePeaks

# Twelve points on an outline without symmetry, heatmap px.
OUTLINE_XY = np.column_stack([
    (20, 45, 70, 85, 90, 75, 60, 50, 30, 15, 35, 10),
    (15, 10, 18, 40, 65, 85, 70, 95, 90, 70, 50, 40),
]).astype(float)  # fmt: skip


def some_shapes(count: int = 60, seed: int = 0) -> np.ndarray:
    """(count, 12, 2): the outline stretched a little, each point with scatter of its own, turned, sized and placed."""
    generator = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        stretched = OUTLINE_XY * (1.0, generator.normal(1.0, 0.08)) + generator.normal(0.0, 0.8, OUTLINE_XY.shape)
        shapes.append(similar(stretched, generator.uniform(-10, 10), generator.uniform(0.8, 1.2), (3.0, -2.0)))
    return np.stack(shapes)


def similar(points_xy: np.ndarray, turn_deg: float, factor: float, shift: tuple[float, float]) -> np.ndarray:
    """Points turned about their centre (clockwise on the screen), sized and moved."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    centre = points_xy.mean(axis=0)
    return (points_xy - centre) @ (factor * np.array([[c, s], [-s, c]])) + centre + shift


def peaks_at(
    heatmap_xy: np.ndarray, score: float | np.ndarray = 0.9, features: np.ndarray | None = None
) -> PicturePeaks:
    """Clear peaks at the given places of a picture as large as its heatmap."""
    count = len(heatmap_xy)
    return PicturePeaks(
        picture_xy=heatmap_xy.astype(float),
        score=np.broadcast_to(np.float32(score), count).copy(),
        heatmap_xy=heatmap_xy.astype(np.float32),
        argmax_xy=np.rint(heatmap_xy).astype(np.int64),
        second_peak_ratio=np.full(count, 0.05),
        spread_px=np.full(count, 2.2),
        flip_disagreement_px=None,
        geometry=CanvasGeometry((101, 101), (401, 401), (101, 101), 1.0),
        features=features,
    )
