"""Interchangeable landmarks, such as the two ends of an axis, which only their place in the picture tells apart.

A network learns them in an order that is steady under tilt (`ordered_ends`); the scheme names them by x
(`order_of_ends`). Where an axis stands upright the steady order changes, and the network cannot know which end is meant
by which map: each of the two then shows both ends, and both maps may be highest at the same one (`separated_ends`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..scheme import Scheme

_CANDIDATES = 6  # places looked at for the two ends
_REACH = 3  # heatmap px either way: what counts as one place
_LEAST_PX = 6.0  # between two ends: three sigma of the targets that networks usually learn

Pair = tuple[int, int]


def pairs_of(scheme: Scheme) -> tuple[Pair, ...]:
    """The interchangeable pairs of a scheme as landmark numbers."""
    return tuple((scheme.index(one), scheme.index(other)) for one, other in scheme.interchangeable)


def order_of_ends(picture_xy: np.ndarray, scheme: Scheme) -> np.ndarray:
    """(K,) which detected point each landmark takes: of an interchangeable pair the one with smaller x, then y, first.

    picture_xy: (K, 2).
    """
    order = np.arange(len(scheme))
    for one, other in pairs_of(scheme):
        if tuple(picture_xy[one]) > tuple(picture_xy[other]):
            order[[one, other]] = other, one
    return order


def ordered_ends(xy: torch.Tensor, pairs: Sequence[Pair]) -> torch.Tensor:
    """Points xy (B, K, 2), y downwards, with the two ends of each pair in a steady order.

    The first pair goes from smaller to larger x. The first end of every other pair is the one on the left of the first
    pair's direction. Were each pair ordered by its own x, an upright axis would change its ends at the smallest tilt;
    so all pairs change together, and only where the first one stands upright.
    """
    if not pairs:
        return xy
    xy = xy.clone()
    (first, second), *others = pairs
    _swap(xy, first, second, xy[:, first, 0] > xy[:, second, 0])
    direction = xy[:, second] - xy[:, first]  # (B, 2)
    for one, other in others:
        across = xy[:, other] - xy[:, one]
        turn = direction[:, 0] * across[:, 1] - direction[:, 1] * across[:, 0]
        _swap(xy, one, other, turn < 0)
    return xy


def separated_ends(heatmaps: torch.Tensor, pairs: Sequence[Pair], least_px: float = _LEAST_PX) -> torch.Tensor:
    """(B, K, h, w) heatmaps in which the two maps of each pair show one end each, in the steady order.

    Of the places where either map of a pair is high, at least `least_px` apart, the two are taken that are most likely
    the ends, whichever map means which: the largest a(p) b(q) + a(q) b(p). On its side of the line midway between them
    each end has what both maps show there. Maps without two such places stay as they are.
    """
    if not pairs:
        return heatmaps
    heatmaps = heatmaps.clone()
    for maps in heatmaps:
        ends = torch.full((1, len(maps), 2), torch.nan)
        for one, other in pairs:
            found = _two_places(maps[one], maps[other], least_px)
            if found is not None:
                ends[0, [one, other]] = found
        ends = ordered_ends(ends, pairs)[0]
        for one, other in pairs:
            if ends[[one, other]].isfinite().all():
                both = maps[one] + maps[other]
                is_nearer = _nearer_to(ends[one], ends[other], both.shape, both.device)
                maps[one], maps[other] = both * is_nearer, both * ~is_nearer
    return heatmaps


def _two_places(one: torch.Tensor, other: torch.Tensor, least_px: float) -> torch.Tensor | None:
    """(2, 2) heatmap px, x and y of the two likeliest places of the ends; None where there are no two."""
    maps = torch.stack((one, other))[None].clamp_min(0.0)
    mass = F.avg_pool2d(maps, 2 * _REACH + 1, stride=1, padding=_REACH)[0]  # (2, h, w)
    both = mass.sum(dim=0)
    is_top = both == F.max_pool2d(both[None], 2 * _REACH + 1, stride=1, padding=_REACH)[0]
    heights, places = (both * is_top).flatten().topk(min(_CANDIDATES, both.numel()))
    places = places[heights > 0]
    xy = torch.stack((places % both.shape[1], places // both.shape[1]), dim=-1).float()
    a, b = (own.flatten()[places] for own in mass)
    likely = a[:, None] * b[None] + a[None] * b[:, None]
    likely = likely.masked_fill(torch.cdist(xy, xy) < least_px, 0.0)
    if not likely.numel() or likely.max() <= 0:
        return None
    best = int(likely.argmax())
    return xy[[best // len(xy), best % len(xy)]].cpu()


def _nearer_to(end: torch.Tensor, than: torch.Tensor, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """(h, w) bool: which pixels lie nearer to one end than to the other."""
    y, x = torch.meshgrid(*(torch.arange(side, device=device) for side in shape), indexing="ij")
    return (x - end[0]) ** 2 + (y - end[1]) ** 2 < (x - than[0]) ** 2 + (y - than[1]) ** 2


def _swap(xy: torch.Tensor, one: int, other: int, where: torch.Tensor) -> None:
    """Exchange two landmarks, in place, in the rows `where` (B,) says."""
    exchanged = xy[:, [other, one]]
    xy[:, [one, other]] = torch.where(where[:, None, None], exchanged, xy[:, [one, other]])
