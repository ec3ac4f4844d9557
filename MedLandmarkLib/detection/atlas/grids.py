"""Volumes on grids of a template's frame: what registration and matching compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...image import Image
from ..volume.pose import block_means, blocks_to_ras


@dataclass(frozen=True, eq=False)
class Grid:
    """Points of one spacing along the axes of a frame. low: (3,) mm, the first point. size: (3,) points, x y z."""

    low: np.ndarray
    size: tuple[int, int, int]
    spacing_mm: float

    @classmethod
    def over(cls, low: np.ndarray, high: np.ndarray, spacing_mm: float) -> Grid:
        """From low to high (3,) mm, at least two points along each axis."""
        size = tuple(max(2, int(np.ceil(side / spacing_mm)) + 1) for side in high - low)
        return cls(np.asarray(low, float), size, spacing_mm)

    @classmethod
    def about(cls, point: np.ndarray, radius: int, spacing_mm: float) -> Grid:
        """A cube of (2 radius + 1)³ points about one."""
        return cls(np.asarray(point, float) - radius * spacing_mm, (2 * radius + 1,) * 3, spacing_mm)

    def sampled(self, volume: Sampled, to_ras: sitk.Transform) -> np.ndarray:
        """(z, y, x) float32: the volume at to_ras(points), 0 outside it."""
        whole = sitk.CompositeTransform(3)
        whole.AddTransform(volume.ijk_from_ras)
        whole.AddTransform(to_ras)  # the last one is applied first
        found = sitk.Resample(
            volume.values, self.size, whole, sitk.sitkLinear, self.low.tolist(), (self.spacing_mm,) * 3,
            np.eye(3).ravel().tolist(), 0.0, sitk.sitkFloat32,
        )  # fmt: skip
        return sitk.GetArrayFromImage(found)

    def image(self, values: np.ndarray) -> sitk.Image:
        """Values (z, y, x) as an image whose axes and mm are those of the frame."""
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((self.spacing_mm,) * 3)
        image.SetOrigin(self.low.tolist())
        return image


@dataclass(frozen=True, eq=False)
class Sampled:
    """A volume to be sampled anywhere. values: as displayed, 0..1, in units of its own voxels."""

    values: sitk.Image
    ijk_from_ras: sitk.AffineTransform

    @classmethod
    def of(cls, image: Image, frame: int, spacing_mm: float) -> Sampled:
        """Averaged over blocks of whole voxels where these are finer than half the spacing it will be sampled with."""
        voxels_mm = np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0)
        blocks = np.clip(np.floor(spacing_mm / voxels_mm + 0.25), 1, image.size).astype(int)
        values = sitk.GetImageFromArray(block_means(image, frame, tuple(blocks)))
        return cls(values, affine_transform(np.linalg.inv(blocks_to_ras(image, blocks))))

    def share_inside(self) -> Sampled:
        """1 within the volume, in the same place: sampled, it tells what lies in the field of view."""
        ones = sitk.GetImageFromArray(np.ones(self.values.GetSize()[::-1], np.float32))
        return Sampled(ones, self.ijk_from_ras)


def affine_transform(matrix: np.ndarray) -> sitk.AffineTransform:
    """A (4, 4) map as SimpleITK has it."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def carried(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    """(n, 3) points through a transform."""
    return np.array([transform.TransformPoint(point) for point in np.reshape(points, (-1, 3)).tolist()]).reshape(-1, 3)
