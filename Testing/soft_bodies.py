"""Bodies bent by smooth deformations that are known, and a model taught from the plain one, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from volumes import BALL_CENTRES, BALLS, an_image, grid_ras, rotation

from MedLandmarkLib.detection.atlas import AtlasDetector
from MedLandmarkLib.image import Image
from MedLandmarkLib.oneshot.volume import teach_volume
from MedLandmarkLib.scheme import Scheme, own_scheme, write_scheme

SPACING = 1.0
SHAPE = (44, 48, 46)
# Where three balls meet or are cut by another, and centres: points that their surroundings tell.
POINTS = np.array([*BALL_CENTRES[1:], (3.0, -1.0, 2.0), (-3.0, -1.0, 2.0), (0.0, 4.0, -3.0)])
NAMES = tuple(f"point {number}" for number in range(len(POINTS)))


def a_soft_body(move: np.ndarray, waves_mm: float = 0.0, seed: int = 0, ijk_to_ras: np.ndarray | None = None) -> Image:
    """The body of BALLS at a pose, drawn through a smooth deformation whose inverse is known (`deformed`)."""
    if ijk_to_ras is None:
        ijk_to_ras = np.diag([SPACING, SPACING, SPACING, 1.0])
        ijk_to_ras[:3, 3] = -(np.array(SHAPE[::-1]) - 1) / 2 * SPACING
    ras = grid_ras(SHAPE, ijk_to_ras)
    own = (ras - move[:3, 3]) @ np.linalg.inv(move[:3, :3]).T
    own = own + wave(own, waves_mm)
    values = np.zeros(SHAPE)
    for centre, radius, grey in BALLS:
        distance = np.linalg.norm(own - np.array(centre, float), axis=-1)
        values = np.maximum(values, grey / (1 + np.exp((distance - radius) / 0.4)))
    texture = 25.0 * np.sin(1.1 * own[..., 0]) * np.sin(0.9 * own[..., 1] + 1.0) * np.sin(1.3 * own[..., 2] + 2.0)
    values += texture * (values > 30)
    values += np.random.default_rng(seed).normal(0, 2, SHAPE)
    return an_image(np.clip(values, 0, 255).astype(np.uint8), ijk_to_ras)


def wave(own: np.ndarray, size_mm: float) -> np.ndarray:
    """A smooth displacement of points (..., 3), at most size_mm along each axis."""
    x, y, z = np.moveaxis(own / 9.0, -1, 0)
    return size_mm * np.stack((np.sin(y + 0.5), np.sin(z - 1.0), np.cos(x + y)), axis=-1)


def deformed(points: np.ndarray, move: np.ndarray, waves_mm: float) -> np.ndarray:
    """Where points of the plain body lie in `a_soft_body(move, waves_mm)`, (n, 3) RAS."""
    own = points.copy()
    for _ in range(50):  # the fixed point of own + wave(own) = point
        own = points - wave(own, waves_mm)
    return own @ move[:3, :3].T + move[:3, 3]


def a_move(angles=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0), scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * scale
    matrix[:3, 3] = shift
    return matrix


@pytest.fixture(scope="module")
def a_scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """A person's own scheme; its tolerance is 4 voxels."""
    _, content = own_scheme(NAMES, "balls")
    return write_scheme(content, tmp_path_factory.mktemp("scheme") / "balls.json")


@pytest.fixture(scope="module")
def a_model(a_scheme: Scheme, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught from the plain body."""
    return teach_volume(a_soft_body(np.eye(4)), POINTS, a_scheme, tmp_path_factory.mktemp("model") / "balls", "balls")


@pytest.fixture(scope="module")
def a_detector(a_model: Path, a_scheme: Scheme) -> AtlasDetector:
    return AtlasDetector(a_scheme, f"{a_model}/")


def placed(detection) -> np.ndarray:
    landmarks = detection.frames[0].landmarks
    return np.array([(np.nan,) * 3 if landmark.ras is None else landmark.ras for landmark in landmarks], float)
