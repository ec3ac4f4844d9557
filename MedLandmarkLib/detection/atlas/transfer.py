"""From a prepared template to its landmarks in another volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...image import Image
from ..volume.pose import Pose, find_pose
from ..volume.shape import ShapePrior
from .grids import Grid, Sampled, affine_transform, carried
from .matching import Match, PatchSize, match
from .registration import Pair, affine_registration, spline_registration
from .template import PreparedTemplate
from .watch import Watch

# What the registration leaves for the matching, in parts of the extent of the landmarks: its standard deviation, of
# which one part neighbours share, and how far neighbours reach.
_RESIDUAL, _REACH, _SHARED = 0.012, 0.15, 0.7
# Patches in voxels of the template: first wide and coarse, then narrow and fine.
_PATCHES = (PatchSize(6, 4, 2.0), PatchSize(6, 3, 1.0))
_SHARES = (0.0, 0.2, 0.45, 0.8, 1.0)  # of the work: pose, affine, spline, matching


@dataclass(frozen=True, eq=False)
class CarriedPoint:
    """A landmark found in a volume.

    point_ras: (3,); covariance: (3, 3) mm², of the matching and the neighbours together. similarity: correlation of
    the surroundings, -1..1. return_mm: how far beside its beginning the point comes out when it is looked for in the
    template again. residual_mm: how far the matching moved it from where the registration had it.
    """

    point_ras: np.ndarray
    covariance: np.ndarray
    similarity: float
    return_mm: float
    residual_mm: float


@dataclass(frozen=True, eq=False)
class Transfer:
    """The stages of a transfer: points (K, 3) RAS after the pose, the affine and the deformable registration (NaN where
    the template has none), and what came out."""

    pose: Pose
    by_pose: np.ndarray
    by_affine: np.ndarray | None = None
    by_spline: np.ndarray | None = None
    found: tuple[CarriedPoint | None, ...] = ()


def transfer(template: PreparedTemplate, image: Image, frame: int = 0, watch: Watch | None = None) -> Transfer:
    """Carry the landmarks over. Where the anatomy is not found nothing after the pose is done.

    Raises ImageError for a black volume, DetectionCancelled.
    """
    watch = watch or Watch()
    watch.tell(0.0, "Looking how the anatomy lies")
    pose = find_pose(image, template.pose, frame)
    by_pose = _through(affine_transform(pose.canonical_to_ras), template.points)
    if not pose.is_found:
        return Transfer(pose, by_pose)
    to_ras = affine_transform(pose.canonical_to_ras)
    centre = np.nanmean(template.points, axis=0)
    pair = _pair(template, template.affine, image, frame, pose, to_ras)
    affine = affine_registration(pair, centre, watch.part(*_SHARES[1:3]))
    pair = _pair(template, template.spline, image, frame, pose, to_ras)
    spline = spline_registration(pair, affine, watch.part(*_SHARES[2:4]))
    by_spline = sitk.CompositeTransform(3)
    by_spline.AddTransform(to_ras)
    by_spline.AddTransform(spline)
    found = _matched(template, image, frame, by_spline, pose, watch.part(*_SHARES[3:]))
    return Transfer(
        pose, by_pose, _through(to_ras, _through(affine, template.points)), _through(by_spline, template.points), found
    )


def _pair(template: PreparedTemplate, grid: Grid, image: Image, frame: int, pose: Pose, to_ras: sitk.Transform) -> Pair:
    volume = Sampled.of(image, frame, grid.spacing_mm * pose.scale)
    moving = grid.image(grid.sampled(volume, to_ras))
    inside = grid.sampled(volume.share_inside(), to_ras) > 0.5
    mask = None if inside.all() else grid.image(inside.astype(np.uint8))
    return Pair(template.values(grid), moving, template.mask(grid), mask)


def _matched(
    template: PreparedTemplate, image: Image, frame: int, to_ras: sitk.Transform, pose: Pose, watch: Watch
) -> tuple[CarriedPoint | None, ...]:
    """The landmarks where their surroundings are found best, drawn together by their neighbours."""
    identity = sitk.Transform(3, sitk.sitkIdentity)
    volume = Sampled.of(image, frame, template.fine_mm * pose.scale)

    def in_template(point: np.ndarray, radius: int, spacing: float) -> np.ndarray:
        return Grid.about(point, radius, spacing).sampled(template.fine, identity)

    def in_volume(point: np.ndarray, radius: int, spacing: float) -> np.ndarray:
        return Grid.about(point, radius, spacing).sampled(volume, to_ras)

    known = np.flatnonzero(np.isfinite(template.points).all(axis=1))
    places = template.points[known]
    moved, covariances, similarities = places.copy(), np.zeros((len(known), 3, 3)), np.zeros(len(known))
    for level, size in enumerate(_PATCHES):
        size = PatchSize(size.radius, size.reach, size.spacing_mm * template.fine_mm)
        matches: list[Match | None] = []
        for number, (point, about) in enumerate(zip(places, moved, strict=True)):
            watch.tell((level + number / len(known)) / 3, "Matching the surroundings of the landmarks")
            matches.append(match(in_template, in_volume, point, about, size))
        moved, covariances = _drawn_together(template, places, moved, matches)
        similarities = np.array([0.0 if one is None else one.similarity for one in matches])
    found: list[CarriedPoint | None] = [None] * len(template.points)
    for number, k in enumerate(known):
        watch.tell((2 + number / len(known)) / 3, "Matching back")
        back = match(in_volume, in_template, moved[number], moved[number], size)
        offset = moved[number] - places[number]
        gone = size.reach * size.spacing_mm if back is None else np.linalg.norm(offset + back.offset)
        linear = _jacobian(to_ras, moved[number], template.fine_mm)
        found[k] = CarriedPoint(
            carried(to_ras, moved[number])[0],
            linear @ covariances[number] @ linear.T,
            float(similarities[number]),
            float(gone) * pose.scale,
            float(np.linalg.norm(offset)) * pose.scale,
        )
    return tuple(found)


def _drawn_together(
    template: PreparedTemplate, places: np.ndarray, about: np.ndarray, matches: list[Match | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and covariances (n, 3, 3), in the template's frame, given the matches and that neighbours move
    alike: a normal prior whose correlation falls off with the distance of the landmarks."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    shared = np.exp(-0.5 * (distance / (_REACH * template.extent_mm)) ** 2)
    variance = (_RESIDUAL * template.extent_mm) ** 2
    kernel = variance * (_SHARED * shared + (1.0 - _SHARED) * np.eye(len(places)))
    prior = ShapePrior(places, np.kron(kernel, np.eye(3)))
    points = np.array(
        [(np.nan,) * 3 if one is None else at + one.offset for at, one in zip(about, matches, strict=True)]
    )
    noise = np.stack([np.full((3, 3), np.nan) if one is None else one.covariance for one in matches])
    drawn, covariances, _ = prior.combined(points, noise, np.eye(4))
    return drawn, covariances


def _jacobian(transform: sitk.Transform, point: np.ndarray, step: float) -> np.ndarray:
    """(3, 3): how the transform turns and stretches small steps at a point (3,)."""
    ends = np.concatenate((point + step * np.eye(3), point - step * np.eye(3)))
    there = carried(transform, ends)
    return ((there[:3] - there[3:]) / (2.0 * step)).T


def _through(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    """(K, 3) through a transform, NaN where they are NaN."""
    out = np.full(points.shape, np.nan)
    known = np.isfinite(points).all(axis=1)
    out[known] = carried(transform, points[known])
    return out
