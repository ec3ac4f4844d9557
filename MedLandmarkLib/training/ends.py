"""Landmarks that only their place in the picture tells apart: a rule of order that a network can learn."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def ordered_ends(canvas_xy: torch.Tensor, pairs: Sequence[tuple[int, int]]) -> torch.Tensor:
    """canvas_xy (B, K, 2) with the two ends of each pair in a steady order; pairs hold landmark numbers.

    The first pair goes from smaller to larger x. The first end of every other pair is the one on the left of the first
    pair's direction (y down). Were each pair ordered by its own x, an upright axis would change its ends at the
    smallest tilt; so all pairs change together, and only where the first one stands upright.
    """
    if not pairs:
        return canvas_xy
    canvas_xy = canvas_xy.clone()
    (first, second), *others = pairs
    _swap(canvas_xy, first, second, canvas_xy[:, first, 0] > canvas_xy[:, second, 0])
    direction = canvas_xy[:, second] - canvas_xy[:, first]  # (B, 2)
    for one, other in others:
        across = canvas_xy[:, other] - canvas_xy[:, one]
        turn = direction[:, 0] * across[:, 1] - direction[:, 1] * across[:, 0]
        _swap(canvas_xy, one, other, turn < 0)
    return canvas_xy


def _swap(canvas_xy: torch.Tensor, one: int, other: int, where: torch.Tensor) -> None:
    """Exchange two landmarks, in place, in the rows `where` (B,) says."""
    exchanged = canvas_xy[:, [other, one]]
    canvas_xy[:, [one, other]] = torch.where(where[:, None, None], exchanged, canvas_xy[:, [one, other]])
