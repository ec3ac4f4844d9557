"""Pictures of a scene on their way to the worker: files with the same picture and pixel size, or a refusal."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from teach_inputs import an_image

from MedLandmarkLib.engine.pictures_exchange import pictures_fields, write_all_pixels, write_pictures
from MedLandmarkLib.errors import DatasetError, ImageError
from MedLandmarkLib.image import Calibration, Image, read_image
from MedLandmarkLib.image.display import Display, Window


def test_images_of_a_scene_become_files_with_the_same_picture_and_pixel_size(tmp_path: Path) -> None:
    colour = np.random.default_rng(3).integers(0, 256, (1, 1, 30, 40, 3), dtype=np.uint8)
    deep = (np.arange(2400).reshape(1, 1, 60, 40, 1) * 20).astype(np.uint16)
    none = Calibration("none", "the test")
    images = [
        ("plain", an_image(0)),
        ("plain", an_image(1, spacing=0.25)),
        ("a/b: ü", Image(colour, np.eye(4), none)),
        ("deep", Image(deep, np.eye(4), none, display=Display(Window(20000, 30000), inverted=True))),
    ]
    pixel_file = tmp_path / "pixels.npy"
    write_all_pixels(images, pixel_file, lambda: False)
    files = write_pictures(pictures_fields(images, pixel_file), tmp_path / "out")
    assert len({path.name.casefold() for path in files.values()}) == 4
    for number, (_name, image) in enumerate(images):
        read = read_image(files[number])
        np.testing.assert_array_equal(read.display_rgb(), image.display_rgb())
        assert read.calibration.spacing_mm == image.calibration.spacing_mm
    before = {path: path.stat().st_mtime_ns for path in files.values()}
    time.sleep(0.01)
    write_pictures(pictures_fields(images, pixel_file), tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in files.values()} == before, "what is the same is left alone"


def test_a_volume_of_the_scene_and_a_lost_pixel_file_are_refused(tmp_path: Path) -> None:
    pixel_file = tmp_path / "pixels.npy"
    volume = Image(np.zeros((1, 4, 30, 40, 1), np.uint8), np.eye(4), Calibration("none", "x"))
    write_all_pixels([("brain", volume)], pixel_file, lambda: False)
    with pytest.raises(DatasetError, match="'brain' is a volume"):
        write_pictures(pictures_fields([("brain", volume)], pixel_file), tmp_path / "out")
    pixel_file.write_bytes(pixel_file.read_bytes()[:500])
    with pytest.raises(ImageError, match="cannot be read"):
        write_pictures(pictures_fields([("a", an_image())], pixel_file), tmp_path / "out")
