"""The whole way of a user through the module: load, detect, drag, undo, revert, mark missing, export, save, load.

Pictures of the panel and of the views are left in $MEDLANDMARK_ARTEFACTS, else in build/artefacts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import drawn_lines
from slicer_module import HOST, REPOSITORY, SIZE, OpenModule, a_module, artefacts

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.scheme import load_scheme

import slicer  # isort: skip

__all__ = ["a_module"]


def test_the_user_from_end_to_end(a_module, tmp_path):
    """Load, detect, drag, undo, revert, mark missing, export, save, clear, load."""
    import SimpleITK

    path = tmp_path / "ceph.png"
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    picture = (90 + 60 * np.sin(rows / 23) + 60 * np.cos(columns / 31)).astype(np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(picture), str(path))
    a_module.parameters.inputVolume = slicer.util.loadVolume(str(path), {"singleFile": True})
    HOST.app.processEvents()
    play_the_user(a_module, tmp_path, "double")


def is_end_of_a_line(module: OpenModule, place: np.ndarray) -> bool:
    return bool((np.linalg.norm(drawn_lines(module.review) - place, axis=-1) < 1e-3).any())


def play_the_user(a_module: OpenModule, tmp_path: Path, label: str) -> None:
    ui, pictures = a_module.ui, artefacts()
    scheme = load_scheme(a_module.parameters.schemeId)
    a_module.detect(seconds=240)
    HOST.run_for(0.2)
    node = a_module.result
    assert node is not None, ui.statusLabel.text
    found = [landmark.ijk for landmark in a_module.review.prediction]
    shown = [landmark.ijk for landmark in a_module.review.landmarks]
    np.testing.assert_allclose(shown, found, atol=1e-6)
    HOST.save_panel(a_module.module, pictures / f"panel-{label}-detected.png")
    HOST.app.views.save_picture(pictures / f"view-{label}-detected.png")

    # Drag a point in the slice view: status, measurement and drawing follow.
    number = next(k for k, item in enumerate(a_module.review.landmarks) if item.status.is_usable)
    name = scheme.names[number]
    dependent = next(key for key, inputs in scheme.measurement_inputs.items() if name in inputs)
    row = [definition.name for definition in scheme.measurements].index(dependent)
    value_before, place_before = a_module.cell("measurementTable", row, 1), a_module.point(number)
    assert is_end_of_a_line(a_module, place_before)
    HOST.app.views.hand().drag(place_before, place_before + [22.0, -17.0, 0.0])
    HOST.run_for(0.1)
    moved = a_module.point(number) - place_before
    assert np.linalg.norm(moved - [22.0, -17.0, 0.0]) < 2.0
    assert a_module.review.landmarks[name].status is Status.EDITED
    assert a_module.cell("landmarkTable", number, 1) == "edited"
    assert a_module.cell("measurementTable", row, 1) != value_before
    assert is_end_of_a_line(a_module, a_module.point(number))
    assert not is_end_of_a_line(a_module, place_before)

    ui.undoButton.click()
    np.testing.assert_allclose(a_module.point(number), place_before, atol=1e-6)
    assert a_module.cell("measurementTable", row, 1) == value_before
    ui.redoButton.click()
    a_module.panel.review.select(name)
    HOST.run_for(0.1)
    HOST.save_panel(a_module.module, pictures / f"panel-{label}-edited.png")
    HOST.app.views.save_picture(pictures / f"view-{label}-edited.png")
    ui.revertButton.click()
    np.testing.assert_allclose(a_module.point(number), place_before, atol=1e-6)
    assert a_module.cell("landmarkTable", number, 1) != "edited"

    ui.missingButton.click()
    assert a_module.cell("landmarkTable", number, 1) == "missing"
    assert a_module.cell("measurementTable", row, 1) == "missing"
    assert name in ui.measurementTable.item(row, 1).toolTip()
    ui.acceptConfidentButton.click()
    HOST.run_for(0.1)

    # Export.
    a_module.parameters.exportFolder = str(tmp_path / "out")
    HOST.app.processEvents()
    ui.exportButton.click()
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name_.split(".", 1)[1] for name_ in written] == ["csv", "landmarks.json", "mrk.json", "report.html"], (
        ui.exportLabel.text
    )
    document = json.loads(next((tmp_path / "out").glob("*.landmarks.json")).read_text(encoding="utf-8"))
    assert document["frames"][0]["landmarks"][number]["status"] == "missing"
    report = next((tmp_path / "out").glob("*.report.html")).read_text(encoding="utf-8")
    assert "data:image/png;base64," in report
    assert report.count("<circle") == sum(item.status.is_usable for item in a_module.review.landmarks)

    # Save, clear, load: all is as it was.
    before = (a_module.review.landmarks, a_module.review.measurements, a_module.parameters.schemeId)
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    HOST.scene.Clear(False)
    HOST.run_for(0.1)
    assert ui.landmarkTable.rowCount == 0
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    HOST.run_for(0.2)
    assert ui.landmarkTable.rowCount == len(scheme), ui.statusLabel.text
    assert a_module.review.landmarks == before[0]
    assert a_module.review.measurements == before[1]
    assert a_module.parameters.schemeId == before[2]
    assert a_module.parameters.inputVolume is not None


# --- the embedded model ---

EMBEDDED = REPOSITORY / "Resources" / "Models" / "lite" / "card.json"


@pytest.mark.skipif(not EMBEDDED.is_file(), reason="the weights of the embedded model are not in Resources/Models/lite")
def test_the_user_with_the_embedded_model_on_the_packaged_echocardiogram(monkeypatch, tmp_path):
    """The whole way with the real engine; $MEDLANDMARK_PYTHON names a Python with torch where this one has none."""
    import SampleData

    from MedLandmarkLib.engine import EngineClient

    python = os.environ.get("MEDLANDMARK_PYTHON") or sys.executable
    monkeypatch.setenv("MEDLANDMARK_PYTHON", python)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    module = OpenModule(HOST, EngineClient(python, environment=environment, hang_after_s=240))
    try:
        (volume,) = SampleData.downloadSample("MedLandmarkEcho")
        module.parameters.inputVolume = volume
        module.panel.schemes.choose("a4c-4")
        box = module.ui.modelSelector
        box.setCurrentIndex(box.findData("lite"))
        HOST.app.processEvents()
        play_the_user(module, tmp_path, "echo")
    finally:
        module.close()


@pytest.mark.real_data
@pytest.mark.skipif(not EMBEDDED.is_file(), reason="the weights of the embedded model are not in Resources/Models/lite")
def test_on_a_cephalogram_the_fiducials_are_the_librarys_own_landmarks(monkeypatch, tmp_path, the_data_folder):
    """The scene against a run of the library on the same file, in a process of its own; then the whole way."""
    from MedLandmarkLib.engine import EngineClient

    picture = sorted((the_data_folder / "ceph_isbi" / "images").iterdir())[0]
    python = os.environ.get("MEDLANDMARK_PYTHON") or sys.executable
    code = "import json, sys; from MedLandmarkLib import detect; found = detect(sys.argv[1], 'head-19').frames[0];"
    code += "print(json.dumps([landmark.ijk for landmark in found.landmarks]))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([python, "-c", code, picture], capture_output=True, text=True, env=environment)
    expected = np.array(json.loads(done.stdout))

    monkeypatch.setenv("MEDLANDMARK_PYTHON", python)
    module = OpenModule(HOST, EngineClient(python, environment=environment, hang_after_s=240))
    try:
        module.parameters.inputVolume = slicer.util.loadVolume(str(picture), {"singleFile": True})
        box = module.ui.modelSelector
        box.setCurrentIndex(box.findData("lite"))
        HOST.app.processEvents()
        play_the_user(module, tmp_path, "cephalogram")
        found = np.array([landmark.ijk for landmark in module.review.prediction])
        assert np.linalg.norm(found - expected, axis=1).max() < 1.0
    finally:
        module.close()
