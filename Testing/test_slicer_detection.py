"""A detection in the module, cancelled, killed or finished, and the review of what it found."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
from scenes import drawn_lines
from slicer_module import HOST, REPOSITORY, OpenModule, a_module, an_image_in_the_scene, engine_double

from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_module"]


@pytest.fixture
def a_slow_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OpenModule]:
    """The same, whose engine works for a minute."""
    monkeypatch.setenv("MEDLANDMARK_PYTHON", sys.executable)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    module = OpenModule(HOST, engine_double(seconds=60))
    module.parameters.inputVolume = an_image_in_the_scene()
    HOST.app.processEvents()
    yield module
    module.close()


@pytest.fixture
def a_reviewed_module(a_module: OpenModule) -> OpenModule:
    """The module with a detected result on a calibrated image (0.5 mm)."""
    a_module.parameters.inputVolume = an_image_in_the_scene(spacing=0.5)
    HOST.app.processEvents()
    a_module.detect()
    HOST.run_for(0.1)
    return a_module


def scene_state() -> list[tuple[str, str]]:
    """The nodes a user would notice."""
    kinds = ("vtkMRMLMarkupsNode", "vtkMRMLTableNode", "vtkMRMLVolumeNode")
    return sorted((node.GetID(), node.GetName()) for kind in kinds for node in slicer.util.getNodesByClass(kind))


# --- detection ---


def test_the_loop_stays_responsive_and_a_cancel_ends_within_a_second(a_slow_module):
    before, stalls = scene_state(), []
    for _ in range(3):  # other programs on the machine can only add to a stall
        stall = a_slow_module.press()
        assert a_slow_module.ui.detectButton.text == "Cancel"
        stall = max(stall, HOST.wait_until(lambda: a_slow_module.ui.progressBar.value > 0, 60))
        asked = time.monotonic()
        stall = max(stall, a_slow_module.press())
        stalls.append(max(stall, HOST.wait_until(lambda: not a_slow_module.logic.isBusy, 20)))
        assert time.monotonic() - asked < 1.0
        assert a_slow_module.ui.detectButton.text == "Detect landmarks"
        assert "Cancelled" in a_slow_module.ui.statusLabel.text
        assert scene_state() == before
    assert min(stalls) < 0.1


def test_a_killed_worker_costs_a_message_and_no_point_five_times(a_slow_module):
    before, messages = scene_state(), []
    for _ in range(5):
        a_slow_module.ui.detectButton.click()
        HOST.wait_until(lambda: a_slow_module.ui.progressBar.value > 0, 60)
        os.kill(a_slow_module.logic.engine.worker_pid, 9)
        HOST.wait_until(lambda: not a_slow_module.logic.isBusy and a_slow_module.ui.restartButton.visible, 20)
        messages.append(a_slow_module.ui.statusLabel.text)
        assert a_slow_module.ui.detectButton.enabled
        assert scene_state() == before
    assert len(messages) == 5
    assert all("scene is as it was" in message for message in messages), messages
    a_slow_module.ui.restartButton.click()
    HOST.wait_until(lambda: a_slow_module.logic.engine.worker_pid is not None, 20)
    assert not a_slow_module.ui.restartButton.visible


def test_a_scene_that_is_closed_during_a_detection_stays_closed(a_slow_module):
    a_slow_module.logic.engine = a_slow_module.logic.engine
    a_slow_module.ui.detectButton.click()
    HOST.wait_until(lambda: a_slow_module.ui.progressBar.value > 0, 60)
    HOST.scene.Clear(False)
    HOST.app.processEvents()
    a_slow_module.ui.detectButton.click()
    HOST.wait_until(lambda: not a_slow_module.logic.isBusy, 20)
    assert scene_state() == []


def test_a_result_whose_image_was_removed_is_dropped_with_a_reason(a_module):
    a_module.parameters.inputVolume = volume = an_image_in_the_scene()
    HOST.app.processEvents()
    a_module.ui.detectButton.click()
    HOST.scene.RemoveNode(volume)
    HOST.wait_until(lambda: not a_module.logic.isBusy, 60)
    assert "removed from the scene" in a_module.ui.statusLabel.text
    assert scene_state() == []


def test_detection_from_the_console_needs_no_panel(a_module):
    logic = a_module.module.python_module.MedLandmarkLogic()
    logic.detection.engine.stop()
    logic.detection = a_module.logic
    volume = an_image_in_the_scene(spacing=0.4)
    node = logic.detect(volume, "head-19")
    assert node.GetNumberOfControlPoints() == 19
    from MedLandmarkLib.errors import SchemeError

    with pytest.raises(SchemeError, match="head-18"):
        logic.detect(volume, "head-18")
    several = an_image_in_the_scene((60, 90, 80), "volume", spacing=1.0)
    view = HOST.app.layoutManager().sliceWidget("Green").mrmlSliceNode()  # which cuts across the slices
    view.SetSliceOffset(-40.0)
    node = logic.detect(several, "head-19", sliceNode=view)
    assert [node.GetNthControlPointPositionWorld(number)[1] for number in range(19)] == pytest.approx([-40.0] * 19)


def test_the_snippet_of_the_readme_runs(a_module, monkeypatch):
    from MedLandmarkLib.ui import detection_logic

    (snippet,) = re.findall(
        r"```python\n(.*?MedLandmarkLogic.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.setitem(sys.modules, "MedLandmark", a_module.module.python_module)  # Slicer: it is on the module path
    monkeypatch.setattr(detection_logic, "EngineClient", lambda *_args: a_module.logic.engine)
    an_image_in_the_scene(spacing=0.4)
    console = {"slicer": slicer}
    exec(snippet, console)
    assert slicer.util.arrayFromMarkupsControlPoints(console["node"]).shape == (19, 3)


# --- review ---


def test_selecting_a_landmark_moves_the_views_to_it(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene((7, 90, 80), "volume", spacing=1.0)
    HOST.app.processEvents()
    HOST.app.layoutManager().sliceWidget("Red").mrmlSliceNode().SetSliceOffset(4.0)
    a_module.detect()
    a_module.panel.review.select("Gonion")
    number = load_scheme("head-19").index("Gonion")
    offset = HOST.app.layoutManager().sliceWidget("Green").mrmlSliceNode().GetSliceOffset()
    assert offset == pytest.approx(a_module.point(number)[1], abs=0.6)


def test_next_doubtful_selects_what_the_model_does_not_trust(a_reviewed_module):
    a_reviewed_module.ui.nextDoubtfulButton.click()
    assert a_reviewed_module.panel.review.selectedName == "Nasion"
    assert "below" in a_reviewed_module.ui.landmarkText.text
    a_reviewed_module.ui.acceptButton.click()
    a_reviewed_module.ui.nextDoubtfulButton.click()
    assert "No landmark is doubtful" in a_reviewed_module.ui.statusLabel.text


def test_undoing_a_detection_takes_its_result_away_and_redo_brings_it_back(a_reviewed_module):
    ui = a_reviewed_module.ui
    ui.undoButton.click()
    assert ui.landmarkTable.rowCount == 0
    assert [name for _, name in scene_state()] == ["ceph"]
    ui.redoButton.click()
    assert any(name.startswith("ceph head-19") for _, name in scene_state())


def test_lines_and_angles_are_shown_and_hidden_at_will(a_reviewed_module):
    assert len(drawn_lines(a_reviewed_module.review)) > 16
    a_reviewed_module.ui.drawingsBox.setChecked(False)
    assert len(drawn_lines(a_reviewed_module.review)) == 0


def test_shortcuts_live_only_while_the_module_is_shown(a_reviewed_module):
    assert a_reviewed_module.panel.review._shortcuts
    a_reviewed_module.module.exit()
    assert a_reviewed_module.panel.review._shortcuts == []
    a_reviewed_module.module.enter()
    keys = {shortcut.key.toString() for shortcut in a_reviewed_module.panel.review._shortcuts}
    assert {"A", "R", "M", "N", "Ctrl+Z"} <= keys


def test_points_of_the_users_own_become_a_result(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene(spacing=0.5)
    own = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    for number, name in enumerate(load_scheme("head-19").names):
        own.AddControlPointWorld([-50 - 3 * number, -60 - 2 * number, 0], name)
    a_module.parameters.result = own
    HOST.app.processEvents()
    assert a_module.ui.adoptButton.enabled
    a_module.ui.adoptButton.click()
    assert a_module.cell("landmarkTable", 0, 1) == "edited"
    assert a_module.cell("measurementTable", 0, 1) != "missing"


def test_a_landmark_is_placed_by_a_click(a_reviewed_module):
    number = load_scheme("head-19").index("Gonion")
    a_reviewed_module.panel.review.select("Gonion")
    a_reviewed_module.ui.placeButton.click()
    assert a_reviewed_module.cell("landmarkTable", number, 1) == "not placed"
    hand = HOST.app.views.hand()
    place = hand.display_xy(np.array([-90.0, -120.0, 0.0]))
    hand.move(place)
    hand.event("LeftButtonPressEvent", place)
    hand.event("LeftButtonReleaseEvent", place)
    HOST.run_for(0.1)
    assert a_reviewed_module.cell("landmarkTable", number, 1) == "edited"
    np.testing.assert_allclose(a_reviewed_module.point(number)[:2], (-90, -120), atol=1)
