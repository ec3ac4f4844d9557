"""Landmarks found in a whole volume: how uncertain they are, shown in all views, undone, saved and loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from slicer_module import HOST, OpenModule, a_module, artefacts, engine_double
from slicer_volumes import a_module_with_a_volume, a_tooth_line, a_volume_in_the_scene, choose
from SlicerHost.three_d import ThreeDView

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import results

import slicer  # isort: skip

__all__ = ["a_module", "a_module_with_a_volume"]


@pytest.fixture
def a_searched_volume(a_module_with_a_volume: OpenModule) -> OpenModule:
    choose(a_module_with_a_volume, "volume")
    a_module_with_a_volume.detect()
    HOST.run_for(0.1)
    assert a_module_with_a_volume.result is not None, a_module_with_a_volume.ui.statusLabel.text
    return a_module_with_a_volume


def uncertainty_nodes() -> list:
    models = slicer.util.getNodesByClass("vtkMRMLModelNode")  # the slice views are some, too
    return [node for node in models if node.GetName().endswith(" uncertainty")]


def test_points_of_a_whole_volume_say_how_uncertain_they_are(a_searched_volume) -> None:
    module = a_searched_volume
    assert "± 3.0 mm" in module.cell("landmarkTable", 0, 3)
    assert module.ui.landmarkTable.item(0, 3).toolTip() == module.cell("landmarkTable", 0, 3)
    module.ui.landmarkTable.selectRow(0)
    assert "standard deviation up to 3.00 mm" in module.ui.landmarkText.text
    description = module.result.GetNthControlPointDescription(0)
    assert "Standard deviation up to 3.00 mm." in description
    module.result.SetNthControlPointPositionWorld(0, *(module.point(0) + 2.0))
    HOST.app.processEvents()
    assert module.review.landmarks.landmarks[0].status is Status.EDITED
    assert "±" not in module.cell("landmarkTable", 0, 3)  # whoever moved it knows better than the model
    module.review.revert([module.review.scheme.names[0]])
    assert "± 3.0 mm" in module.cell("landmarkTable", 0, 3)


def test_ellipsoids_are_shown_on_request_where_the_points_are(a_searched_volume) -> None:
    module, ui = a_searched_volume, a_searched_volume.ui
    assert ui.uncertaintyBox.enabled
    assert module.review.ellipsoids.node is None
    ui.uncertaintyBox.setChecked(True)
    node = module.review.ellipsoids.node
    assert node.GetDisplayNode().GetVisibility()
    surface = slicer.util.arrayFromModelPoints(node)
    count = len(module.review.landmarks)
    per_point = surface.reshape(count, -1, 3)
    for number in range(count):
        offset = np.abs(per_point[number] - module.point(number)).max(axis=0)
        np.testing.assert_allclose(offset, 2.7955 * np.array([1, 2, 3]), rtol=0.05)
    ui.uncertaintyBox.setChecked(False)
    assert not node.GetDisplayNode().GetVisibility()


def test_ellipsoids_turn_with_their_volume(a_searched_volume) -> None:
    module = a_searched_volume
    module.ui.uncertaintyBox.setChecked(True)
    transform = HOST.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    matrix = np.array([[0, -1, 0, 7], [1, 0, 0, -3], [0, 0, 1, 11], [0, 0, 0, 1.0]])
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    module.parameters.inputVolume.SetAndObserveTransformNodeID(transform.GetID())
    HOST.app.processEvents()
    surface = slicer.util.arrayFromModelPoints(module.review.ellipsoids.node)
    first = surface.reshape(len(module.review.landmarks), -1, 3)[0]
    offset = np.abs(first - module.point(0)).max(axis=0)
    np.testing.assert_allclose(offset, 2.7955 * np.array([2, 1, 3]), rtol=0.05)


def test_selecting_a_landmark_centres_all_three_views_on_it(a_searched_volume) -> None:
    module = a_searched_volume
    for number in (4, 9):
        module.ui.landmarkTable.selectRow(number)
        HOST.app.processEvents()
        for name in ("Red", "Green", "Yellow"):
            node = HOST.app.layoutManager().sliceWidget(name).mrmlSliceNode()
            to_ras = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
            np.testing.assert_allclose(to_ras[:3, 3], module.point(number), atol=1e-6)


def test_points_of_a_projection_lie_in_the_volume_with_a_long_uncertainty_along_the_rays(
    a_module_with_a_volume,
) -> None:
    module = a_module_with_a_volume
    choose(module, "projection")
    module.ui.projectionViewSelector.setCurrentIndex(module.ui.projectionViewSelector.findData("Yellow"))
    HOST.app.processEvents()
    module.detect()
    assert module.result is not None, module.ui.statusLabel.text
    assert "Found in a radiograph projection of the volume." in module.result.GetNthControlPointDescription(0)
    module.ui.uncertaintyBox.setChecked(True)
    first = slicer.util.arrayFromModelPoints(module.review.ellipsoids.node).reshape(19, -1, 3)[0]
    lengths = np.ptp(first, axis=0)
    assert lengths[0] > 4 * lengths[1:].max()  # the rays of a sagittal view run from side to side


def test_the_choices_and_the_uncertainty_come_back_with_the_scene(a_searched_volume, tmp_path: Path) -> None:
    module, ui = a_searched_volume, a_searched_volume.ui
    ui.uncertaintyBox.setChecked(True)
    ui.axialBox.setChecked(False)
    ui.projectionSelector.setCurrentIndex(ui.projectionSelector.findData("mean"))
    ui.slabDepthBox.setValue(12.0)
    module.parameters.toothLine = a_tooth_line((0, 0, 0), (0, 0, 9))
    HOST.app.processEvents()
    before = slicer.util.arrayFromModelPoints(module.review.ellipsoids.node).copy()
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    HOST.scene.Clear(False)
    HOST.run_for(0.1)
    assert not ui.uncertaintyBox.checked
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    HOST.run_for(0.2)
    assert module.parameters.target == "volume"
    assert ui.targetSelector.itemData(ui.targetSelector.currentIndex) == "volume"
    assert ui.sweepOptions.isVisible()
    assert (ui.sagittalBox.checked, ui.axialBox.checked) == (True, False)
    assert ui.projectionSelector.itemData(ui.projectionSelector.currentIndex) == "mean"
    assert ui.slabDepthBox.value == 12.0
    assert module.parameters.toothLine.GetName() == "tooth"
    assert ui.uncertaintyBox.checked
    np.testing.assert_allclose(
        slicer.util.arrayFromModelPoints(module.review.ellipsoids.node), before, atol=1e-3
    )  # a model's file holds float32
    assert len(uncertainty_nodes()) == 1


def test_undoing_the_detection_takes_the_ellipsoids_with_it(a_searched_volume) -> None:
    module = a_searched_volume
    module.ui.uncertaintyBox.setChecked(True)
    module.ui.undoButton.click()
    HOST.app.processEvents()
    assert uncertainty_nodes() == []
    module.ui.redoButton.click()
    (module.parameters.result,) = results(HOST.scene)
    HOST.app.processEvents()
    assert module.review.ellipsoids.is_shown
    assert len(uncertainty_nodes()) == 1


def test_a_search_reports_progress_and_is_cancelled_with_the_scene_as_it_was(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDLANDMARK_PYTHON", sys.executable)
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    module = OpenModule(HOST, engine_double(seconds=30.0))
    try:
        module.parameters.inputVolume = a_volume_in_the_scene()
        HOST.app.processEvents()
        choose(module, "volume")
        before = HOST.scene.GetNumberOfNodes()
        module.press()
        HOST.wait_until(lambda: module.ui.progressBar.value > 0, 60)
        assert module.ui.detectButton.text == "Cancel"
        module.press()
        HOST.wait_until(lambda: not module.logic.isBusy, 5)
        assert "Cancelled" in module.ui.statusLabel.text
        assert HOST.scene.GetNumberOfNodes() == before
    finally:
        module.close()


def test_the_points_stand_in_the_3d_view_with_their_ellipsoids_and_in_the_slices(a_searched_volume) -> None:
    """Left as pictures: the 3D view, a slice view through a landmark, and the panel."""
    module = a_searched_volume
    view = ThreeDView(HOST.app.applicationLogic(), HOST.scene)
    try:
        view.look_from_the_front()
        without = view.picture()
        slice_without = HOST.app.views.picture("Green")
        module.ui.uncertaintyBox.setChecked(True)
        module.ui.landmarkTable.selectRow(3)
        HOST.run_for(0.2)
        view.look_from_the_front()
        with_them = view.picture()
        view.save_picture(artefacts() / "view-3d-volume.png")
        HOST.app.views.save_picture(artefacts() / "view-slice-volume.png", "Green")
        HOST.save_panel(module.module, artefacts() / "panel-volume.png")
        changed = np.abs(with_them.astype(int) - without).max(axis=2) > 20
        beside = module.point(3) + [0.0, 0.0, 5.0]  # well within 95 % of 3 mm along S
        column, row = np.round(view.display_xy(beside)).astype(int)
        assert changed[row - 2 : row + 3, column - 2 : column + 3].any()
        assert np.abs(HOST.app.views.picture("Green").astype(int) - slice_without).max() > 50
    finally:
        view.close()
        HOST.scene.RemoveNode(view.view_node)
