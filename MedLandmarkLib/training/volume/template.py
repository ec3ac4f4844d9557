"""From annotated volumes to what is known beforehand: a canonical frame, the mean anatomy in it, the mean shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...dataset import Case
from ...detection.volume.pose import PoseTemplate
from ...detection.volume.shape import ShapePrior, similarity, transformed
from ...errors import DatasetError, ImageError
from ...image import Image, read_image
from ...plane import Plane, oblique_plane

_ROUNDS = 8
_TEMPLATE_SIDE = 72  # voxels along the longest side of the template
_MARGIN = 0.08  # of the landmarks' extent, around them
_FEWEST_LANDMARKS = 4


@dataclass(frozen=True, eq=False)
class AnnotatedVolume:
    """points_ras: (K, 3), NaN where not read. canonical_to_ras: (4, 4), from its own landmarks."""

    case: Case
    image: Image
    points_ras: np.ndarray
    canonical_to_ras: np.ndarray


def read_volumes(
    cases: Sequence[Case],
    rater: str,
    names: Sequence[str],
    progress: Callable[[float, str], None] | None = None,
) -> list[AnnotatedVolume]:
    """Read every case; canonical_to_ras is the identity until `aligned`. Raises DatasetError that lists every fault."""
    volumes, faults = [], []
    for number, case in enumerate(cases):
        if progress:
            progress(number / len(cases), f"Reading {case.id}")
        try:
            image = read_image(case.image_path)
        except ImageError as error:
            faults.append(f"{case.id}: {error}")
            continue
        reference = case.reference(rater)
        ijk = np.array([reference.get(name, (np.nan,) * 3) for name in names], float)
        ras = image.ras_from_ijk(ijk)
        if len(case.size) != 3 or image.size != case.size:
            faults.append(f"{case.id}: the image is {image.size} px, the dataset says {case.size}")
        elif ras is None:
            faults.append(f"{case.id}: its file states no spacing; points cannot be placed in patient space")
        elif np.isfinite(ras).all(axis=1).sum() < _FEWEST_LANDMARKS:
            faults.append(f"{case.id}: rater '{rater}' read fewer than {_FEWEST_LANDMARKS} landmarks")
        else:
            volumes.append(AnnotatedVolume(case, image, ras, np.eye(4)))
    if faults or not volumes:
        listed = "\n  ".join(faults) or "there is no case at all"
        raise DatasetError(f"{len(faults)} of {len(cases)} volumes cannot be used:\n  {listed}")
    return volumes


def aligned(volumes: Sequence[AnnotatedVolume]) -> tuple[list[AnnotatedVolume], ShapePrior]:
    """The volumes with their poses in the canonical frame, and the shapes' mean and variation in it.

    Generalised Procrustes analysis (Gower, 1975) with similarities; the mean keeps the mean size, and lies and is
    turned as in the first volume.
    """
    mean = volumes[0].points_ras - np.nanmean(volumes[0].points_ras, axis=0)
    for _ in range(_ROUNDS):
        poses = [_pose(mean, volume.points_ras) for volume in volumes]
        shapes = np.stack(
            [transformed(np.linalg.inv(pose), volume.points_ras) for pose, volume in zip(poses, volumes, strict=True)]
        )
        mean = np.nanmean(shapes, axis=0)
        size = np.exp(np.mean([np.log(np.cbrt(np.linalg.det(pose[:3, :3]))) for pose in poses]))
        mean = (mean - np.nanmean(mean, axis=0)) * size
        if np.isnan(mean).any():
            raise DatasetError("A landmark was read in none of the volumes: nothing can be learned of it.")
    poses = [_pose(mean, volume.points_ras) for volume in volumes]
    placed = [
        AnnotatedVolume(volume.case, volume.image, volume.points_ras, pose)
        for volume, pose in zip(volumes, poses, strict=True)
    ]
    shapes = np.stack([transformed(np.linalg.inv(one.canonical_to_ras), one.points_ras) for one in placed])
    return placed, ShapePrior.from_shapes(shapes)


def mean_anatomy(volumes: Sequence[AnnotatedVolume], shape: ShapePrior) -> PoseTemplate:
    """The mean of the aligned volumes on a coarse grid around the mean landmarks."""
    extent = np.ptp(shape.mean, axis=0)
    low = shape.mean.min(axis=0) - _MARGIN * extent.max()
    high = shape.mean.max(axis=0) + _MARGIN * extent.max()
    spacing = float((high - low).max()) / _TEMPLATE_SIDE
    columns, rows, slices = (int(np.ceil(side / spacing)) for side in high - low)
    ijk_to_canonical = np.diag([spacing, spacing, spacing, 1.0])
    ijk_to_canonical[:3, 3] = low
    total = np.zeros((slices, rows, columns), np.float64)
    for volume in volumes:
        for k in range(slices):
            plane_to_ras = volume.canonical_to_ras @ ijk_to_canonical
            plane_to_ras[:3, 3] += k * plane_to_ras[:3, 2]
            total[k] += oblique_plane(volume.image, Plane(plane_to_ras, (columns, rows)), thickness=1.0).picture[..., 0]
    return PoseTemplate((total / (255.0 * len(volumes))).astype(np.float32), ijk_to_canonical)


def _pose(mean: np.ndarray, points: np.ndarray) -> np.ndarray:
    known = np.isfinite(points).all(axis=1) & np.isfinite(mean).all(axis=1)
    return similarity(mean[known], points[known])
