"""The Slicer module as its user meets it: the file as it is on disk, real widgets, a real scene, rendered views.

It needs slicer-core and PySide6 (extra `test`); see SlicerHost.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from scenes import drawn_lines
from slicer_module import (
    HOST,
    MODULE_FILE,
    REPOSITORY,
    OpenModule,
    a_module,  # noqa: F401  (a fixture)
    an_image_in_the_scene,
    engine_double,
)

from MedLandmarkLib.scheme import load_scheme


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


# --- the module as Slicer finds it ---


def test_the_module_file_is_a_shell_that_imports_nothing_third_party():
    text = MODULE_FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    imported = set(re.findall(r"^(?:import|from) ([\w.]+)", text, re.MULTILINE))
    assert {name.split(".")[0] for name in imported} <= {"sys", "pathlib", "slicer", "vtk"}


def test_loading_the_module_takes_no_time_and_no_torch():
    began = time.process_time()
    module = HOST.load_module(MODULE_FILE)
    spent = time.process_time() - began
    assert module.title == "MedLandmark"
    assert module.icon is not None
    assert spent <= 0.3


def test_the_library_of_the_panel_imports_without_torch():
    code = "import sys; sys.path.insert(0, 'Testing'); from SlicerHost import start; h = start();"
    code += "import MedLandmarkLib.ui.module_widget;"
    code += "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'matplotlib', 'safetensors')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=os.environ)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_the_self_test_of_the_module_passes():
    module = HOST.load_module(MODULE_FILE)
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(module.python_module.MedLandmarkTest)
    outcome = unittest.TextTestRunner(stream=open(os.devnull, "w")).run(tests)  # noqa: SIM115
    module.close()
    HOST.scene.Clear(False)
    assert outcome.testsRun >= 3
    assert not outcome.failures, outcome.failures[0][1]
    assert not outcome.errors, outcome.errors[0][1]


def test_the_sample_is_an_echocardiogram_that_needs_no_network(a_module):
    import SampleData

    (volume,) = SampleData.downloadSample("MedLandmarkEcho")
    assert volume.GetImageData().GetNumberOfScalarComponents() == 3
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "pixels" in a_module.ui.calibrationLabel.text  # its region does not fit its picture


# --- the panel ---


def test_every_control_has_a_tooltip(a_module):
    from PySide6 import QtWidgets

    kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox, QtWidgets.QTableWidget)
    controls = [
        widget for name, widget in vars(a_module.ui).items() if isinstance(widget, kinds) and not name.startswith("qt_")
    ]
    named = [widget for widget in controls if widget.name]
    assert len(named) > 15
    assert [widget.name for widget in named if not widget.toolTip] == []


def test_a_disabled_control_says_why(a_module):
    silent = []
    for name in ("detectButton", "calibrateButton", "acceptButton", "undoButton", "exportButton", "downloadButton"):
        widget = getattr(a_module.ui, name)
        assert not widget.enabled, name
        if "\n\n" not in widget.toolTip:
            silent.append(name)
    assert silent == []
    assert "No image" in a_module.ui.detectButton.toolTip


def test_no_text_of_the_panel_is_put_together_inside_the_translation_mark():
    for path in (REPOSITORY / "MedLandmarkLib" / "ui").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""\b_\(\s*f["']""", text), path
        assert not re.search(r"""\b_\("[^"]*\{\}""", text), path
        assert "QMessageBox" not in text, path


def test_the_search_finds_a_scheme_by_a_landmark(a_module):
    a_module.ui.schemeSearchBox.setText("gonion")
    assert a_module.panel.schemes.shownIds() == ["head-19"]
    a_module.ui.schemeSearchBox.setText("echo apical")
    assert "head-19" not in a_module.panel.schemes.shownIds()


def test_the_definitions_of_the_chosen_scheme_can_be_read(a_module):
    a_module.panel.schemes.choose("head-19")
    text = a_module.ui.schemeText.plainText
    scheme = load_scheme("head-19")
    assert all(landmark.definition in " ".join(text.split()) for landmark in scheme.landmarks[:3])


def test_weights_that_are_not_here_need_an_accepted_licence(a_module):
    box = a_module.ui.modelSelector
    box.setCurrentIndex(box.findData("medsapiens"))
    assert "not on this computer" in a_module.ui.detectButton.toolTip or "No image" in a_module.ui.detectButton.toolTip
    assert not a_module.ui.downloadButton.enabled
    assert "licence" in a_module.ui.downloadButton.toolTip
    assert "Attribution-NonCommercial" in a_module.ui.licenceText.plainText
    a_module.ui.licenceBox.setChecked(True)
    assert a_module.ui.downloadButton.enabled


