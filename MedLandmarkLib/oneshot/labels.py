"""Pseudo-labels: where the landmarks are believed to lie in pictures that nobody annotated, and how firmly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

_SLIP = 4.0  # robust standard deviations from what the other landmarks foretell
_LEAST_SLIP = 0.008  # of the canvas' diagonal: what is nearer is no slip, however alike the shapes are
_FEWEST_SHAPES = 12  # pictures from which the variation of the shape can be told
_RIDGE = 0.15  # of the mean variance, on the covariance of the shapes
_CERTAIN = 0.008  # of the diagonal: a spread that leaves a weight of exp(-1/2)
_ROUNDS = 3
_RUNAWAY = 0.02  # of the diagonal, 6 mm on a cephalogram: what most pictures' labels do not move by at once


@dataclass(frozen=True)
class PseudoLabels:
    """canvas_xy: (N, K, 2) canvas px; weight: (N, K), 0..1, 0 where nothing is believed. Annotated pictures come first.

    fixed: how many of them there are; their points stay and weigh 1. anchor_xy: (N, K, 2) canvas px, NaN where nothing
    is known, where matching found the landmarks; None where it is not to be kept to.
    """

    canvas_xy: torch.Tensor
    weight: torch.Tensor
    fixed: int
    anchor_xy: torch.Tensor | None = None

    @classmethod
    def from_matching(
        cls, template_xy: torch.Tensor, canvas_xy: torch.Tensor, return_px: torch.Tensor, diagonal: float
    ) -> PseudoLabels:
        """From the annotated points (T, K, 2) and what matching found in the others, (N - T, K, 2) and (N - T, K)."""
        known = template_xy.isfinite().all(dim=-1)
        points = torch.cat((template_xy, canvas_xy))
        labels = cls(points, torch.cat((known.float(), torch.ones_like(return_px))), len(template_xy))
        first = labels.renewed(points, torch.cat((torch.zeros_like(known, dtype=torch.float32), return_px)), diagonal)
        is_believed = (first.weight > 0)[..., None]
        return replace(first, anchor_xy=torch.where(is_believed, points, torch.full_like(points, torch.nan)))

    def renewed(self, canvas_xy: torch.Tensor, spread_px: torch.Tensor, diagonal: float) -> PseudoLabels:
        """With new points for the pictures that nobody annotated; what slipped off the shape weighs nothing.

        A network that learns from its own answers drifts, in all pictures alike, which neither the shape nor other
        views would show. So its answers are moved back by what they lie off the anchors in the median picture, and
        count the less the farther each then still is from its anchor; a landmark that would move far in most pictures
        was lost, and keeps its labels.
        canvas_xy: (N, K, 2); spread_px: (N, K), how far a point may be off; diagonal: of the canvas, px.
        """
        answered = points = torch.cat((self.canvas_xy[: self.fixed], canvas_xy[self.fixed :]))
        if self.anchor_xy is not None and len(points) > self.fixed:
            points, off = self._without_drift(points)
            spread_px = torch.hypot(spread_px, off)
        weight = torch.exp(-0.5 * (spread_px / (_CERTAIN * diagonal)).square())
        weight = torch.where(points.isfinite().all(dim=-1), weight, torch.zeros_like(weight))
        weight = weight * ~slips(points, weight, diagonal)
        if len(points) > self.fixed:
            moved = (answered - self.canvas_xy)[self.fixed :].norm(dim=-1)
            is_lost = moved.nanmedian(dim=0).values > _RUNAWAY * diagonal
            points = torch.where(is_lost[:, None], self.canvas_xy, points)
            weight = torch.where(is_lost, self.weight, weight)
        return replace(self, canvas_xy=points, weight=torch.cat((self.weight[: self.fixed], weight[self.fixed :])))

    def _without_drift(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points without what they have in common off the anchors, and (N, K) px how far each lies from its own."""
        points, off = points.clone(), points - self.anchor_xy
        drift = off[self.fixed :].nanmedian(dim=0).values.nan_to_num(0.0)
        points[self.fixed :] -= drift
        off[self.fixed :] -= drift
        return points, off.norm(dim=-1).nan_to_num(0.0)

    def of_the_annotated(self) -> PseudoLabels:
        """With belief in nothing but the annotated pictures."""
        weight = self.weight.clone()
        weight[self.fixed :] = 0.0
        return replace(self, weight=weight, anchor_xy=None)

    def of_landmark(self, number: int) -> PseudoLabels:
        own = slice(number, number + 1)
        anchor_xy = None if self.anchor_xy is None else self.anchor_xy[:, own]
        return replace(self, canvas_xy=self.canvas_xy[:, own], weight=self.weight[:, own], anchor_xy=anchor_xy)

    def with_landmark(self, number: int, own: PseudoLabels) -> PseudoLabels:
        """With another's labels for one landmark."""
        points, weight = self.canvas_xy.clone(), self.weight.clone()
        points[:, number], weight[:, number] = own.canvas_xy[:, 0], own.weight[:, 0]
        return replace(self, canvas_xy=points, weight=weight)

    def most_certain(self, count: int) -> torch.Tensor:
        """Numbers of the pictures, of those that nobody annotated, whose labels weigh most."""
        weight = self.weight[self.fixed :].mean(dim=1)
        return weight.topk(min(count, len(weight))).indices + self.fixed


