"""Where the anatomy of a volume lies: the similarity that lays a template on it, from any orientation.

Patients lie in scanners as they are told to; specimens lie as they fell. A network that knows the anatomy upright is
shown it upright, by planes that are cut in the template's own, canonical, frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ...errors import ImageError
from ...image import Image

# Turns tried at first, the best of which are improved: about 20 degrees from one to the next.
_TURNS, _KEPT = 1500, 10
_COARSE_STEPS, _FINE_STEPS = 60, 40
_POINTS = 4000
# Below this correlation with the template the volume shows something else, or too little of it.
LEAST_CORRELATION = 0.5


@dataclass(frozen=True, eq=False)
class PoseTemplate:
    """What the anatomy looks like on average, in its canonical frame (mm).

    values: (k, j, i) float32, 0..1. ijk_to_canonical: (4, 4).
    """

    values: np.ndarray
    ijk_to_canonical: np.ndarray

    @property
    def spacing_mm(self) -> float:
        return float(np.linalg.norm(self.ijk_to_canonical[:3, :3], axis=0).max())

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and highest (3,) corner of the grid, canonical mm; the grid lies along the frame's axes."""
        sides = np.array(self.values.shape[::-1])
        corners = np.stack((np.full(3, -0.5), sides - 0.5))
        placed = corners @ self.ijk_to_canonical[:3, :3].T + self.ijk_to_canonical[:3, 3]
        return placed.min(axis=0), placed.max(axis=0)


@dataclass(frozen=True, eq=False)
class Pose:
    """canonical_to_ras: (4, 4), turn, one scale and shift. correlation: of the template with the image there, -1..1."""

    canonical_to_ras: np.ndarray
    correlation: float

    @property
    def is_found(self) -> bool:
        return self.correlation >= LEAST_CORRELATION

    @property
    def scale(self) -> float:
        return float(np.cbrt(np.linalg.det(self.canonical_to_ras[:3, :3])))

    def in_words(self) -> str:
        """For the user: how the anatomy lies, or that it was not found."""
        if not self.is_found:
            return f"The model's anatomy was not found in any orientation (correlation {self.correlation:.2f})."
        cosine = (np.trace(self.canonical_to_ras[:3, :3]) / self.scale - 1.0) / 2.0
        turn = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        return (
            f"The anatomy was found turned by {turn:.0f} degrees from the model's upright position, "
            f"{self.scale:.2f} times its size (correlation {self.correlation:.2f})."
        )


def find_pose(image: Image, template: PoseTemplate, frame: int = 0) -> Pose:
    """The pose in which the template resembles the volume most, whatever way the head lies.

    Turns from all over the sphere are tried with the centres of mass laid on each other (twice as coarse as the
    template), the best are improved together by gradient ascent on the correlation, and the winner once more at the
    template's own resolution. Only what lies within the volume counts, so that a cropped one is found as well.
    Raises ImageError where the volume is black.
    """
    coarse = _Reduced.of(image, frame, 2.0 * template.spacing_mm)
    fine = _Reduced.of(image, frame, template.spacing_mm)
    points, values = _template_points(template)
    centre = (points * values[:, None]).sum(0) / values.sum()
    start = _Candidates.turned(_turns(_TURNS), centre, coarse.centre_of_mass())
    correlation = torch.cat([coarse.correlation(part, points, values) for part in start.split(100)])
    best = start.taken(correlation.topk(_KEPT).indices)
    best = _improved(best, coarse, points, values, _COARSE_STEPS)
    winner = best.taken(coarse.correlation(best, points, values).topk(1).indices)
    winner = _improved(winner, fine, points, values, _FINE_STEPS, rate=0.3)
    matrix = np.eye(4)
    matrix[:3] = winner.matrices()[0].numpy()
    return Pose(matrix, float(fine.correlation(winner, points, values)[0]))


