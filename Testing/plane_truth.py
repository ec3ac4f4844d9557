"""A reader of planes that knows where the landmarks are: true heatmaps in the place of a network's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from MedLandmarkLib.detection.canvas import CanvasGeometry
from MedLandmarkLib.detection.heatmap import decode_heatmaps, encode_heatmaps
from MedLandmarkLib.detection.volume.reader import PlaneReadings, peak_heights
from MedLandmarkLib.plane import Plane

SIGMA = 1.5


class TrueReader:
    """Draws and decodes the heatmap that a perfect network would give of each landmark in each plane.

    points_ras: (K, 3). A landmark's peak fades with its distance through the plane; one off the picture has none.
    decoy_ras: a place where the first landmark has a second, lower peak, as of a structure that looks alike.
    """

    def __init__(self, points_ras: np.ndarray, fade_px: float, decoy_ras: np.ndarray | None = None) -> None:
        self.points_ras, self.fade_px, self.decoy_ras = np.asarray(points_ras, float), fade_px, decoy_ras
        self.planes_read = 0

    def read(self, planes: Sequence[Plane], progress: Callable[[float, str], None] | None = None) -> PlaneReadings:
        plane_xy, heights = [], []
        for number, plane in enumerate(planes):
            if progress:
                progress(number / len(planes), "planes")
            xy, height = self._peaks(plane)
            plane_xy.append(xy)
            heights.append(height)
        self.planes_read += len(planes)
        return PlaneReadings.of(planes, np.stack(plane_xy), np.stack(heights))

    def _peaks(self, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
        side = plane.size_wh[0] // 4 + 1, plane.size_wh[1] // 4 + 1
        geometry = CanvasGeometry(plane.size_wh, plane.size_wh, side, padding=1.0)
        maps = self._maps(plane, geometry, self.points_ras)
        if self.decoy_ras is not None:
            maps[0] += 0.8 * self._maps(plane, geometry, self.decoy_ras[None])[0]
        peaks = decode_heatmaps(maps[None], 11)
        step = (peaks.heatmap_xy - peaks.argmax_xy)[0].norm(dim=1).numpy()
        xy = geometry.picture_from_heatmap(peaks.heatmap_xy[0].numpy().astype(float))
        return xy, peak_heights(peaks.score[0].numpy(), step, SIGMA)

    def _maps(self, plane: Plane, geometry: CanvasGeometry, points_ras: np.ndarray) -> torch.Tensor:
        placed = plane.plane_from_ras(points_ras)
        heatmap_xy = torch.from_numpy(geometry.heatmap_from_picture(placed[:, :2]))
        amplitude = torch.from_numpy(np.exp(-(placed[:, 2] ** 2) / (2 * self.fade_px**2))).float()
        return encode_heatmaps(heatmap_xy, geometry.heatmap_wh, SIGMA) * amplitude[:, None, None]
