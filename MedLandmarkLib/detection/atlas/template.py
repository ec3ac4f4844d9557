"""An annotated volume made ready to be found again in others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...errors import ModelError
from ...image import Image
from ...plane.placing import box_ras
from ..volume.pose import PoseTemplate
from .grids import Grid, Sampled

# Parts of the extent of the landmarks: around them, what tells how the anatomy lies, and what is deformed onto another.
_POSE_MARGIN, _MARGIN = 0.35, 0.2
_LEAST_EXTENT = 0.5  # of the volume's longest side: a few landmarks close together do not make a template small
_POSE_SIDE, _AFFINE_SIDE, _SPLINE_SIDE = 72, 96, 112  # points along the longest side
# Where so many voxels have the lowest value exactly, it was written where nothing was measured or shown.
_CUT_OUT_SHARE = 0.15
_RIM = 1  # grid points of such surroundings that still count: they tell where the anatomy ends


@dataclass(frozen=True, eq=False)
class PreparedTemplate:
    """points: (K, 3) in the template's own patient space, NaN where not annotated; that space is the frame of grids.

    pose: the anatomy for `find_pose`. affine, spline: the grids of the registrations. extent_mm: of the landmarks.
    fine: the volume itself, to be sampled at fine_mm.
    """

    points: np.ndarray
    extent_mm: float
    pose: PoseTemplate
    affine: Grid
    spline: Grid
    fine: Sampled
    fine_mm: float
    image: Image

    @classmethod
    def of(cls, image: Image, points: np.ndarray) -> PreparedTemplate:
        """Raises ModelError where no landmark is annotated within the volume."""
        known = points[np.isfinite(points).all(axis=1)]
        low, high = box_ras(image)
        if not len(known):
            raise ModelError("None of the landmarks is annotated in the template: there is nothing to carry over.")
        outside = ((known < low - 1e-6) | (known > high + 1e-6)).any(axis=1)
        if outside.any():
            raise ModelError(
                f"{outside.sum()} of {len(known)} points lie outside the template volume, the first at RAS "
                f"{np.round(known[outside][0], 1).tolist()} mm. Are they points of this volume?"
            )
        extent = max(float(np.ptp(known, axis=0).max()), _LEAST_EXTENT * float((high - low).max()) / 2.0)

        def box(margin: float) -> tuple[np.ndarray, np.ndarray]:
            around = margin * extent
            return np.maximum(known.min(axis=0) - around, low), np.minimum(known.max(axis=0) + around, high)

        pose_low, pose_high = box(_POSE_MARGIN)
        roi_low, roi_high = box(_MARGIN)
        longest = float((roi_high - roi_low).max())
        voxel = float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).max())
        return cls(
            points, extent, pose_template(image, pose_low, pose_high),
            Grid.over(pose_low, pose_high, max(voxel, float((pose_high - pose_low).max()) / _AFFINE_SIDE)),
            Grid.over(roi_low, roi_high, max(voxel, longest / _SPLINE_SIDE)),
            Sampled.of(image, 0, voxel), voxel, image,
        )  # fmt: skip

    def values(self, grid: Grid) -> sitk.Image:
        """The template on a grid."""
        return grid.image(
            grid.sampled(Sampled.of(self.image, 0, grid.spacing_mm), sitk.Transform(3, sitk.sitkIdentity))
        )

    def mask(self, grid: Grid) -> sitk.Image | None:
        """Where the template shows something, and a rim around; None where it shows something everywhere."""
        pixels = self.image.pixels[0, ..., 0]
        shown = (pixels != pixels.min()).astype(np.uint8)
        if shown.mean() > 1.0 - _CUT_OUT_SHARE:
            return None
        ones = Sampled(sitk.GetImageFromArray(shown), Sampled.of(self.image, 0, self.fine_mm / 2).ijk_from_ras)
        on_grid = grid.sampled(ones, sitk.Transform(3, sitk.sitkIdentity)) > 0.5
        return sitk.BinaryDilate(grid.image(on_grid.astype(np.uint8)), (_RIM,) * 3)


def pose_template(image: Image, low: np.ndarray, high: np.ndarray) -> PoseTemplate:
    """The anatomy between two corners (3,) RAS of a volume, coarsely, in its own patient space."""
    grid = Grid.over(low, high, float((high - low).max()) / _POSE_SIDE)
    values = grid.sampled(Sampled.of(image, 0, grid.spacing_mm), sitk.Transform(3, sitk.sitkIdentity))
    ijk_to_canonical = np.diag([grid.spacing_mm] * 3 + [1.0])
    ijk_to_canonical[:3, 3] = grid.low
    return PoseTemplate(values, ijk_to_canonical)
