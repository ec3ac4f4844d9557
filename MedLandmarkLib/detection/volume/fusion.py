"""From a landmark's peaks in many planes to one place in space, with its covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .reader import PlaneReadings

# A peak this low beside the landmark's highest says nothing.
_LEAST_SHARE, _LEAST_HEIGHT = 0.2, 0.02
_STARTS = 24
# Standard deviations, in px of the plane, of a peak's place within its plane, and beyond which peaks are of something
# else; and of the logarithm of its height.
_WITHIN_PX, _ELSEWHERE_PX, _LOG_HEIGHT = 0.6, 4.0, 0.3
# Neighbouring planes err together: however many saw the landmark, they count as this many.
_MOST_WITNESSES = 6.0
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class SpatialPeak:
    """point_ras: (3,). covariance: (3, 3) mm². height: mean over the directions of the highest peak that agrees."""

    point_ras: np.ndarray
    covariance: np.ndarray
    height: float


def fused_peak(
    readings: PlaneReadings,
    landmark: int,
    fade_px: float,
    start_ras: np.ndarray | None = None,
    reach_mm: float = np.inf,
) -> SpatialPeak | None:
    """The place that a landmark's peaks agree on; None where there is no peak (within reach_mm of start_ras).

    A plane tells two coordinates by where the peak lies in it, and planes side by side tell the third by how its height
    fades: the logarithm of a Gaussian of known width is a parabola, so heights in two planes give its top. Both are put
    together by least squares. The start is the peak with which most others agree; what disagrees is weighed down
    (Cauchy's weights), so that a second structure that looks alike does not pull.
    """
    heights = readings.heights[:, landmark]
    points = readings.points_ras[:, landmark]
    usable = (heights > _LEAST_HEIGHT) & (heights > _LEAST_SHARE * heights.max(initial=0.0))
    if start_ras is not None:
        usable &= np.linalg.norm(points - start_ras, axis=1) < reach_mm
    if not usable.any():
        return None
    own = _Peaks(points[usable], heights[usable], readings.normals[usable], readings.pixel_mm[usable], fade_px)
    place = own.best_start()
    for _ in range(_ROUNDS):
        information, pull = own.equations(place)
        place = place + np.linalg.solve(information, pull)
    covariance = np.linalg.inv(information)
    return SpatialPeak(place, (covariance + covariance.T) / 2, own.height_at(place))


@dataclass(frozen=True, eq=False)
class _Peaks:
    """n peaks of one landmark: points (n, 3), heights (n,), normals (n, 3), pixel_mm (n,)."""

    points: np.ndarray
    heights: np.ndarray
    normals: np.ndarray
    pixel_mm: np.ndarray
    fade_px: float

    def offsets(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of `place` from each peak: within its plane (n, 3) and through it (n,), mm."""
        offset = place - self.points
        through = (offset * self.normals).sum(axis=1)
        return offset - through[:, None] * self.normals, through

    def agreement(self, place: np.ndarray) -> np.ndarray:
        """(n,) 0..1, how well each peak fits a landmark there."""
        within, through = self.offsets(place)
        far = (within**2).sum(axis=1) / (_ELSEWHERE_PX * self.pixel_mm) ** 2
        return np.exp(-0.5 * far) * np.exp(-0.5 * (through / (1.5 * self.fade_px * self.pixel_mm)) ** 2)

    def best_start(self) -> np.ndarray:
        starts = self.points[np.argsort(-self.heights)[:_STARTS]]
        support = [float((self.agreement(start) * self.heights**2).sum()) for start in starts]
        return starts[int(np.argmax(support))]

    def height_at(self, place: np.ndarray) -> float:
        agreeing = self.agreement(place) * self.heights
        return float(np.mean([agreeing[group].max() for group in self.directions()]))

    def directions(self) -> list[np.ndarray]:
        """Indices of the peaks in planes that lie side by side, one array for each direction and pixel size."""
        kinds = np.round(np.column_stack((self.normals, self.pixel_mm)), 4)
        _, number = np.unique(kinds, axis=0, return_inverse=True)
        number = number.reshape(-1)
        return [np.flatnonzero(number == value) for value in range(number.max() + 1)]

    def equations(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Information matrix (3, 3) and right-hand side (3,) of the step that betters `place`."""
        within, through = self.offsets(place)
        sigma = _WITHIN_PX * self.pixel_mm
        distance = np.linalg.norm(within, axis=1) / (_ELSEWHERE_PX * self.pixel_mm)
        trust = self.heights**2 / (1.0 + distance**2) ** 2
        trust *= np.exp(-0.5 * (through / (2.0 * self.fade_px * self.pixel_mm)) ** 2)
        share = min(1.0, _MOST_WITNESSES / trust.sum())
        weight = share * trust / sigma**2
        projectors = np.eye(3) - self.normals[:, :, None] * self.normals[:, None, :]
        information = (weight[:, None, None] * projectors).sum(axis=0)
        pull = -(weight[:, None] * within).sum(axis=0)
        for group in self.directions():
            top, precision = self._through(group, trust[group], share)
            normal = self.normals[group[0]]
            information += precision * np.outer(normal, normal)
            pull += precision * (top - place @ normal) * normal
        # a single plane knows no more of the third coordinate than that it shows the landmark
        fade = self.fade_px * self.pixel_mm.max()
        return information + np.eye(3) * 1e-3 / fade**2, pull

    def _through(self, group: np.ndarray, trust: np.ndarray, share: float) -> tuple[float, float]:
        """Where along a direction the heights have their top (mm along the normal), and 1 / mm² of trust in it."""
        along = (self.points[group] * self.normals[group[0]]).sum(axis=1)
        fade = self.fade_px * self.pixel_mm[group[0]]
        middle = float((trust * along).sum() / trust.sum())
        t = (along - middle) / fade
        spread = float((trust * t**2).sum() / trust.sum())
        if spread < 1e-3:  # one plane: the landmark is in it, within the fading
            return middle, share * float(trust.sum()) / fade**2
        # ln height + t²/2 = constant + top · t, a straight line
        line = np.log(self.heights[group]) + 0.5 * t**2
        mean = float((trust * line).sum() / trust.sum())
        top = float((trust * t * (line - mean)).sum() / (trust * t**2).sum())
        precision = share * float((trust * t**2).sum()) / _LOG_HEIGHT**2 / fade**2
        return middle + fade * float(np.clip(top, -2.0, 2.0)), precision