@dataclass(frozen=True, eq=False)
class _Reduced:
    """A volume averaged over blocks. values: (1, 1, k, j, i) 0..1; ijk_from_ras: (3, 4), both float32."""

    values: torch.Tensor
    ijk_from_ras: torch.Tensor

    @classmethod
    def of(cls, image: Image, frame: int, spacing_mm: float) -> _Reduced:
        blocks = np.maximum(1, np.rint(spacing_mm / np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0))).astype(int)
        blocks = np.minimum(blocks, image.size)
        values = block_means(image, frame, tuple(blocks))
        matrix = np.linalg.inv(blocks_to_ras(image, blocks))
        return cls(torch.from_numpy(values)[None, None], torch.from_numpy(matrix[:3]).float())

    def centre_of_mass(self) -> torch.Tensor:
        """(3,) RAS, of what is brighter than the mean."""
        values = self.values[0, 0]
        weight = (values - values.mean()).clamp_min(0.0)
        if not float(weight.sum()) > 0:
            raise ImageError("The volume has one grey value everywhere: there is nothing to find in it.")
        axes = [torch.arange(side, dtype=torch.float32) for side in values.shape]
        k, j, i = ((weight * axis).sum() / weight.sum() for axis in torch.meshgrid(*axes, indexing="ij"))
        ijk = torch.stack((i, j, k))
        return torch.linalg.solve(self.ijk_from_ras[:, :3], ijk - self.ijk_from_ras[:, 3])

    def correlation(self, candidates: _Candidates, points: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(M,) correlation of the template's points with the volume, over those inside; lowered where few are."""
        matrices = candidates.matrices()  # (M, 3, 4)
        ras = points @ matrices[:, :, :3].transpose(1, 2) + matrices[:, None, :, 3]  # (M, n, 3)
        ijk = ras @ self.ijk_from_ras[:, :3].T + self.ijk_from_ras[:, 3]
        sides = torch.tensor(self.values.shape[:1:-1], dtype=torch.float32)  # i, j, k
        grid = (2.0 * ijk + 1.0) / sides - 1.0
        inside = (grid.abs() <= 1.0).all(dim=-1).float()
        count = len(grid)
        found = F.grid_sample(
            self.values.expand(count, -1, -1, -1, -1), grid[:, None, None], padding_mode="border", align_corners=False
        ).reshape(count, -1)
        share = inside.mean(dim=1)
        mass = inside.sum(dim=1, keepdim=True).clamp_min(1.0)
        one = (values - (inside * values).sum(1, keepdim=True) / mass) * inside
        other = (found - (inside * found).sum(1, keepdim=True) / mass) * inside
        norm = one.norm(dim=1) * other.norm(dim=1)
        return (one * other).sum(1) / norm.clamp_min(1e-6) * (share / 0.6).clamp_max(1.0)


def blocks_to_ras(image: Image, blocks: np.ndarray) -> np.ndarray:
    """(4, 4): from a block of so many voxels (i, j, k) each way, counted from 0, to its centre in RAS mm."""
    step = np.diag([*np.asarray(blocks, float), 1.0])
    step[:3, 3] = (np.asarray(blocks) - 1) / 2
    return image.ijk_to_ras @ step


def block_means(image: Image, frame: int, blocks: tuple[int, int, int]) -> np.ndarray:
    """The volume as displayed, 0..1, averaged over blocks of (i, j, k) voxels: (k, j, i) float32, slab by slab."""
    i, j, k = blocks
    columns, rows, slices = (size // block for size, block in zip(image.size, blocks, strict=True))
    out = np.empty((slices, rows, columns), np.float32)
    for number in range(slices):
        slab = image.display.to_uint8(image.pixels[frame, number * k : (number + 1) * k, : rows * j, : columns * i])
        grey = slab.mean(axis=(0, 3), dtype=np.float32)
        out[number] = grey.reshape(rows, j, columns, i).mean(axis=(1, 3)) / 255.0
    return out


@dataclass(frozen=True, eq=False)
class _Candidates:
    """M similarities about `centre`: quaternions (M, 4), logarithms of the scale (M,), places of the centre (M, 3)."""

    quaternions: torch.Tensor
    log_scales: torch.Tensor
    places: torch.Tensor
    centre: torch.Tensor

    @classmethod
    def turned(cls, quaternions: torch.Tensor, centre: torch.Tensor, place: torch.Tensor) -> _Candidates:
        count = len(quaternions)
        return cls(quaternions, torch.zeros(count), place.expand(count, 3).clone(), centre)

    def split(self, size: int) -> list[_Candidates]:
        return [self.taken(indices) for indices in torch.arange(len(self.quaternions)).split(size)]

    def taken(self, indices: torch.Tensor) -> _Candidates:
        return _Candidates(self.quaternions[indices], self.log_scales[indices], self.places[indices], self.centre)

    def matrices(self) -> torch.Tensor:
        """(M, 3, 4), canonical → RAS."""
        a, b, c, d = F.normalize(self.quaternions, dim=1).unbind(1)
        rows = (
            a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c),
            2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b),
            2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d,
        )  # fmt: skip
        linear = torch.stack(rows, dim=1).view(-1, 3, 3) * self.log_scales.exp()[:, None, None]
        shift = self.places - (linear @ self.centre)
        return torch.cat((linear, shift[:, :, None]), dim=2)


