"""What a landmark detector for volumes has to beat: two ways to carry the training landmarks over, without a network.

Mean shape: the mean of the aligned training landmarks, laid on the volume by the pose in which the mean training volume
resembles it most (`find_pose`).
Atlas transfer: one training volume is registered to the volume with SimpleITK, affine and then B-spline, beginning in
the same pose; its landmarks are carried over.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from MedLandmarkLib.detection.volume.pose import PoseTemplate, find_pose
from MedLandmarkLib.detection.volume.shape import ShapePrior, transformed
from MedLandmarkLib.plane import Plane, oblique_plane
from MedLandmarkLib.training.volume.template import AnnotatedVolume

SPACING_MM = 0.17
MARGIN_MM = 1.5
MESH = (6, 6, 6)


def mean_shape_errors(volume: AnnotatedVolume, template: PoseTemplate, shape: ShapePrior) -> np.ndarray:
    """(K,) mm."""
    pose = find_pose(volume.image, template)
    return _errors(transformed(pose.canonical_to_ras, shape.mean), volume)


def atlas_errors(volume: AnnotatedVolume, atlas: AnnotatedVolume, template: PoseTemplate, shape: ShapePrior) -> dict:
    """Errors (K,) mm after the affine and after the B-spline registration of the atlas to the volume."""
    target_pose = find_pose(volume.image, template).canonical_to_ras
    fixed = _upright(atlas, atlas.canonical_to_ras, shape)  # its landmarks are known
    moving = _upright(volume, target_pose, shape)
    points = transformed(np.linalg.inv(atlas.canonical_to_ras), atlas.points_ras)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(shape.mean.mean(axis=0).tolist())
    affine = _registered(fixed, moving, affine, shrink=(4, 2), iterations=60, share=0.1)
    spline = sitk.BSplineTransformInitializer(fixed, MESH, order=3)
    whole = sitk.CompositeTransform([affine])
    whole.AddTransform(_registered(fixed, moving, spline, shrink=(2,), iterations=40, share=0.25, first=affine))
    found = {}
    for name, transform in (("affine", affine), ("affine + B-spline", whole)):
        carried = np.array([transform.TransformPoint(point) for point in points.tolist()])
        found[name] = _errors(transformed(target_pose, carried), volume)
    return found


def _errors(points_ras: np.ndarray, volume: AnnotatedVolume) -> np.ndarray:
    return np.linalg.norm(points_ras - volume.points_ras, axis=1)


def _upright(volume: AnnotatedVolume, canonical_to_ras: np.ndarray, shape: ShapePrior) -> sitk.Image:
    """The volume in the canonical frame, whose axes and mm are those of the SimpleITK image."""
    low, high = shape.mean.min(axis=0) - MARGIN_MM, shape.mean.max(axis=0) + MARGIN_MM
    columns, rows, slices = (int(np.ceil(side / SPACING_MM)) for side in high - low)
    to_canonical = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    to_canonical[:3, 3] = low
    values = np.empty((slices, rows, columns), np.float32)
    for k in range(slices):
        matrix = canonical_to_ras @ to_canonical
        matrix[:3, 3] += k * matrix[:3, 2]
        values[k] = oblique_plane(volume.image, Plane(matrix, (columns, rows))).picture[..., 0]
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((SPACING_MM,) * 3)
    image.SetOrigin(low.tolist())
    return image


def _registered(
    fixed: sitk.Image,
    moving: sitk.Image,
    transform: sitk.Transform,
    *,
    shrink: tuple[int, ...],
    iterations: int,
    share: float,
    first: sitk.Transform | None = None,
) -> sitk.Transform:
    """The transform (fixed → moving) after optimisation of the correlation by L-BFGS-B or gradient descent."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(share, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([0.5 * factor for factor in shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    if first is not None:
        method.SetMovingInitialTransform(first)
        method.SetOptimizerAsLBFGSB(1e-7, iterations, maximumNumberOfFunctionEvaluations=2 * iterations)
    else:
        method.SetOptimizerAsRegularStepGradientDescent(0.3, 1e-4, iterations)
        method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return transform
