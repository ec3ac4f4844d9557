"""The section Teach of the module, with a worker whose teaching is a stand-in: opened, filled in, pressed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles import write_pictures_with_one_broken
from slicer_module import HOST, REPOSITORY, TESTING, OpenModule, an_image_in_the_scene, engine_double

PLACES = {"beak": (100.0, 200.0), "eye": (220.5, 120.0), "tail": (300.0, 400.25)}


@pytest.fixture
def open_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Opens the module with the section Teach unfolded; each step of a teaching takes so many seconds."""
    from MedLandmarkLib.engine.teach_client import TeachClient
    from MedLandmarkLib.ui import teach_logic

    monkeypatch.setenv("MEDLANDMARK_PYTHON", sys.executable)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    opened: list[OpenModule] = []

    def open_it(step_s: float = 0.02) -> OpenModule:
        paths = os.pathsep.join((str(REPOSITORY), str(TESTING)))
        environment = {**os.environ, "MEDLANDMARK_TEST_STEP_S": str(step_s), "PYTHONPATH": paths}
        client = TeachClient(sys.executable, [str(TESTING / "teaching_worker.py")], environment)
        monkeypatch.setattr(teach_logic, "TeachClient", lambda *_args: client)
        opened.append(OpenModule(HOST, engine_double()))
        opened[-1].ui.teachSection.setCollapsed(False)
        HOST.app.processEvents()
        return opened[-1]

    yield open_it
    for module in opened:
        module.close()


@pytest.fixture
def a_module(open_module) -> OpenModule:
    return open_module()


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    return write_pictures_with_one_broken(tmp_path / "others", 3, "broken.png")


def points_on(volume: Any, places: dict[str, tuple[float, float] | None] = PLACES, name: str = "points") -> Any:
    """A list of points as a user places them, by pixel."""
    from MedLandmarkLib.mrml.calibration import ijk_to_ras

    node = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for label, xy in places.items():
        ras = (ijk_to_ras(volume) @ [*(xy or (0, 0)), 0, 1])[:3]
        number = node.AddControlPointWorld(ras.tolist(), label)
        if xy is None:
            node.SetNthControlPointPositionMissing(number)
    return node


def choose(module: OpenModule, points: Any, volume: Any) -> None:
    module.ui.teachPointsSelector.setCurrentNode(points)
    module.ui.teachImageSelector.setCurrentNode(volume)
    HOST.app.processEvents()


def add(module: OpenModule, points: Any, volume: Any) -> None:
    choose(module, points, volume)
    assert module.ui.addTemplateButton.enabled, module.ui.addTemplateButton.toolTip
    module.ui.addTemplateButton.click()


def fill_in(module: OpenModule, folder: Path, name: str = "bird") -> Any:
    volume = an_image_in_the_scene(spacing=0.1)
    add(module, points_on(volume), volume)
    module.parameters.teachFolder, module.parameters.teachName = str(folder), name
    HOST.app.processEvents()
    return volume


def teach(module: OpenModule, seconds: float = 120.0) -> None:
    assert module.ui.teachButton.enabled, module.ui.teachButton.toolTip
    module.ui.teachButton.click()
    assert module.ui.teachButton.text == "Cancel", module.ui.teachStatusLabel.text
    HOST.wait_until(lambda: not module.panel.teaching._logic.isBusy, seconds)


def reason(widget: Any) -> str:
    assert not widget.enabled, widget.toolTip
    assert "\n\n" in widget.toolTip, widget.toolTip
    return widget.toolTip.partition("\n\n")[2]