def _improved(
    candidates: _Candidates, volume: _Reduced, points: torch.Tensor, values: torch.Tensor, steps: int, rate: float = 1.0
) -> _Candidates:
    """Each candidate after `steps` of Adam on its correlation, with falling step length."""
    extent = float((points - candidates.centre).norm(dim=1).mean())
    quaternions = candidates.quaternions.clone().requires_grad_()
    log_scales = candidates.log_scales.clone().requires_grad_()
    shifts = torch.zeros_like(candidates.places).requires_grad_()  # in units of the extent

    def now() -> _Candidates:
        return _Candidates(quaternions, log_scales, candidates.places + extent * shifts, candidates.centre)

    with torch.enable_grad():
        optimizer = torch.optim.Adam([quaternions, log_scales, shifts], lr=0.05 * rate)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * rate * (1.0 - step / steps) ** 1.5 + 1e-5
            optimizer.zero_grad()
            (-volume.correlation(now(), points, values).sum()).backward()
            optimizer.step()
    with torch.no_grad():
        done = now()
    return _Candidates(
        done.quaternions.detach(), done.log_scales.detach().clamp(-0.7, 0.7), done.places.detach(), done.centre
    )


def _template_points(template: PoseTemplate) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, 3) canonical mm and (n,) values: half of the points bright, half from all over."""
    flat = template.values.ravel()
    rng = np.random.default_rng(0)
    share = flat.astype(np.float64) + flat.mean()
    taken = rng.choice(len(flat), min(_POINTS, len(flat)), replace=False, p=share / share.sum())
    k, j, i = np.unravel_index(taken, template.values.shape)
    matrix = template.ijk_to_canonical
    points = np.stack((i, j, k), axis=1) @ matrix[:3, :3].T + matrix[:3, 3]
    return torch.from_numpy(points).float(), torch.from_numpy(flat[taken].astype(np.float32))


def _turns(count: int) -> torch.Tensor:
    """(count, 4) quaternions spread evenly over all turns (super-Fibonacci spirals; Alexa, CVPR 2022)."""
    number = np.arange(count) + 0.5
    share = number / count
    alpha = 2.0 * np.pi * number / np.sqrt(2.0)
    beta = 2.0 * np.pi * number / 1.533751168755204288118041
    inner, outer = np.sqrt(share), np.sqrt(1.0 - share)
    spiral = (inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta))
    return torch.from_numpy(np.stack(spiral, axis=1)).float()
