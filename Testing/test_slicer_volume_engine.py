"""A volume in the module with the real engine: searched in every way, refused where it shows no picture."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from slicer_module import HOST, REPOSITORY, OpenModule
from slicer_volumes import a_tooth_line, a_volume_in_the_scene, centre_ras, choose

from MedLandmarkLib.engine import EngineClient
from MedLandmarkLib.landmark import Status

import slicer  # isort: skip


@pytest.fixture
def a_module_with_the_engine(monkeypatch, tmp_path: Path):
    """The model that comes along was not trained on volumes: all of its points are doubtful."""
    python = os.environ.get("MEDLANDMARK_PYTHON") or sys.executable
    monkeypatch.setenv("MEDLANDMARK_PYTHON", python)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    module = OpenModule(HOST, EngineClient(python, environment=environment, hang_after_s=240))
    box = module.ui.modelSelector
    box.setCurrentIndex(box.findData("lite"))
    yield module
    module.close()


def test_the_engine_runs_on_a_volume_in_every_way_and_believes_nothing(a_module_with_the_engine, tmp_path) -> None:
    module, ui = a_module_with_the_engine, a_module_with_the_engine.ui
    volume = a_volume_in_the_scene()
    module.parameters.inputVolume = volume
    HOST.app.processEvents()
    HOST.app.views.resetSliceViews()
    middle = centre_ras(volume)
    module.panel.schemes.choose("fetal-head-4")  # few landmarks: the time goes with them
    module.parameters.toothLine = a_tooth_line(tuple(middle), tuple(middle + [0.0, 1.0, 12.0]))
    ui.sagittalBox.setChecked(False)
    ui.coronalBox.setChecked(False)
    for target, setting in (("volume", "volume"), ("projection", "projection"), ("tooth", "plane")):
        choose(module, target)
        module.detect(seconds=300)
        assert module.result is not None, (target, ui.statusLabel.text)
        from MedLandmarkLib.mrml import provenance_of

        assert setting in provenance_of(module.result).settings
        statuses = {landmark.status for landmark in module.review.landmarks}
        assert statuses <= {Status.DOUBTFUL, Status.MISSING}, (target, statuses)
        module.parameters.exportFolder = str(tmp_path / target)
        HOST.app.processEvents()
        ui.exportButton.click()
        assert len(list((tmp_path / target).iterdir())) == 4, ui.exportLabel.text
        module.parameters.result = None


def test_a_label_map_given_as_an_image_and_one_slice_too_few_are_refused_by_the_engine(
    a_module_with_the_engine,
) -> None:
    """Only a look at the pixels tells a label map that was loaded as a scalar volume."""
    module = a_module_with_the_engine
    labels = np.random.default_rng(0).integers(0, 4, (20, 40, 30)).astype(np.uint8)
    for values, message in ((labels, "label map"), (labels[:5] * 60, "too few slices")):
        volume = a_volume_in_the_scene()
        slicer.util.updateVolumeFromArray(volume, values)
        module.parameters.inputVolume = volume
        HOST.app.processEvents()
        choose(module, "volume")
        module.detect(seconds=240)
        assert module.result is None
        assert message in module.ui.statusLabel.text
