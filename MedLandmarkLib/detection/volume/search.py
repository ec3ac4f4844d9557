"""The search of a volume for landmarks: all of it in coarse planes, then fine planes where candidates are.

The time of the second pass grows with the number of landmarks, that of the first with the number of coarse planes, and
neither with the number of stored slices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...plane import DIRECTIONS, Plane, sweep
from ...plane.sweep import turned_plane
from .fusion import SpatialPeak, fused_peak
from .knowledge import PlaneGeometry
from .reader import PlaneReader, PlaneReadings
from .shape import ShapePrior, transformed

Progress = Callable[[float, str], None]

# Fine planes on either side of a candidate, in standard deviations of the fading.
_FINE_OFFSETS = (-0.8, 0.0, 0.8)
_REACH_PX = 16.0  # of a candidate, in coarse px: what lies farther belongs to another structure
# A lower peak is noise. Where no plane showed a landmark but the shape tells its place, it is looked for there.
_LEAST_CANDIDATE = 0.1
_COARSE_SHARE = 0.3  # of the work, for progress


@dataclass(frozen=True, eq=False)
class SearchArea:
    """Where to look: the box from low to high (3,) of a frame that to_ras (4, 4: turn, one scale, shift) places."""

    to_ras: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def scale(self) -> float:
        return float(np.linalg.norm(self.to_ras[:3, 0]))


@dataclass(frozen=True, eq=False)
class FoundPoint:
    """A landmark in space. point_ras: (3,), covariance (3, 3) mm². height: 0 where no plane showed it.

    peak: what the planes alone say, without the shape; None where none showed it.
    far_squared: how far the planes' own answer lies from where the other landmarks have it, squared standard
    deviations; 0 where no shape is known.
    """

    point_ras: np.ndarray
    covariance: np.ndarray
    height: float
    peak: SpatialPeak | None = None
    far_squared: float = 0.0


def search(
    reader: PlaneReader,
    area: SearchArea,
    count: int,
    geometry: PlaneGeometry,
    *,
    shape: ShapePrior | None = None,
    noise: float = 1.0,
    directions: Sequence[str] = DIRECTIONS,
    progress: Progress | None = None,
) -> list[FoundPoint | None]:
    """Each of `count` landmarks, or None where neither a plane nor the shape tells anything of it.

    noise: how much larger the standard deviations of peaks are than they say of themselves, when they are weighed
    against the shape.
    Raises DetectionCancelled (the reader's).
    """
    planes = sweep(
        area.to_ras, area.low, area.high,
        pixel_mm=geometry.coarse_mm, step_mm=geometry.coarse_mm * geometry.fade_px, directions=directions,
        size_wh=(geometry.size_px,) * 2 if shape is not None else None,
    )  # fmt: skip
    readings = reader.read(planes, _part(progress, 0.0, _COARSE_SHARE))
    peaks = [fused_peak(readings, landmark, geometry.fade_px) for landmark in range(count)]
    candidates = _combined(peaks, shape, area, noise)
    fine = _fine_planes(candidates, area, geometry, directions)
    if not fine:
        return candidates
    readings = reader.read([plane for plane, _ in fine], _part(progress, _COARSE_SHARE, 1.0))
    centres = np.array([centre for _, centre in fine])
    reach = _REACH_PX * geometry.coarse_mm * area.scale
    better: list[SpatialPeak | None] = []
    for landmark, candidate in enumerate(candidates):
        if candidate is None:
            better.append(None)
            continue
        near = _near(readings, centres, candidate.point_ras, geometry)
        better.append(fused_peak(near, landmark, geometry.fade_px, candidate.point_ras, reach))
    return _combined(better, shape, area, noise)


def _combined(
    peaks: Sequence[SpatialPeak | None], shape: ShapePrior | None, area: SearchArea, noise: float
) -> list[FoundPoint | None]:
    """The peaks, made the more probable by the shape where one is known."""
    if shape is None:
        return [
            None if peak is None else FoundPoint(peak.point_ras, peak.covariance, peak.height, peak) for peak in peaks
        ]
    points = np.array([np.full(3, np.nan) if peak is None else peak.point_ras for peak in peaks])
    covariances = np.array([np.eye(3) if peak is None else peak.covariance * noise**2 for peak in peaks])
    points, covariances, far = shape.combined(points, covariances, area.to_ras)
    return [
        FoundPoint(points[number], covariances[number], 0.0 if peak is None else peak.height, peak, float(far[number]))
        for number, peak in enumerate(peaks)
    ]


def _fine_planes(
    candidates: Sequence[FoundPoint | None], area: SearchArea, geometry: PlaneGeometry, directions: Sequence[str]
) -> list[tuple[Plane, np.ndarray]]:
    """Planes around each candidate in the area, each with its candidate's place (3,) RAS."""
    to_area = np.linalg.inv(area.to_ras)
    step = geometry.fine_mm * geometry.fade_px
    planes = []
    for candidate in candidates:
        if candidate is None or (candidate.peak is not None and candidate.height < _LEAST_CANDIDATE):
            continue
        place = transformed(to_area, candidate.point_ras)
        if np.any(place < area.low) or np.any(place > area.high):
            continue
        for direction in directions:
            for offset in _FINE_OFFSETS:
                centre = place.copy()
                centre[DIRECTIONS.index(direction)] += offset * step
                plane = turned_plane(area.to_ras, centre, direction, geometry.fine_mm, (geometry.size_px,) * 2)
                planes.append((plane, candidate.point_ras))
    return planes


def _near(readings: PlaneReadings, centres: np.ndarray, point: np.ndarray, geometry: PlaneGeometry) -> PlaneReadings:
    """The readings of planes that may show a point: those about itself and about its neighbours."""
    half = 0.45 * geometry.size_px * readings.pixel_mm
    offset = point - centres
    through = np.abs((offset * readings.normals).sum(axis=1))
    near = (np.linalg.norm(offset, axis=1) < half) & (through < 3.0 * geometry.fade_px * readings.pixel_mm)
    return PlaneReadings(
        readings.points_ras[near], readings.heights[near], readings.normals[near], readings.pixel_mm[near]
    )


def _part(progress: Progress | None, start: float, end: float) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, text: progress(start + fraction * (end - start), text)
