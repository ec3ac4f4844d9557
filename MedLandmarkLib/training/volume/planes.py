"""Planes drawn from annotated volumes, as a network that reads volumes plane by plane is trained on.

A plane shows a landmark the better the nearer it passes by, and the target says so: its peak fades with the distance
through the plane. A sweep of planes then peaks at the right one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...detection.volume.knowledge import PlaneGeometry
from ...detection.volume.pictures import neighbour_picture
from ...detection.volume.shape import transformed
from ...plane import DIRECTIONS, Plane
from ...plane.placing import ANATOMICAL_AXES
from .template import AnnotatedVolume

# How far planes are drawn off the anatomy's own directions, so that a pose that is not exact does no harm: standard
# deviations of the tilt (degrees), of the stretch along each side, and the largest turn within the plane (degrees).
_TILT, _STRETCH, _TURN = 7.0, 0.04, 20.0
_ZOOM = 1.15  # beyond the finest and the coarsest pixel, either way
_NEAR_SHARE = 0.9  # of the planes are drawn around a landmark, the others anywhere in the anatomy
_WHOLE_MM = 1.5  # how far, canonical, a coarse plane's middle strays from the anatomy's


@dataclass(frozen=True)
class PlaneBatch:
    """pictures: uint8 (B, 3, H, W), the plane and its two neighbours. canvas_xy: (B, K, 2) float32, NaN where not read.

    offset_px: (B, K) float32, how far each landmark lies through the plane, in the plane's pixels.
    """

    pictures: torch.Tensor
    canvas_xy: torch.Tensor
    offset_px: torch.Tensor

    def amplitudes(self, fade_px: float) -> torch.Tensor:
        """(B, K) height of each landmark's target, exp(-d² / 2 s²); 0 off the picture, NaN where it was not read."""
        height, width = self.pictures.shape[-2:]
        x, y = self.canvas_xy.unbind(dim=-1)
        amplitude = torch.exp(-self.offset_px.square() / (2.0 * fade_px**2))
        off = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
        return torch.where(off, torch.zeros_like(amplitude), amplitude)


class PlaneSource:
    """Draws planes from aligned volumes; every draw follows from its generator alone."""

    def __init__(self, volumes: Sequence[AnnotatedVolume], geometry: PlaneGeometry) -> None:
        self.volumes, self.geometry = list(volumes), geometry
        self._shapes = [transformed(np.linalg.inv(one.canonical_to_ras), one.points_ras) for one in self.volumes]

    def draw(self, generator: np.random.Generator, count: int) -> PlaneBatch:
        """`count` planes of random volumes, landmarks, directions, sizes and tilts."""
        drawn = [self._draw_one(generator) for _ in range(count)]
        pictures, canvas_xy, offsets = zip(*drawn, strict=True)
        return PlaneBatch(
            torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()),
            torch.from_numpy(np.stack(canvas_xy)).float(),
            torch.from_numpy(np.stack(offsets)).float(),
        )

    def _draw_one(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        number = generator.integers(len(self.volumes))
        volume, shape = self.volumes[number], self._shapes[number]
        plane = self._plane(generator, shape, volume.canonical_to_ras)
        picture = neighbour_picture(volume.image, plane, self.geometry.neighbour_px)
        placed = plane.plane_from_ras(volume.points_ras)
        return picture, placed[:, :2], placed[:, 2]

    def _plane(self, generator: np.random.Generator, shape: np.ndarray, to_ras: np.ndarray) -> Plane:
        geometry = self.geometry
        low, high = math.log(geometry.fine_mm / _ZOOM), math.log(geometry.coarse_mm * _ZOOM)
        share = generator.uniform()
        pixel = math.exp(low + share * (high - low))
        direction = DIRECTIONS[generator.integers(len(DIRECTIONS))]
        x, y = (np.array(axis) for axis in ANATOMICAL_AXES[direction])
        normal = np.cross(x, y)
        centre = self._centre(generator, shape, pixel, share, (x, y, normal))
        turned = _turn(generator) @ np.stack((x, y, normal), axis=1)
        angle = math.radians(generator.uniform(-_TURN, _TURN))
        within = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
        stretch = np.diag(np.exp(generator.normal(0.0, _STRETCH, 3)))
        # stretched along the anatomy's own axes: heads differ in length and width
        linear = stretch @ turned @ within * pixel
        size = geometry.size_px
        plane_to_canonical = np.eye(4)
        plane_to_canonical[:3, :3] = linear
        plane_to_canonical[:3, 3] = centre - linear[:, :2] @ np.full(2, (size - 1) / 2)
        return Plane(to_ras @ plane_to_canonical, (size, size))

    def _centre(
        self, generator: np.random.Generator, shape: np.ndarray, pixel: float, share: float, axes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """The plane's middle: near a landmark where pixels are fine, the anatomy's where they are coarse."""
        known = shape[np.isfinite(shape).all(axis=1)]
        low, high = known.min(axis=0), known.max(axis=0)
        near = known[generator.integers(len(known))]
        if generator.uniform() > _NEAR_SHARE:
            near = generator.uniform(low - 0.1 * (high - low), high + 0.1 * (high - low))
        within = 0.3 * self.geometry.size_px * pixel
        about = near + sum(axis * generator.uniform(-within, within) for axis in axes[:2])
        whole = (low + high) / 2 + sum(axis * generator.normal(0.0, _WHOLE_MM) for axis in axes[:2])
        normal = axes[2]
        through = near @ normal + generator.normal(0.0, 1.2 * self.geometry.fade_px * pixel)
        centre = whole if share > 0.7 else about
        return centre + normal * (through - centre @ normal)


def _turn(generator: np.random.Generator) -> np.ndarray:
    """(3, 3): a small random turn about any axis (Rodrigues' formula)."""
    vector = generator.normal(0.0, math.radians(_TILT), 3)
    angle = float(np.linalg.norm(vector)) or 1e-12
    a, b, c = vector / angle
    cross = np.array([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])
    return np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
