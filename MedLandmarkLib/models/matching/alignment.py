"""The similarity between two pictures that most of the points' candidate places agree on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_TRIALS = 2000
_LEAST_SCALE, _LARGEST_SCALE = 0.7, 1.45
_LARGEST_TURN = 0.6  # rad
_ROUNDS = 3


@dataclass(frozen=True)
class Similarity:
    """xy ↦ linear · xy + shift, the plane as complex numbers. agreement: 0..1, the share of points that follow it."""

    linear: torch.Tensor
    shift: torch.Tensor
    agreement: float

    @property
    def scale(self) -> float:
        return float(self.linear.abs())

    def of(self, xy: torch.Tensor) -> torch.Tensor:
        return _as_xy(self.linear * _as_complex(xy) + self.shift)

    def back(self, xy: torch.Tensor) -> torch.Tensor:
        return _as_xy((_as_complex(xy) - self.shift) / self.linear)


def fitted_similarity(
    points_xy: torch.Tensor, candidates_xy: torch.Tensor, values: torch.Tensor, tolerance_px: float, seed: int = 0
) -> Similarity:
    """The similarity that brings most points near one of their candidates (RANSAC; Fischler and Bolles, 1981).

    points_xy: (K, 2); candidates_xy: (K, n, 2) with their values (K, n). Two points and a candidate of each make a
    trial; a candidate counts the more the nearer it lies. The best trial is refined by weighted least squares.
    """
    points, candidates = _as_complex(points_xy), _as_complex(candidates_xy)
    count, choices = candidates.shape
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(count, (_TRIALS,), generator=generator)
    second = (first + torch.randint(1, count, (_TRIALS,), generator=generator)) % count
    picks = torch.randint(choices, (2, _TRIALS), generator=generator)
    one, other = candidates[first, picks[0]], candidates[second, picks[1]]
    apart = points[second] - points[first]
    linear = (other - one) / torch.where(apart.abs() < 1e-3, torch.ones_like(apart), apart)
    usable = (linear.abs() > _LEAST_SCALE) & (linear.abs() < _LARGEST_SCALE) & (linear.angle().abs() < _LARGEST_TURN)
    usable &= apart.abs() > 4.0 * tolerance_px  # nearer points say little about scale and turn
    linear = torch.where(usable, linear, torch.ones_like(linear))
    shift = one - linear * points[first]
    placed = linear[:, None] * points + shift[:, None]  # (trials, K)
    best = int(torch.cat([_support(part, candidates, values, tolerance_px) for part in placed.split(200)]).argmax())
    linear, shift = linear[best], shift[best]
    for _ in range(_ROUNDS):
        weights, nearest = _weights(linear * points + shift, candidates, values, tolerance_px)
        linear, shift = _least_squares(points, candidates.gather(1, nearest[:, None])[:, 0], weights + 1e-6)
    weights, _ = _weights(linear * points + shift, candidates, torch.ones_like(values), 2.0 * tolerance_px)
    return Similarity(linear, shift, float(weights.mean()))


def _support(placed: torch.Tensor, candidates: torch.Tensor, values: torch.Tensor, tolerance_px: float) -> torch.Tensor:
    """(trials,): how well the candidates bear each trial's places (trials, K) out."""
    near = torch.exp(-(candidates - placed[..., None]).abs().square() / (2.0 * tolerance_px**2))
    return (values.clamp_min(0.0) * near).amax(dim=2).mean(dim=1)


def _weights(
    placed: torch.Tensor, candidates: torch.Tensor, values: torch.Tensor, tolerance_px: float
) -> tuple[torch.Tensor, torch.Tensor]:
    near = torch.exp(-(candidates - placed[:, None]).abs().square() / (2.0 * tolerance_px**2))
    return (values.clamp_min(0.0) * near).max(dim=1)


def _least_squares(
    points: torch.Tensor, places: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    total = weights.sum()
    from_middle, to_middle = (weights * points).sum() / total, (weights * places).sum() / total
    centred = points - from_middle
    linear = (weights * (places - to_middle) * centred.conj()).sum() / (weights * centred.abs().square()).sum()
    return linear, to_middle - linear * from_middle


def _as_complex(xy: torch.Tensor) -> torch.Tensor:
    return torch.complex(xy[..., 0].float(), xy[..., 1].float())


def _as_xy(value: torch.Tensor) -> torch.Tensor:
    return torch.stack((value.real, value.imag), dim=-1)
