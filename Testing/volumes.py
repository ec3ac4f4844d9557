"""Volumes made by rule, for tests: random geometry, and a head-like body whose landmarks are known."""

from __future__ import annotations

import numpy as np

from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display


def rotation(a: float, b: float, c: float) -> np.ndarray:
    """(3, 3): turns about three axes, radians."""
    matrix = np.eye(3)
    for angle, (p, q) in zip((a, b, c), ((0, 1), (1, 2), (0, 2)), strict=True):
        turn = np.eye(3)
        turn[p, p] = turn[q, q] = np.cos(angle)
        turn[p, q], turn[q, p] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def a_geometry(
    spacing=(0.7, 1.3, 2.5), angles=(0.4, -0.7, 1.1), origin=(11.0, -40.0, 7.0), is_left_handed=False, tilt=0.0
) -> np.ndarray:
    """(4, 4) ijk_to_ras. tilt: of the gantry, by which the slices' stack is sheared, radians."""
    matrix = np.eye(4)
    shear = np.eye(3)
    shear[1, 2] = np.tan(tilt)
    matrix[:3, :3] = rotation(*angles) @ shear * spacing
    if is_left_handed:
        matrix[:3, 2] *= -1
    matrix[:3, 3] = origin
    return matrix


def an_image(values: np.ndarray, ijk_to_ras: np.ndarray, display: Display | None = None) -> Image:
    """values: (slices, rows, columns), or with channels."""
    spacing = tuple(np.linalg.norm(ijk_to_ras[:3, :2], axis=0))
    values = values if values.ndim == 4 else values[..., None]
    return Image(values[None], ijk_to_ras, Calibration("calibrated", "test", spacing), display=display)


def grid_ras(shape: tuple[int, int, int], ijk_to_ras: np.ndarray) -> np.ndarray:
    """(k, j, i, 3): where each voxel of a volume of this (k, j, i) shape lies."""
    k, j, i = np.meshgrid(*(np.arange(count) for count in shape), indexing="ij")
    return np.stack((i, j, k), axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


# An irregular body: centres (mm), radii (mm) and grey values of balls, in its own upright frame.
BALLS = (
    ((0, 0, 0), 9.0, 60), ((0, 7, 2), 5.0, 110), ((0, 13, -1), 3.0, 180), ((5, -3, 4), 2.5, 230),
    ((-5, -3, 4), 2.5, 210), ((4, 3, -6), 3.0, 150), ((-4, 3, -6), 2.0, 250), ((0, -8, -3), 4.0, 90),
)  # fmt: skip
BALL_CENTRES = np.array([centre for centre, _, _ in BALLS], float)


def a_body(
    body_to_ras: np.ndarray,
    shape=(48, 48, 48),
    spacing: float = 1.0,
    seed: int = 0,
    ijk_to_ras: np.ndarray | None = None,
) -> Image:
    """uint8 volume of the body at a pose, a little noisy; its centres lie at body_to_ras applied to BALL_CENTRES."""
    if ijk_to_ras is None:
        ijk_to_ras = np.diag([spacing, spacing, spacing, 1.0])
        ijk_to_ras[:3, 3] = -(np.array(shape[::-1]) - 1) / 2 * spacing
    ras = grid_ras(shape, ijk_to_ras)
    own = (ras - body_to_ras[:3, 3]) @ np.linalg.inv(body_to_ras[:3, :3]).T
    values = np.zeros(shape)
    for centre, radius, grey in BALLS:
        distance = np.linalg.norm(own - np.array(centre, float), axis=-1)
        values = np.maximum(values, grey / (1 + np.exp((distance - radius) / 0.3)))
    values += np.random.default_rng(seed).normal(0, 2, shape)
    return an_image(np.clip(values, 0, 255).astype(np.uint8), ijk_to_ras)
