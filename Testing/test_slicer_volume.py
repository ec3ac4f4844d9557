"""A volume in the module: the ways to search it, what each needs, and what cannot be searched."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import add_bent_transform
from slicer_module import HOST, a_module, an_image_in_the_scene
from slicer_volumes import a_module_with_a_volume, a_tooth_line, a_volume_in_the_scene, centre_ras, choose
from volumes import a_body

from MedLandmarkLib.plane.projection import depth_through

import slicer  # isort: skip

__all__ = ["a_module", "a_module_with_a_volume"]


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
