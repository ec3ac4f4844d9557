"""What tests of the Slicer module share: the host, the module with a panel, and an engine for it.

It needs slicer-core and PySide6 (extra `test`); see SlicerHost.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from SlicerHost import start

TESTING = Path(__file__).resolve().parent
REPOSITORY = TESTING.parent
MODULE_FILE = REPOSITORY / "MedLandmark" / "MedLandmark.py"


def artefacts() -> Path:
    """Where pictures of the panel and of the views are kept: $MEDLANDMARK_ARTEFACTS, else build/artefacts."""
    return Path(os.environ.get("MEDLANDMARK_ARTEFACTS") or REPOSITORY / "build" / "artefacts")


class OpenModule:
    """The module as a user has it open: its panel, its logic, and ways to act on it."""

    def __init__(self, host: Any, engine: Any) -> None:
        self.host = host
        self.scene = host.scene
        host.app.scene.Clear(False)
        from MedLandmarkLib.ui import detection_logic

        original = detection_logic.EngineClient
        detection_logic.EngineClient = lambda *_args, **_kwargs: engine
        try:
            self.module = host.load_module(MODULE_FILE)
            self.module.enter()
        finally:
            detection_logic.EngineClient = original
        self.window = host.show_panel(self.module)
        self.widget = self.module.widget
        self.panel = self.widget.panel
        self.ui = self.widget.ui
        self.logic = self.widget.logic.detection

    @property
    def parameters(self) -> Any:
        return self.widget.logic.getParameterNode()

    def close(self) -> None:
        self.logic.close()
        self.module.close()
        self.window.close()
        self.host.app.scene.Clear(False)
        self.host.app.processEvents()

    def press(self) -> float:
        """Press the button that detects or cancels; how long that keeps the event loop, s."""
        began = time.monotonic()
        self.ui.detectButton.click()
        return time.monotonic() - began

    def detect(self, seconds: float = 60.0) -> float:
        """Press the button and wait for the end; the longest stall of the event loop, s."""
        assert self.ui.detectButton.enabled, self.ui.detectButton.toolTip
        self.ui.detectButton.click()
        return self.host.wait_until(lambda: not self.logic.isBusy, seconds)

    @property
    def result(self) -> Any:
        return self.parameters.result

    @property
    def review(self) -> Any:
        return self.panel.review.review

    def cell(self, table: str, row: int, column: int) -> str:
        return getattr(self.ui, table).item(row, column).text()

    def point(self, number: int) -> np.ndarray:
        return np.array(self.result.GetNthControlPointPositionWorld(number))


def engine_double(seconds: float = 0.05) -> Any:
    """A real client with a worker that needs no network."""
    from MedLandmarkLib.engine import EngineClient

    environment = {**os.environ, "MEDLANDMARK_TEST_SECONDS": str(seconds), "PYTHONPATH": str(REPOSITORY)}
    return EngineClient(sys.executable, [str(TESTING / "detecting_worker.py")], environment)


HOST = start()

import slicer  # noqa: E402  (complete only once the host stands)

SIZE = (420, 500)  # columns, rows of the test image


def an_image_in_the_scene(
    shape: tuple[int, ...] = (1, SIZE[1], SIZE[0]), name: str = "ceph", spacing: float | None = None
):
    from MedLandmarkLib.image import Calibration
    from MedLandmarkLib.mrml.calibration import keep_calibration

    kind = "vtkMRMLVectorVolumeNode" if len(shape) == 4 else "vtkMRMLScalarVolumeNode"
    volume = HOST.scene.AddNewNodeByClass(kind, name)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    picture = (90 + 60 * np.sin(rows / 23) + 60 * np.cos(columns / 31)).astype(np.uint8)
    slicer.util.updateVolumeFromArray(
        volume,
        np.broadcast_to(picture[None, ..., None], (*shape[:3], 3)).copy()
        if len(shape) == 4
        else np.broadcast_to(picture, shape).copy(),
    )
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    if spacing is not None:
        keep_calibration(volume, Calibration("calibrated", "the test", (spacing, spacing)))
    return volume


@pytest.fixture
def a_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OpenModule]:
    """The module, open, with an engine that needs no network."""
    monkeypatch.setenv("MEDLANDMARK_PYTHON", sys.executable)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    module = OpenModule(HOST, engine_double())
    yield module
    module.close()
