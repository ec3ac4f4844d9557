"""The deformation of a template onto a volume that the affine map has laid on it: cubic B-splines, from coarse to fine.

Free-form deformation (Rueckert et al., IEEE TMI 18, 1999) under the local correlation of grey values (Cachier et al.,
CVIU 89, 2003), which slow changes of brightness, as MR coils cause them, do not move. The correlation is compared in
every voxel and its gradient comes from torch: ITK's own B-spline metric needs the time of all coefficients for each
voxel, several times as long here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .watch import Watch


@dataclass(frozen=True)
class Level:
    """shrink: how much coarser the grid. cells: of the spline along the longest side. steps: of the optimisation."""

    shrink: int
    cells: int
    steps: int


LEVELS = (Level(4, 4, 40), Level(2, 8, 40), Level(1, 14, 12))
_LEAST_CELL = 7.0  # voxels: finer ones would follow the noise
_WINDOW = 7  # voxels of the local correlation, at each level
_STIFFNESS = 0.02  # weight of the curvature of the deformation, in voxels of the level, against the correlation
_FLAT = 1e-3  # variance, of grey values 0..1, beneath which there is nothing to compare


def deformation(
    fixed: np.ndarray,
    moving: np.ndarray,
    weights: np.ndarray | None = None,
    inside: np.ndarray | None = None,
    watch: Watch | None = None,
) -> np.ndarray:
    """Where each point of the template lies in the volume: displacements (z, y, x, 3) in voxels, x y z.

    fixed, moving: (z, y, x) float32 0..1 on one grid. weights: (z, y, x), where the template means something. inside:
    (z, y, x), where the volume does. Raises DetectionCancelled.
    """
    watch = watch or Watch()
    shape = fixed.shape
    tensors = [None if one is None else torch.from_numpy(one)[None, None].float() for one in (fixed, moving)]
    tensors += [torch.ones(1, 1, *shape) if one is None else torch.from_numpy(one)[None, None].float()
                for one in (weights, inside)]  # fmt: skip
    splines: list[torch.Tensor] = []
    done, total = 0, sum(level.steps * level.shrink**-2 for level in LEVELS)
    for level in LEVELS:
        level_tensors = [_reduced(one, level.shrink) for one in tensors]
        cell = max(max(shape) / level.cells, _LEAST_CELL)
        counts = [max(2, round(side / cell)) for side in shape]
        splines.append(torch.zeros(3, *(count + 3 for count in counts)))
        splines = _optimised(splines, level_tensors, level, shape, watch.part(done / total, 1.0), total - done)
        done += level.steps * level.shrink**-2
    with torch.no_grad():
        field = sum(_on_grid(spline, shape) for spline in splines)
    return field.permute(1, 2, 3, 0).numpy()


def _optimised(
    splines: list[torch.Tensor],
    tensors: list[torch.Tensor],
    level: Level,
    whole: tuple[int, ...],
    watch: Watch,
    left: float,
) -> list[torch.Tensor]:
    """The coefficients, in voxels of the whole grid, after the steps of a level."""
    fixed, moving, weights, inside = tensors
    shape = fixed.shape[2:]
    voxels = torch.tensor([(side - 1) / (own - 1) for side, own in zip(whole, shape, strict=True)][::-1])
    voxels = voxels.view(3, 1, 1, 1)  # of the whole grid in one of the level
    splines = [spline.clone().requires_grad_() for spline in splines]
    statistics = _local(fixed), _local(fixed**2)
    here = torch.stack(torch.meshgrid(*(torch.arange(side) for side in shape), indexing="ij"))[[2, 1, 0]].float()
    sides = torch.tensor(shape[::-1]).view(3, 1, 1, 1)
    optimizer = torch.optim.LBFGS(splines, max_iter=level.steps, history_size=8, line_search_fn="strong_wolfe")
    done = [0]

    def loss() -> torch.Tensor:
        watch.tell(min(done[0], level.steps) * level.shrink**-2 / left, "Deformable registration")
        done[0] += 1
        optimizer.zero_grad()
        field = sum(_on_grid(spline, shape) for spline in splines) / voxels
        grid = (2.0 * (here + field) / (sides - 1) - 1.0).permute(1, 2, 3, 0)[None]
        moved = F.grid_sample(moving, grid, padding_mode="border", align_corners=True)
        seen = weights if inside.min() > 0 else weights * F.grid_sample(inside, grid.detach(), align_corners=True)
        value = -(seen * _correlation(fixed, moved, *statistics)).sum() / seen.sum().clamp_min(1.0)
        value = value + _STIFFNESS * _curvature(field)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return [spline.detach() for spline in splines]


def _correlation(fixed: torch.Tensor, moved: torch.Tensor, mean: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """The correlation of the windows about each voxel, (1, 1, z, y, x), -1..1, near 0 where both are flat."""
    other = _local(moved)
    covariance = _local(fixed * moved) - mean * other
    variances = (square - mean**2).clamp_min(0.0) + _FLAT, (_local(moved**2) - other**2).clamp_min(0.0) + _FLAT
    return covariance / (variances[0] * variances[1]).sqrt()


def _local(values: torch.Tensor) -> torch.Tensor:
    """The mean over a window about each voxel."""
    half = _WINDOW // 2
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = _WINDOW, half
        values = F.avg_pool3d(values, kernel, 1, padding, count_include_pad=False)
    return values


def _curvature(field: torch.Tensor) -> torch.Tensor:
    """The mean square of the second differences of a field (3, z, y, x) along its axes."""
    return sum(torch.diff(field, n=2, dim=axis).square().mean() for axis in (1, 2, 3))


def _on_grid(spline: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Coefficients (3, a, b, c) as a field (3, z, y, x)."""
    z, y, x = (_basis(side, count - 3) for side, count in zip(shape, spline.shape[1:], strict=True))
    field = torch.einsum("dabc,xc->dabx", spline, x)
    field = torch.einsum("dabx,yb->dayx", field, y)
    return torch.einsum("dayx,za->dzyx", field, z)


def _basis(side: int, cells: int) -> torch.Tensor:
    """(side, cells + 3): the cubic B-splines over a side that is divided into cells."""
    at = torch.linspace(0.0, cells, side)[:, None] - torch.arange(-1, cells + 2)[None]
    far = at.abs()
    near = 2.0 / 3.0 - far**2 + far**3 / 2.0
    return torch.where(far < 1.0, near, (2.0 - far).clamp_min(0.0) ** 3 / 6.0)


def _reduced(values: torch.Tensor, shrink: int) -> torch.Tensor:
    """On a coarser grid over the same extent, averaged before it is thinned out."""
    if shrink == 1:
        return values
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = shrink + 1, shrink // 2
        values = F.avg_pool3d(values, kernel, 1, padding, count_include_pad=False)
    size = [max(_WINDOW, round((side - 1) / shrink) + 1) for side in values.shape[2:]]
    return F.interpolate(values, size, mode="trilinear", align_corners=True)