def slips(canvas_xy: torch.Tensor, weight: torch.Tensor, diagonal: float) -> torch.Tensor:
    """(N, K) bool: points that lie far from where the other landmarks of the same picture foretell them.

    canvas_xy: (N, K, 2), weight: (N, K). The shapes are aligned by similarities; each landmark is foretold from all
    others by the Gaussian of the aligned shapes. Nothing is called a slip where there are too few shapes or landmarks.
    """
    known = canvas_xy.isfinite().all(dim=-1) & (weight > 0)
    taught = known.any(dim=0)
    found = torch.zeros_like(known)
    if len(canvas_xy) < _FEWEST_SHAPES or taught.sum() < 3:
        return found
    for _ in range(1 + int(taught.sum()) // 3):
        # in each picture the worst first: a slip moves what it is compared with
        excess = torch.zeros_like(weight)
        excess[:, taught] = _excess(canvas_xy[:, taught].nan_to_num(0.0), known[:, taught], diagonal)
        worst = (excess > 0) & (excess == excess.amax(dim=1, keepdim=True))
        if not worst.any():
            break
        found, known = found | worst, known & ~worst
    return found


def _excess(points: torch.Tensor, known: torch.Tensor, diagonal: float) -> torch.Tensor:
    """(N, k): by how many robust standard deviations a point lies off what the others foretell; 0 within the limits."""
    shapes, scale = _aligned(points, known.float())
    deviation = (shapes - shapes.median(dim=0).values) * known[..., None]  # (N, k, 2)
    typical = deviation.norm(dim=-1).median(dim=0).values.clamp_min(1e-3)
    # no single picture governs the covariance
    tamed = deviation * (3.0 * typical / deviation.norm(dim=-1).clamp_min(1e-6)).clamp_max(1.0)[..., None]
    flat = tamed.flatten(1)
    covariance = flat.T @ flat / len(flat)
    covariance += torch.eye(len(covariance)) * _RIDGE * covariance.diagonal().mean()
    inverse = torch.linalg.inv(covariance.double())
    off = torch.zeros(known.shape)
    for number in range(known.shape[1]):
        own = slice(2 * number, 2 * number + 2)
        residual = torch.linalg.solve(inverse[own, own], inverse[own] @ _but(flat, deviation, number).double().T)
        off[:, number] = residual.norm(dim=0).float()
    robust = 1.4826 * off.median(dim=0).values / 1.1774  # the median of a 2D normal's length is 1.1774 sigma
    is_slip = (off > _SLIP * robust) & (off * scale[:, None] > _LEAST_SLIP * diagonal) & known
    return torch.where(is_slip, off / robust.clamp_min(1e-6), torch.zeros_like(off))


def _but(tamed: torch.Tensor, deviation: torch.Tensor, number: int) -> torch.Tensor:
    """The tamed deviations, with one landmark's own as it is."""
    changed = tamed.clone()
    changed[:, 2 * number : 2 * number + 2] = deviation[:, number]
    return changed


def _aligned(points: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, k, 2) in the mean shape's frame, of its size, and (N,) the factor back to canvas px (Gower, 1975)."""
    values = torch.complex(points[..., 0], points[..., 1])
    mean = values[int(weight.sum(dim=1).argmax())]
    linear = shift = None
    for _ in range(_ROUNDS):
        total = weight.sum(dim=1).clamp_min(1e-6)
        from_middle = (weight * values).sum(dim=1) / total
        to_middle = (weight * mean).sum(dim=1) / total
        centred = (values - from_middle[:, None]) * weight
        linear = ((mean - to_middle[:, None]) * centred.conj()).sum(dim=1) / (
            weight * (values - from_middle[:, None]).abs().square()
        ).sum(dim=1).clamp_min(1e-6)
        shift = to_middle - linear * from_middle
        placed = linear[:, None] * values + shift[:, None]
        mean = torch.complex(placed.real.median(dim=0).values, placed.imag.median(dim=0).values)
    placed = linear[:, None] * values + shift[:, None]
    return torch.stack((placed.real, placed.imag), dim=-1), 1.0 / linear.abs().clamp_min(1e-6)
