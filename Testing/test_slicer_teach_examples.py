"""What the section Teach learns from: points and corrections, and what it says of those that it cannot use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slicer_module import HOST, an_image_in_the_scene
from teach_section import PLACES, a_folder, a_module, choose, fill_in, open_module, points_on, reason, teach

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models import store
from MedLandmarkLib.mrml import teaching

import slicer  # isort: skip

__all__ = ["a_folder", "a_module", "open_module"]


def test_what_was_accepted_or_edited_is_learned_from_and_the_rest_only_when_asked(a_module) -> None:
    volume = an_image_in_the_scene()
    a_module.parameters.inputVolume = volume
    HOST.app.processEvents()
    assert "holds no result" in reason(a_module.ui.addReviewedButton)
    a_module.detect()
    HOST.app.processEvents()
    choose(a_module, a_module.result, volume)
    assert "Nobody has accepted or edited" in reason(a_module.ui.addTemplateButton)
    names = a_module.review.landmarks.names
    a_module.review.accept([names[0], names[2]])
    a_module.review.mark_missing([names[4]])
    place = a_module.point(3)
    a_module.result.SetNthControlPointPositionWorld(3, *(place + [5.0, 0, 0]))
    HOST.run_for(0.5)
    taught = teaching.taught_points(HOST.scene, a_module.result, volume)
    assert list(taught.picture_xy) == [names[0], names[2], names[3]]
    landmarks = a_module.review.landmarks
    np.testing.assert_allclose(taught.picture_xy[names[3]], landmarks[names[3]].ijk[:2], atol=1e-6)
    assert landmarks[names[3]].status is Status.EDITED
    every = teaching.taught_points(HOST.scene, a_module.result, volume, with_unchecked=True)
    assert len(every.picture_xy) == len(names) - 1, "the missing one has no place"
    assert names[1] in taught.unchecked
    a_module.ui.addReviewedButton.click()
    assert a_module.cell("teachTable", 0, 2) == "3 of 19"
    assert "Left out" in a_module.ui.teachTable.item(0, 2).toolTip()
    assert "1 reviewed results were added" in a_module.ui.teachStatusLabel.text
    a_module.parameters.teachesUnchecked = True
    HOST.app.processEvents()
    assert a_module.cell("teachTable", 0, 2) == "18 of 19"
    a_module.ui.addReviewedButton.click()
    assert "No other result" in a_module.ui.teachStatusLabel.text


def test_an_annotated_image_is_taken_off_the_list(a_module, a_folder: Path) -> None:
    fill_in(a_module, a_folder)
    assert "Select an annotated image" in reason(a_module.ui.removeTemplateButton)
    assert "on the list" in reason(a_module.ui.addTemplateButton)
    a_module.ui.teachTable.selectRow(0)
    a_module.ui.removeTemplateButton.click()
    assert a_module.ui.teachTable.rowCount == 0
    assert "Put an annotated image on the list" in reason(a_module.ui.teachButton)
    assert HOST.scene.GetFirstNodeByName("points") is not None


def test_a_point_that_is_placed_enables_the_button(a_module) -> None:
    volume = an_image_in_the_scene()
    points = HOST.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
    assert "Choose the points" in reason(a_module.ui.addTemplateButton) or points
    choose(a_module, points, volume)
    assert "no placed point" in reason(a_module.ui.addTemplateButton)
    points.AddControlPointWorld([-10.0, -10.0, 0.0], "beak")
    HOST.run_for(0.6)
    assert a_module.ui.addTemplateButton.enabled, a_module.ui.addTemplateButton.toolTip


# --- what may be wrong ---


def test_points_that_cannot_be_learned_from_are_told() -> None:
    scene = HOST.scene
    scene.Clear(False)
    volume, other = an_image_in_the_scene(), an_image_in_the_scene((1, 40, 30), "small")
    with pytest.raises(MedLandmarkError, match="does not lie on image 'small'"):
        teaching.taught_points(scene, points_on(volume), other)
    twice = points_on(volume, {"a": (1, 2), "b": (3, 4)})
    twice.SetNthControlPointLabel(1, "a")
    with pytest.raises(MedLandmarkError, match=r"Two points of .* are called 'a'"):
        teaching.taught_points(scene, twice, volume)
    twice.SetNthControlPointLabel(1, "")
    with pytest.raises(MedLandmarkError, match="has no name"):
        teaching.taught_points(scene, twice, volume)
    with pytest.raises(MedLandmarkError, match="has no placed point"):
        teaching.taught_points(scene, points_on(volume, dict.fromkeys(PLACES)), volume)
    with pytest.raises(MedLandmarkError, match="No points are chosen"):
        teaching.taught_points(scene, None, volume)
    with pytest.raises(ImageError, match="has 3 slices"):
        teaching.taught_points(scene, points_on(volume), an_image_in_the_scene((3, 40, 30), "brain"))
    partly = teaching.taught_points(scene, points_on(volume, {**PLACES, "eye": None}), volume)
    assert partly.names == tuple(PLACES)
    assert list(partly.picture_xy) == ["beak", "tail"]
    teaching.add_template(scene, points_on(volume), volume)
    with pytest.raises(MedLandmarkError, match="is on the list with the points"):
        teaching.add_template(scene, points_on(volume, name="again"), volume)
    scene.Clear(False)


def test_points_on_a_moved_image_lie_on_their_pixels() -> None:
    scene = HOST.scene
    scene.Clear(False)
    volume = an_image_in_the_scene(spacing=0.2)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.array([[0, -1, 0, 30], [1, 0, 0, -7], [0, 0, 1, 12], [0, 0, 0, 1.0]])
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    taught = teaching.taught_points(scene, points_on(volume), volume)
    np.testing.assert_allclose(list(taught.picture_xy.values()), list(PLACES.values()), atol=1e-9)
    scene.Clear(False)


@pytest.mark.parametrize(
    ("name", "word"), [("", "Give the model a name"), ("No Good", "cannot be a model's id"), ("lite", "is the name of")]
)
def test_a_name_that_cannot_be_is_told(name: str, word: str, a_module, a_folder: Path) -> None:
    fill_in(a_module, a_folder, name)
    assert word in reason(a_module.ui.teachButton)


def test_a_name_that_another_model_has_is_told(a_module, a_folder: Path) -> None:
    from teaching_doubles import write_model

    store.import_model([write_model(a_folder.parent / "m", "taken", "a4c-4", 4)])
    fill_in(a_module, a_folder, "taken")
    teach(a_module)
    assert "There is a model 'taken' already" in a_module.ui.teachStatusLabel.text
    assert a_module.ui.teachButton.text == "Start teaching"


def test_every_control_of_the_section_says_what_it_does_and_why_it_is_off(a_module) -> None:
    for name in ("teachButton", "addTemplateButton", "addReviewedButton", "removeTemplateButton", "proposeButton"):
        assert reason(getattr(a_module.ui, name)), name
    for name, widget in vars(a_module.ui).items():
        if name.startswith("teach") and name not in ("teachSection",) and hasattr(widget, "toolTip"):
            assert widget.toolTip or name.endswith(tuple(f"Label{n}" for n in range(7))), name