# --- inputs ---


def test_a_scheme_without_a_model_says_so(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene()
    a_module.panel.schemes.choose("plax-4")
    assert not a_module.ui.detectButton.enabled
    assert "No model knows" in a_module.ui.detectButton.toolTip


def test_an_empty_volume_is_refused_with_its_name(a_module):
    a_module.parameters.inputVolume = HOST.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "hollow")
    HOST.app.processEvents()
    assert not a_module.ui.detectButton.enabled
    assert "hollow" in a_module.ui.detectButton.toolTip


def test_an_image_without_calibration_is_measured_in_pixels(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene()
    HOST.app.processEvents()
    assert "pixels" in a_module.ui.calibrationLabel.text
    a_module.detect()
    rows = range(a_module.ui.measurementTable.rowCount)
    values = " ".join(a_module.cell("measurementTable", row, 1) for row in rows)
    assert "px" in values
    assert "mm" not in values


def test_a_ruler_calibrates_and_the_landmarks_stay_on_their_pixels(a_module):
    volume = an_image_in_the_scene()
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.detect()
    before = [landmark.ijk for landmark in a_module.review.landmarks]
    ruler = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
    assert not a_module.ui.calibrateButton.enabled
    for i in (100, 300):
        ruler.AddControlPointWorld([-i, -250, 0])
    a_module.parameters.ruler, a_module.parameters.rulerLength = ruler, 50.0
    HOST.app.processEvents()
    assert a_module.ui.calibrateButton.enabled, a_module.ui.calibrateButton.toolTip
    a_module.ui.calibrateButton.click()
    assert volume.GetSpacing()[0] == pytest.approx(0.25)
    assert "Calibrated" in a_module.ui.calibrationLabel.text
    assert "ruler" in a_module.ui.calibrationLabel.text
    np.testing.assert_allclose([landmark.ijk for landmark in a_module.review.landmarks], before, atol=1e-6)
    assert a_module.cell("landmarkTable", 0, 3).endswith("mm")


def test_a_colour_image_is_detected(a_module):
    a_module.parameters.inputVolume = an_image_in_the_scene((1, 200, 260, 3), "echo")
    HOST.app.processEvents()
    a_module.panel.schemes.choose("a4c-4")
    a_module.detect()
    assert a_module.ui.landmarkTable.rowCount == 4


def test_landmarks_of_a_transformed_volume_lie_on_it(a_module):
    volume = an_image_in_the_scene(spacing=0.5)
    transform = HOST.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    matrix = slicer.util.vtkMatrixFromArray(np.array([[0, -1, 0, 7], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]]))
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.detect()
    from MedLandmarkLib.mrml.calibration import ijk_to_ras

    ijk = np.array([*a_module.review.landmarks.landmarks[3].ijk, 1.0])
    np.testing.assert_allclose(a_module.point(3), (ijk_to_ras(volume) @ ijk)[:3], atol=1e-6)
    assert a_module.point(3)[2] == pytest.approx(11)


def test_of_a_volume_the_slice_that_a_view_shows_is_used(a_module):
    volume = an_image_in_the_scene((7, 90, 80), "volume", spacing=1.0)
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert a_module.ui.targetSelector.enabled
    node = HOST.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    node.SetSliceOffset(4.0)
    a_module.detect()
    assert {landmark.ijk[2] for landmark in a_module.review.landmarks} == {4.0}
    node.SetSliceOffset(99.0)
    a_module.panel.inputs.update()
    a_module.panel.detection.update()
    assert not a_module.ui.detectButton.enabled
    assert "Red" in a_module.ui.detectButton.toolTip


