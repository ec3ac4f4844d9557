"""Cobb angles of a frontal spine radiograph, from the corners of its vertebrae.

After the AASCE challenge (Wang et al., Evaluation and comparison of accurate automated spinal curvature estimation
algorithms, Medical Image Analysis 72, 2021): each vertebra's direction runs from the middle of its left side to the
middle of its right side, and the main angle is the largest between any two vertebrae. In a spine with one bend the
other two are those between the upper of these and the first vertebra, and between the lower of these and the last one.
In an S-shaped spine they are the largest between the upper one and any above it, and between the lower one and any
below it; where the main bend lies in the lower half, both are looked for above it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

LARGEST, SECOND, THIRD = "Cobb angle, largest", "Cobb angle, second", "Cobb angle, third"

_CORNER = re.compile(r"V(\d\d)_[TB][LR]")


def has_vertebrae(names: Sequence[str]) -> bool:
    """Whether these landmarks are the corners of three vertebrae or more, named as V01_TL, V01_TR, V01_BL, V01_BR."""
    return len(names) >= 12 and all(_CORNER.fullmatch(name) for name in names)


def cobb_angles(points: Mapping[str, np.ndarray]) -> dict[str, float] | None:
    """The three angles in degrees, from points (3,) by name; None unless all corners of three vertebrae are there.

    A vertebra of which a corner is missing is passed over, as a reader does whose end vertebra is hidden.
    """
    numbers = sorted({match[1] for match in map(_CORNER.fullmatch, points) if match})
    vertebrae = [
        [points[f"V{number}_{corner}"] for corner in ("TL", "BL", "TR", "BR")]
        for number in numbers
        if all(f"V{number}_{corner}" in points for corner in ("TL", "BL", "TR", "BR"))
    ]
    if len(vertebrae) < 3:
        return None
    corners = np.asarray(vertebrae, float)[..., :2]  # (V, 4, 2)
    across = corners[:, 2:].mean(axis=1) - corners[:, :2].mean(axis=1)  # (V, 2)
    slopes = np.degrees(np.unwrap(np.arctan2(across[:, 1], across[:, 0])))
    between = np.abs(slopes[:, None] - slopes[None])  # (V, V)
    upper, lower = (int(index) for index in np.unravel_index(np.argmax(np.triu(between)), between.shape))
    second, third = between[0, upper], between[lower, -1]
    if _is_s_shaped(corners):
        top = int(np.argmax(between[upper, : upper + 1]))
        second = between[upper, top]
        third = between[top, : top + 1].max() if _is_low(corners, upper, lower) else between[lower, lower:].max()
    return {LARGEST: float(between[upper, lower]), SECOND: float(second), THIRD: float(third)}


def _is_s_shaped(corners: np.ndarray) -> bool:
    """Whether the middles of the end plates lie on both sides of the line from the first to the last; (V, 4, 2)."""
    middles = np.stack([corners[:, (0, 2)].mean(axis=1), corners[:, (1, 3)].mean(axis=1)], axis=1).reshape(-1, 2)
    chord, offsets = middles[-1] - middles[0], middles[1:-1] - middles[0]
    sides = chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]
    return bool(sides.min() < 0 < sides.max())


def _is_low(corners: np.ndarray, upper: int, lower: int) -> bool:
    """Whether the main bend lies in the lower half of the spine (the challenge: of the image)."""
    heights = corners[..., 1].mean(axis=1)
    return bool(heights[upper] + heights[lower] > heights[0] + heights[-1])


def smape(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Symmetric mean absolute percentage error of (images, angles), per cent, as AASCE 2019 ranks by it.

    Each image's summed difference over its summed angles, averaged over the images.
    """
    difference = np.abs(predicted - reference).sum(axis=1)
    return float(100 * np.mean(difference / (predicted + reference).sum(axis=1)))
