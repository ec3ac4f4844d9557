"""The Slicer module as its user meets it: the file as it is on disk, loaded, reloaded and closed, and its panel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import unittest

from slicer_module import HOST, MODULE_FILE, REPOSITORY, OpenModule, a_module, engine_double

from MedLandmarkLib.scheme import load_scheme

__all__ = ["a_module"]


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