def test_of_a_volume_a_view_that_cuts_obliquely_is_used_as_it_is_shown(a_module, tmp_path):
    from MedLandmarkLib.mrml.calibration import ijk_to_ras

    volume = an_image_in_the_scene((40, 90, 80), "volume", spacing=1.0)
    volume.SetSpacing(1.0, 1.0, 2.0)
    i, j, k = np.meshgrid(np.arange(80), np.arange(90), np.arange(40), indexing="ij")
    ras = np.stack((i, j, k, np.ones_like(i)), axis=-1) @ ijk_to_ras(volume).T
    blob = np.array([-37.0, -52.0, 33.0])
    values = 255 * np.exp(-(((ras[..., :3] - blob) / 4.0) ** 2).sum(axis=-1))
    slicer.util.updateVolumeFromArray(volume, values.transpose(2, 1, 0).astype(np.uint8))
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    a_module.ui.targetSelector.setCurrentIndex(a_module.ui.targetSelector.findData("Green"))
    node = HOST.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    before = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    turned = before.copy()
    turned[:3, :3] = rotation(0.5, 0.3) @ before[:3, :3]
    turned[:3, 3] = blob + turned[:3, :3] @ [9.0, -6.0, 0.0]  # the blob lies in the plane, off its middle
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(turned))
    node.UpdateMatrices()
    try:
        assert a_module.ui.detectButton.enabled, a_module.ui.detectButton.toolTip
        a_module.detect()
        assert np.linalg.norm(a_module.point(0) - blob) < 1.0
        points = slicer.util.arrayFromMarkupsControlPoints(a_module.result, world=True)
        assert np.abs((points - blob) @ turned[:3, 2]).max() < 1e-6  # all lie in the plane of the view
        assert np.ptp([landmark.ijk[2] for landmark in a_module.review.landmarks]) > 1
        a_module.parameters.exportFolder = str(tmp_path)
        HOST.app.processEvents()
        a_module.ui.exportButton.click()
        report = next(tmp_path.glob("*.report.html")).read_text(encoding="utf-8")
        assert report.count("<circle") == len(points), a_module.ui.exportLabel.text
    finally:
        node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(before))
        node.UpdateMatrices()


def rotation(about_s: float, about_r: float) -> np.ndarray:
    """(3, 3): a turn about two axes, radians."""
    (c, s), (d, t) = ((np.cos(angle), np.sin(angle)) for angle in (about_s, about_r))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])


def test_without_torch_the_module_opens_says_what_to_install_and_edits_what_is_there(monkeypatch):
    monkeypatch.delenv("MEDLANDMARK_PYTHON", raising=False)
    import MedLandmarkLib.ui.requirements as requirements

    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda name: None)
    module = OpenModule(HOST, engine_double())
    try:
        assert "Install the extension PyTorch" in module.ui.statusLabel.text
        from MedLandmarkLib.ui.self_test import anImage, aResult

        volume = anImage(HOST.scene)
        module.parameters.inputVolume, module.parameters.result = volume, aResult(HOST.scene, volume)
        HOST.app.processEvents()
        assert module.cell("measurementTable", 0, 1)
        module.ui.detectButton.click()
        assert "Install the extension PyTorch" in module.ui.statusLabel.text
        assert not module.logic.isBusy
    finally:
        module.close()


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


def test_the_engine_of_a_closed_module_leaves(a_module):
    a_module.logic.engine.start()
    HOST.wait_until(lambda: a_module.logic.engine.worker_pid is not None, 30)
    a_module.logic.close()
    HOST.wait_until(lambda: not a_module.logic.engine.is_running, 10)


def test_reloading_the_module_loads_the_library_anew_and_keeps_the_panel_working(a_module):
    library = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "MedLandmarkLib"}
    old_panel = a_module.panel
    try:
        a_module.module.widget.onReload()
        panel = a_module.module.widget.panel
        assert type(panel) is not type(old_panel)
        assert panel.hasParameters
        assert panel.ui.detectButton.text == "Detect landmarks"
        a_module.module.close()
    finally:  # the other tests hold classes of the library as it was
        sys.modules.update(library)
        for name in [name for name in sys.modules if name.startswith("MedLandmarkLib") and name not in library]:
            del sys.modules[name]


def test_a_radiograph_takes_the_calibrated_pixels_of_its_header(a_module, monkeypatch, tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.Modality, header.PixelSpacing, header.ImagerPixelSpacing = "DX", [0.2, 0.2], [0.25, 0.25]
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    header.save_as(tmp_path / "header.dcm", enforce_file_format=True)
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / "header.dcm") if uid == "1.2.3" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    volume = an_image_in_the_scene()
    volume.SetSpacing(0.25, 0.25, 1.0)  # as ITK's reader has it
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "in pixels" in a_module.ui.calibrationLabel.text
    assert a_module.ui.headerButton.enabled, a_module.ui.headerButton.toolTip
    a_module.ui.headerButton.click()
    assert volume.GetSpacing()[:2] == (0.2, 0.2)
    assert "Calibrated, 0.2 mm per pixel" in a_module.ui.calibrationLabel.text
    assert not a_module.ui.headerButton.enabled


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


def test_a_damaged_file_in_the_dicom_database_is_named_and_nothing_else_fails(a_module, monkeypatch, tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"this is no DICOM file")
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / "broken.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    volume = an_image_in_the_scene()
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "broken.dcm" in a_module.ui.calibrationLabel.text
    assert "broken.dcm" in a_module.ui.headerButton.toolTip
