"""Registration of a template to a volume that lies nearly as it does: affine, then cubic B-splines.

SimpleITK's registration framework (Lowekamp et al., Frontiers in Neuroinformatics 7, 2013; Avants et al., Frontiers in
Neuroinformatics 8, 2014) under the mutual information of grey values (Mattes et al., IEEE TMI 22, 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .deformation import deformation
from .watch import Watch

_SEED = 1
_BINS = 32  # grey values of the mutual information
_LEAST_STEP = 1e-4
_SAMPLES = 40_000  # voxels that are compared, drawn once: the time of a step grows with them and with the cells


@dataclass(frozen=True, eq=False)
class Pair:
    """Two volumes on one grid. fixed: the template; masks: where values mean something (uint8)."""

    fixed: sitk.Image
    moving: sitk.Image
    fixed_mask: sitk.Image | None = None
    moving_mask: sitk.Image | None = None

    def moved(self, transform: sitk.Transform) -> Pair:
        """The pair after the volume was moved onto the template by a transform."""
        moving = sitk.Resample(self.moving, self.fixed, transform, sitk.sitkLinear, 0.0)
        mask = self.moving_mask
        if mask is not None:
            mask = sitk.Resample(mask, self.fixed, transform, sitk.sitkNearestNeighbor, 0.0)
        return Pair(self.fixed, moving, self.fixed_mask, mask)


def affine_registration(pair: Pair, centre: np.ndarray, watch: Watch | None = None) -> sitk.AffineTransform:
    """The affine map, from the template to the volume, near the identity. centre: (3,) mm, of what is to be found.

    Raises DetectionCancelled.
    """
    transform = sitk.AffineTransform(3)
    transform.SetCenter(np.asarray(centre, float).tolist())
    with _one_thread():
        method = _method(pair, shrink=(4, 2))
        method.SetOptimizerAsRegularStepGradientDescent(2.0, _LEAST_STEP, 80, relaxationFactor=0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        _run(method, pair, watch or Watch(), 160, "Affine registration")
    return transform


def spline_registration(pair: Pair, affine: sitk.Transform, watch: Watch | None = None) -> sitk.CompositeTransform:
    """The affine map preceded by a deformation by cubic B-splines over the grid of the pair (`deformation`).

    Raises DetectionCancelled.
    """
    moved = pair.moved(affine)
    masks = [None if one is None else sitk.GetArrayFromImage(one) for one in (moved.fixed_mask, moved.moving_mask)]
    field = deformation(sitk.GetArrayFromImage(moved.fixed), sitk.GetArrayFromImage(moved.moving), *masks, watch)
    displacement = sitk.GetImageFromArray(field.astype(np.float64) * pair.fixed.GetSpacing()[0], isVector=True)
    displacement.CopyInformation(pair.fixed)
    whole = sitk.CompositeTransform(3)
    whole.AddTransform(affine)
    whole.AddTransform(sitk.DisplacementFieldTransform(displacement))  # the last one is applied first
    return whole


@contextmanager
def _one_thread() -> Iterator[None]:
    """ITK on one thread: several sum up in changing order, so that the same volume would not give the same points."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _method(pair: Pair, *, shrink: tuple[int, ...]) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    count = pair.fixed.GetNumberOfPixels()
    shares = [min(1.0, _SAMPLES * factor**3 / count) for factor in shrink]
    method.SetMetricSamplingPercentagePerLevel(shares, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([0.5 * factor if factor > 1 else 0.0 for factor in shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    if pair.fixed_mask is not None:
        method.SetMetricFixedMask(pair.fixed_mask)
    if pair.moving_mask is not None:
        method.SetMetricMovingMask(pair.moving_mask)
    return method


def _run(method: sitk.ImageRegistrationMethod, pair: Pair, watch: Watch, steps: int, text: str) -> None:
    """Optimise; an iteration that the caller interrupts is the last one."""
    watch.tell(0.0, text)
    stopped: list[Exception] = []
    done = [0]

    def step() -> None:
        done[0] += 1
        try:
            watch.tell(min(1.0, done[0] / steps), text)
        except Exception as error:  # an exception may not pass through ITK: it is raised again below
            stopped.append(error)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, step)
    method.Execute(pair.fixed, pair.moving)
    if stopped:
        raise stopped[0]
