"""A volume in the module as its user meets it: searched whole, projected, cut along a tooth; saved and loaded.

Pictures of the panel and of the views are left in $MEDLANDMARK_ARTEFACTS, else in build/artefacts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import add_bent_transform
from slicer_module import HOST, REPOSITORY, OpenModule, a_module, an_image_in_the_scene, artefacts, engine_double
from SlicerHost.three_d import ThreeDView
from volumes import a_body

from MedLandmarkLib.engine import EngineClient
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import results
from MedLandmarkLib.plane.projection import depth_through

import slicer  # isort: skip

__all__ = ["a_module"]

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


# --- choosing ---


def test_a_volume_offers_its_views_and_itself_whole_and_each_shows_its_options(a_module_with_a_volume) -> None:
    module, ui = a_module_with_a_volume, a_module_with_a_volume.ui
    offered = [ui.targetSelector.itemData(number) for number in range(ui.targetSelector.count)]
    assert offered == ["Red", "Green", "Yellow", "volume", "projection", "tooth"]
    options = {"volume": "sweepOptions", "projection": "projectionOptions", "tooth": "toothOptions"}
    for target in ("volume", "projection", "tooth", "Red", "tooth"):
        choose(module, target)
        assert module.parameters.target == target
        for name in options.values():
            assert getattr(ui, name).isVisible() == (name == options.get(target)), (target, name)
    module.parameters.inputVolume = an_image_in_the_scene()
    HOST.app.processEvents()
    assert not ui.toothOptions.isVisible()


def test_without_a_direction_nothing_can_be_swept(a_module_with_a_volume) -> None:
    module, ui = a_module_with_a_volume, a_module_with_a_volume.ui
    choose(module, "volume")
    assert module.panel.inputs.picture() == {"directions": ("sagittal", "coronal", "axial")}
    ui.coronalBox.setChecked(False)
    assert module.panel.inputs.picture() == {"directions": ("sagittal", "axial")}
    ui.sagittalBox.setChecked(False)
    ui.axialBox.setChecked(False)
    assert not ui.detectButton.enabled
    assert "at least one direction" in ui.detectButton.toolTip


def test_a_tooth_needs_a_line_with_two_points_and_the_panel_hears_of_them(a_module_with_a_volume) -> None:
    module, ui = a_module_with_a_volume, a_module_with_a_volume.ui
    choose(module, "tooth")
    assert "Place a line along the tooth" in ui.detectButton.toolTip
    middle = centre_ras(module.parameters.inputVolume)
    line = a_tooth_line(tuple(middle))
    module.parameters.toothLine = line
    HOST.app.processEvents()
    assert not ui.detectButton.enabled
    line.AddControlPointWorld(*(middle + [1.0, 2.0, 14.0]))
    HOST.app.processEvents()
    assert ui.detectButton.enabled, ui.detectButton.toolTip
    plane = module.panel.inputs.picture()["plane"]
    assert np.linalg.norm(plane.plane_to_ras[:3, 0]) == pytest.approx(0.18)
    for point in (middle, middle + [1.0, 2.0, 14.0]):
        assert abs(plane.plane_from_ras(point)[2]) < 1e-6
    assert plane.plane_to_ras[1, 0] < 0  # the lip, in front, is on the left
    ui.labialSelector.setCurrentIndex(ui.labialSelector.findData("left"))
    assert module.panel.inputs.picture()["plane"].plane_to_ras[0, 0] > 0
    line.SetNthControlPointPositionWorld(1, *middle)
    assert "0.00 mm apart" in ui.detectButton.toolTip


def test_a_projection_runs_through_the_chosen_view(a_module_with_a_volume) -> None:
    module, ui = a_module_with_a_volume, a_module_with_a_volume.ui
    choose(module, "projection")
    ui.projectionSelector.setCurrentIndex(ui.projectionSelector.findData("maximum"))
    ui.projectionViewSelector.setCurrentIndex(ui.projectionViewSelector.findData("Yellow"))
    asked = module.panel.inputs.picture()["projection"]
    assert asked["kind"] == "maximum"
    assert asked["depth_mm"] is None  # all of it
    assert np.abs(np.array(asked["plane"]["plane_to_ras"])[0, :2]).max() < 1e-9  # sagittal
    ui.slabDepthBox.setValue(20.0)
    assert module.panel.inputs.picture()["projection"]["depth_mm"] == 20.0
    ui.projectionSelector.setCurrentIndex(ui.projectionSelector.findData("cephalogram"))
    HOST.app.processEvents()
    assert module.panel.inputs.picture() == {"projection": {"kind": "cephalogram"}}
    assert not ui.projectionViewSelector.enabled
    assert not ui.slabDepthBox.enabled


def test_a_slab_through_all_of_a_volume_reaches_its_farthest_corner() -> None:
    from MedLandmarkLib.plane import plane_about

    image = a_body(np.eye(4), shape=(20, 30, 40))
    plane = plane_about((0.0, 0.0, 4.0), (1, 0, 0), (0, 1, 0), 1.0, (16, 16))
    assert depth_through(image, plane) == pytest.approx(2 * (10 + 4))


# --- results ---


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


# --- what cannot be used ---


def an_unusable_volume(kind: str):
    if kind == "bent":
        volume = a_volume_in_the_scene()
        volume.SetAndObserveTransformNodeID(add_bent_transform(HOST.scene).GetID())
        return volume
    if kind == "no spacing":
        volume = a_volume_in_the_scene()
        volume.SetSpacing(1.0, 1.0, 0.0)
        return volume
    if kind == "label map":
        volume = HOST.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        slicer.util.updateVolumeFromArray(volume, np.ones((20, 40, 30), np.uint8))
        return volume
    if kind == "4D":
        return a_volume_of_vectors()
    volume = a_volume_in_the_scene(dtype=np.float32)
    slicer.util.updateVolumeFromArray(volume, np.full((20, 40, 30), np.nan, np.float32))
    return volume


def a_volume_of_vectors():
    """Five values in each voxel: how a series over time looks that was loaded as one volume."""
    volume = HOST.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "series")
    slicer.util.updateVolumeFromArray(volume, np.random.default_rng(0).normal(size=(20, 40, 30, 5)))
    return volume


@pytest.mark.parametrize("target", ["volume", "projection", "tooth"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bent", "Harden the transform"), ("label map", "is a label map"), ("4D", "5 values per pixel"),
        ("no spacing", "do not span space"),
    ],
)  # fmt: skip
def test_what_is_no_volume_of_pictures_is_refused_in_the_panel(a_module, kind: str, message: str, target: str) -> None:
    a_module.parameters.inputVolume = a_volume_in_the_scene("good")
    HOST.app.processEvents()
    choose(a_module, target)
    a_module.parameters.toothLine = a_tooth_line((0, 0, 0), (0, 0, 9))
    a_module.parameters.inputVolume = an_unusable_volume(kind)
    HOST.app.processEvents()
    assert not a_module.ui.detectButton.enabled
    assert message in a_module.ui.detectButton.toolTip


def test_numbers_that_are_none_everywhere_are_refused_when_pressed(a_module) -> None:
    a_module.parameters.inputVolume = an_unusable_volume("NaN")
    HOST.app.processEvents()
    choose(a_module, "volume")
    a_module.press()
    assert "no finite number" in a_module.ui.statusLabel.text
    assert not a_module.logic.isBusy


def test_a_view_outside_the_volume_has_no_projection(a_module_with_a_volume) -> None:
    module = a_module_with_a_volume
    choose(module, "projection")
    node = HOST.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    node.SetSliceOffset(9999.0)
    module.panel.inputs.update()
    module.panel.detection.update()
    assert not module.ui.detectButton.enabled
    assert "outside the volume" in module.ui.detectButton.toolTip
    node.SetSliceOffset(0.0)


def test_a_frame_of_a_series_of_volumes_is_searched_as_a_volume(a_module) -> None:
    """4D as Slicer loads it: a sequence whose frames are volumes; the one that is shown is used."""
    from MedLandmarkLib.mrml import frames_of

    first = a_volume_in_the_scene("series")
    sequence = HOST.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "series")
    sequence.SetIndexName("time")
    for number in range(3):
        sequence.SetDataNodeAtValue(first, str(number))
    HOST.scene.RemoveNode(first)
    browser = HOST.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "series browser")
    browser.AddSynchronizedSequenceNode(sequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    volume = browser.GetProxyNode(sequence)
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert frames_of(HOST.scene, volume) == 1
    choose(a_module, "volume")
    a_module.detect()
    assert a_module.result is not None, a_module.ui.statusLabel.text


# --- the real engine ---


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
