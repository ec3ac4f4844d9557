"""A volume in the module, for tests: in its scene, chosen as what to search, with a line along a tooth."""

from __future__ import annotations

import numpy as np
import pytest
from slicer_module import HOST, OpenModule, an_image_in_the_scene

import slicer  # isort: skip

SLICES, ROWS, COLUMNS = 60, 72, 66


def a_volume_in_the_scene(name: str = "head", dtype: type = np.int16):
    """A bright body in the dark, in HU, slices of 2 mm."""
    volume = an_image_in_the_scene((SLICES, ROWS, COLUMNS), name)
    k, j, i = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    far = ((i - 33) / 24) ** 2 + ((j - 36) / 30) ** 2 + ((k - 30) / 26) ** 2
    values = np.where(far < 1, np.where(far > 0.75, 900, 40 + 20 * np.sin(i / 3) * np.cos(k / 4)), -1000)
    slicer.util.updateVolumeFromArray(volume, values.astype(dtype))
    volume.SetSpacing(1.0, 1.0, 2.0)
    volume.CreateDefaultDisplayNodes()
    return volume


@pytest.fixture
def a_module_with_a_volume(a_module: OpenModule) -> OpenModule:
    a_module.parameters.inputVolume = a_volume_in_the_scene()
    HOST.app.processEvents()
    HOST.app.views.resetSliceViews()
    return a_module


def choose(module: OpenModule, target: str) -> None:
    box = module.ui.targetSelector
    assert box.findData(target) >= 0, target
    box.setCurrentIndex(box.findData(target))
    HOST.app.processEvents()


def a_tooth_line(*points: tuple[float, float, float]):
    line = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "tooth")
    for point in points:
        line.AddControlPointWorld(*point)
    return line


def centre_ras(volume) -> np.ndarray:
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    return bounds.reshape(3, 2).mean(axis=1)
