"""What tests of the engine give a teaching: two points, images of a scene, a folder with a broken picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import write_pictures_with_one_broken

from MedLandmarkLib.image import Calibration, Image

POINTS = {"beak": (10.0, 20.5), "eye": (30.25, 12.0)}


def an_image(seed: int = 0, spacing: float | None = None, **more: Any) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 1, 80, 60, 1), dtype=np.uint8)
    if spacing is None:
        return Image(pixels, np.eye(4), Calibration("none", "the test"), **more)
    matrix = np.diag((-spacing, -spacing, 1.0, 1.0))
    return Image(pixels, matrix, Calibration("calibrated", "the test", (spacing, spacing)), **more)


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    return write_pictures_with_one_broken(tmp_path / "pictures", 4, "p2.png")
