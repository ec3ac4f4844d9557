"""What the module says when something is not as it should be; each time the panel stays of use.

Jobs of the engine that need PyTorch run in $MEDLANDMARK_PYTHON where that is set, else in this Python.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slicer
from slicer_module import HOST, REPOSITORY, OpenModule, a_module, an_image_in_the_scene, engine_double

from MedLandmarkLib.engine import EngineClient
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_module"]


def opened(monkeypatch: pytest.MonkeyPatch, home: Path, python: str, *more_paths: Path) -> OpenModule:
    """The module with the real engine, whose models are kept in `home`."""
    monkeypatch.setenv("MEDLANDMARK_PYTHON", python)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(home))
    paths = os.pathsep.join(str(path) for path in (*more_paths, REPOSITORY))
    return OpenModule(HOST, EngineClient(python, environment={**os.environ, "PYTHONPATH": paths}, hang_after_s=240))


@pytest.fixture
def a_module_that_may_not_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OpenModule]:
    """The real engine; where the models folder should be made stands a file, which binds an administrator too."""
    (tmp_path / "home").write_text("in the way", encoding="utf-8")
    module = opened(monkeypatch, tmp_path / "home", os.environ.get("MEDLANDMARK_PYTHON") or sys.executable)
    yield module
    module.close()


def done_with_models(module: OpenModule) -> str:
    """Wait for the job on the models; what the status line says then."""
    HOST.wait_until(lambda: not module.panel.models.isBusy, 120)
    HOST.app.processEvents()
    return module.ui.statusLabel.text


def is_plain(text: str) -> bool:
    """Whether a sentence is for a reader: no name of an exception, no trace of a program."""
    return not re.search(r"\w+Error\b|Traceback|errno", text)


def assert_of_use(module: OpenModule) -> None:
    """The panel takes an image and would detect with the model that comes along."""
    module.parameters.inputVolume = an_image_in_the_scene()
    box = module.ui.modelSelector
    box.setCurrentIndex(box.findData("lite"))
    HOST.app.processEvents()
    assert module.ui.detectButton.text == "Detect landmarks"
    assert module.ui.detectButton.enabled, module.ui.detectButton.toolTip


def test_a_download_to_a_folder_that_cannot_be_written_says_so(a_module_that_may_not_write):
    module = a_module_that_may_not_write
    box = module.ui.modelSelector
    box.setCurrentIndex(box.findData("medsapiens-head"))
    module.ui.licenceBox.setChecked(True)
    assert module.ui.downloadButton.enabled, module.ui.downloadButton.toolTip
    module.ui.downloadButton.click()
    assert module.ui.detectButton.text == "Cancel"
    text = done_with_models(module)
    assert "Cannot write in" in text
    assert "MEDLANDMARK_HOME" in text
    assert is_plain(text), text
    assert_of_use(module)


def test_an_import_to_a_folder_that_cannot_be_written_says_so(a_module_that_may_not_write, the_golden_folder):
    module = a_module_that_may_not_write
    box = module.ui.modelSelector
    box.setCurrentIndex(box.findData("medsapiens-head"))
    module.ui.weightsPath.currentPath = str(next((the_golden_folder / "weights").glob("*.pth")))
    assert module.ui.importButton.enabled, module.ui.importButton.toolTip
    module.ui.importButton.click()
    text = done_with_models(module)
    assert "Cannot write in" in text
    assert "MEDLANDMARK_HOME" in text
    assert is_plain(text), text
    assert_of_use(module)


def test_the_embedded_model_needs_no_folder_to_write_in(a_module_that_may_not_write):
    module = a_module_that_may_not_write
    assert_of_use(module)
    module.detect(seconds=240)
    assert module.result is not None, module.ui.statusLabel.text
    assert len(module.review.landmarks) == len(load_scheme(module.parameters.schemeId))


def test_an_engine_without_torch_says_what_to_install_and_landmarks_can_still_be_edited(monkeypatch, tmp_path):
    """The Python of the engine has no torch: only the engine itself can find that out."""
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n", encoding="utf-8"
    )
    module = opened(monkeypatch, tmp_path / "home", sys.executable, tmp_path)
    try:
        from MedLandmarkLib.ui.self_test import anImage, aResult

        volume = anImage(HOST.scene)
        module.parameters.inputVolume, module.parameters.result = volume, aResult(HOST.scene, volume)
        HOST.app.processEvents()
        module.detect(seconds=60)
        text = module.ui.statusLabel.text
        assert "install the extension PyTorch" in text
        assert is_plain(text), text
        node = module.result
        node.SetNthControlPointPositionWorld(0, *(module.point(0) + [3.0, 2.0, 0.0]))
        HOST.run_for(0.1)
        assert module.review.landmarks.landmarks[0].status is Status.EDITED
        assert module.cell("measurementTable", 0, 1)
        assert module.ui.detectButton.enabled, module.ui.detectButton.toolTip
    finally:
        module.close()


@pytest.mark.parametrize("is_replaced", [False, True], ids=["left empty", "with another image of the same name"])
def test_a_result_for_a_scene_that_was_closed_goes_into_no_other(monkeypatch, tmp_path, is_replaced: bool):
    """The detection ends well, but its image is gone; another image may have been given its node's id."""
    monkeypatch.setenv("MEDLANDMARK_PYTHON", sys.executable)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    module = OpenModule(HOST, engine_double(seconds=1.0))
    try:
        module.parameters.inputVolume = an_image_in_the_scene()
        HOST.app.processEvents()
        module.ui.detectButton.click()
        HOST.wait_until(lambda: module.ui.progressBar.value > 0, 60)
        HOST.scene.Clear(False)
        HOST.app.processEvents()
        if is_replaced:
            an_image_in_the_scene()
        HOST.wait_until(lambda: not module.logic.isBusy, 60)
        assert "removed from the scene" in module.ui.statusLabel.text
        assert slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") == []
        module.parameters.inputVolume = an_image_in_the_scene(name="next")
        HOST.app.processEvents()
        module.detect()
        assert module.result is not None, module.ui.statusLabel.text
        assert module.result.GetName().startswith("next")
    finally:
        module.close()


def test_a_scheme_without_a_model_leaves_the_others_of_use(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene()
    a_module.panel.schemes.choose("plax-4")
    assert "No model knows the scheme 'plax-4'" in a_module.ui.modelText.text
    for button in ("detectButton", "downloadButton", "deleteModelButton"):
        assert not getattr(a_module.ui, button).enabled
        assert getattr(a_module.ui, button).toolTip
    a_module.panel.schemes.choose("head-19")
    assert_of_use(a_module)
    a_module.detect()
    assert a_module.ui.landmarkTable.rowCount == 19
