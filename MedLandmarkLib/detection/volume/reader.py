"""Reading planes of a volume: from planes to the heatmap peaks in them, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...errors import DetectionCancelled
from ...image import Image
from ...models.device import default_batch_size
from ...plane import Plane
from ..detector import Detector
from .pictures import neighbour_picture

# Planes cut and shown to the network together; the memory of a sweep does not grow beyond that.
PLANES_AT_A_TIME = 32
_USUAL_PX = 129 * 129  # the canvas of models that were trained on planes of volumes

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class PlaneReadings:
    """The peak of each landmark's heatmap in each of P planes.

    points_ras: (P, K, 3). heights: (P, K), the peak's height between the heatmap's pixels, 0 where there is none.
    normals: (P, 3), unit length. pixel_mm: (P,).
    """

    points_ras: np.ndarray
    heights: np.ndarray
    normals: np.ndarray
    pixel_mm: np.ndarray

    @classmethod
    def of(cls, planes: Sequence[Plane], plane_xy: np.ndarray, heights: np.ndarray) -> PlaneReadings:
        """plane_xy: (P, K, 2); heights: (P, K)."""
        points = np.stack([plane.ras_from_plane(xy) for plane, xy in zip(planes, plane_xy, strict=True)])
        axes = np.stack([plane.plane_to_ras[:3, :3] for plane in planes])
        normals = np.cross(axes[:, :, 0], axes[:, :, 1])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return cls(points, heights, normals, np.linalg.norm(axes[:, :, 0], axis=1))


class PlaneReader(Protocol):
    """Whatever finds landmarks in planes: a network, or in tests the truth."""

    def read(self, planes: Sequence[Plane], progress: Callable[[float, str], None] | None = None) -> PlaneReadings:
        """The peaks in each plane; progress gets a fraction 0..1 of these planes. Raises DetectionCancelled."""
        ...


class NetworkReader:
    """Cuts planes out of an image and shows them to a detector. A plane that meets only blackness is not shown."""

    def __init__(
        self,
        image: Image,
        detector: Detector,
        landmark_count: int,
        *,
        neighbour_px: float = 0.0,
        frame: int = 0,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.image, self.detector, self.frame = image, detector, frame
        self.landmark_count = landmark_count
        self.neighbour_px, self.should_stop = neighbour_px, should_stop
        self.planes_shown = 0

    def read(self, planes: Sequence[Plane], progress: Progress | None = None) -> PlaneReadings:
        """The peaks in each plane, PLANES_AT_A_TIME of them in memory at once."""
        plane_xy, heights = [], []
        for first in range(0, len(planes), PLANES_AT_A_TIME):
            if self.should_stop and self.should_stop():
                raise DetectionCancelled("Detection was stopped before it was complete.")
            if progress:
                progress(first / len(planes), f"plane {first + 1} of {len(planes)}")
            batch = planes[first : first + PLANES_AT_A_TIME]
            for xy, height in self._batch(batch, _part_of(progress, first, len(batch), len(planes))):
                plane_xy.append(xy)
                heights.append(height)
        return PlaneReadings.of(planes, np.stack(plane_xy), np.stack(heights))

    def _batch(self, planes: Sequence[Plane], progress: Progress | None) -> list[tuple[np.ndarray, np.ndarray]]:
        pictures = [neighbour_picture(self.image, plane, self.neighbour_px, self.frame) for plane in planes]
        shown = [number for number, picture in enumerate(pictures) if picture.any()]
        found = self.detector.detect(
            [pictures[number] for number in shown],
            batch_size=self._together(), progress=progress, should_stop=self.should_stop,
        )  # fmt: skip
        self.planes_shown += len(shown)
        count = self.landmark_count
        results = [(np.zeros((count, 2)), np.zeros(count))] * len(planes)
        sigma = self.detector.input.sigma
        for number, peaks in zip(shown, found, strict=True):
            results[number] = (peaks.picture_xy, peak_heights(peaks.score, peaks.step_px, sigma))
        return results

    def _together(self) -> int:
        """How many planes go through the network at once: all, unless its canvas is larger than a volume model's."""
        width, height = self.detector.input.size_wh
        as_large = PLANES_AT_A_TIME * _USUAL_PX // (width * height)
        return min(PLANES_AT_A_TIME, max(as_large, default_batch_size(self.detector.device)))


def _part_of(progress: Progress | None, first: int, count: int, total: int) -> Progress | None:
    """Progress within `count` of `total` planes, from plane number `first` on."""
    if progress is None:
        return None
    return lambda share, _: progress(
        (first + share * count) / total, f"plane {min(first + int(share * count) + 1, total)} of {total}"
    )


def peak_heights(score: np.ndarray, step_px: np.ndarray, sigma: float) -> np.ndarray:
    """The height of a Gaussian peak whose highest pixel, `step_px` heatmap px beside it, has `score`; not negative."""
    step = np.minimum(step_px, np.sqrt(0.5))  # a longer one is no peak's
    return np.maximum(score, 0.0).astype(np.float64) * np.exp(step**2 / (2.0 * sigma**2))
