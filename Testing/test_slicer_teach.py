"""The section Teach as its user meets it, with a worker whose teaching is a stand-in.

A picture of the section is left in $MEDLANDMARK_ARTEFACTS, else in build/artefacts.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import write_picture
from slicer_module import HOST, REPOSITORY, TESTING, OpenModule, an_image_in_the_scene, artefacts, engine_double

from MedLandmarkLib.errors import ImageError, MedLandmarkError
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models import store
from MedLandmarkLib.mrml import teaching
from MedLandmarkLib.scheme import load_scheme

import slicer  # isort: skip

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
    folder = tmp_path / "others"
    folder.mkdir()
    for number in range(3):
        write_picture(folder / f"p{number}.png", seed=number)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


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


# --- one example ---


def test_one_annotated_image_becomes_a_model_that_is_chosen_at_once(a_module, a_folder: Path) -> None:
    volume, ui = fill_in(a_module, a_folder), a_module.ui
    assert not ui.teachSetAsideTable.isVisible()
    assert [a_module.cell("teachTable", 0, column) for column in range(3)] == ["points", "ceph", "3 of 3"]
    a_module.parameters.inputVolume = volume
    said: list[str] = []
    a_module.panel.teaching._logic.detailed.connect(lambda details: said.append(ui.teachEstimateLabel.text))
    teach(a_module)
    assert ui.teachStatusLabel.text.startswith("Done: the model 'bird'"), ui.teachStatusLabel.text
    assert "Images that were not learned from: 1;" in ui.teachStatusLabel.text
    assert ui.teachSetAsideTable.isVisible()
    assert a_module.cell("teachSetAsideTable", 0, 0) == "broken.png"
    assert ui.teachEstimateLabel.text == "Views of one picture differ by 1.2 px; the error is at least that."
    assert any("Making one model" in text and "differ by" in text for text in said)
    assert (a_module.parameters.schemeId, a_module.parameters.modelId) == ("bird", "bird")
    assert ui.modelSelector.itemData(ui.modelSelector.currentIndex) == "bird"
    assert "bird" in a_module.panel.schemes.shownIds()
    assert load_scheme("bird").names == tuple(PLACES)
    HOST.app.processEvents()
    assert ui.detectButton.enabled, ui.detectButton.toolTip
    HOST.save_panel(a_module.module, artefacts() / "panel-teach.png")


def test_the_landmarks_of_the_taught_model_are_detected_kept_and_outlive_it(a_module, a_folder, tmp_path) -> None:
    a_module.parameters.inputVolume = fill_in(a_module, a_folder)
    teach(a_module)
    a_module.detect()
    assert a_module.review.landmarks.names == tuple(PLACES)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    store.delete_model("bird")
    HOST.scene.Clear(False)
    HOST.run_for(0.1)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    HOST.run_for(0.2)
    assert a_module.review.landmarks.names == tuple(PLACES), "the scene holds the scheme"
    assert a_module.parameters.schemeId == "head-19", "the scheme to detect went with its model"
    assert a_module.ui.teachTable.rowCount == 1, "what is learned from is kept in the scene"


def test_points_of_a_shipped_scheme_teach_that_scheme(a_module, a_folder: Path) -> None:
    volume = an_image_in_the_scene()
    add(a_module, points_on(volume, {"Sella": (100, 100), "Nasion": (200, 100), "doodle": (50, 50)}), volume)
    a_module.panel.schemes.choose("head-19")
    a_module.parameters.teachFolder, a_module.parameters.teachName = str(a_folder), "heads"
    a_module.ui.teachSchemeSelector.setCurrentIndex(1)
    HOST.app.processEvents()
    teach(a_module)
    assert a_module.parameters.schemeId == "head-19"
    assert a_module.parameters.modelId == "heads"
    assert not (Path(os.environ["MEDLANDMARK_HOME"]) / "models" / "heads" / "scheme.json").exists()


def test_points_that_the_scheme_does_not_know_are_told(a_module, a_folder: Path) -> None:
    fill_in(a_module, a_folder)
    a_module.ui.teachSchemeSelector.setCurrentIndex(1)
    a_module.ui.teachButton.click()
    assert "No point of 'points' is named after a landmark" in a_module.ui.teachStatusLabel.text
    assert not a_module.panel.teaching._logic.isBusy


def test_images_of_the_scene_are_learned_from_when_asked(a_module, tmp_path: Path) -> None:
    volume = fill_in(a_module, tmp_path / "nowhere")
    an_image_in_the_scene(name="second")
    an_image_in_the_scene((4, 50, 60), name="a volume")
    HOST.app.processEvents()
    assert "There is no folder" in reason(a_module.ui.teachButton)
    a_module.parameters.teachFolder = ""
    HOST.app.processEvents()
    assert "Choose a folder" in reason(a_module.ui.teachButton)
    a_module.parameters.teachesSceneImages = True
    HOST.app.processEvents()
    assert [node.GetName() for node in a_module.panel.teaching._sceneImages()] == ["second"]
    teach(a_module)
    assert a_module.ui.teachStatusLabel.text.startswith("Done"), a_module.ui.teachStatusLabel.text
    assert volume.GetName() == "ceph"


# --- corrections as examples ---


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


# --- cancelling ---


def test_a_cancel_keeps_the_best_so_far_and_the_list_of_models_has_it(open_module, a_folder: Path) -> None:
    module = open_module(0.2)
    fill_in(module, a_folder)
    module.ui.teachButton.click()
    reason(module.ui.teachNameEdit)
    HOST.wait_until(lambda: module.ui.teachProgressBar.value >= 60, 60)
    module.ui.teachButton.click()
    assert "best model so far is kept" in module.ui.teachStatusLabel.text
    HOST.wait_until(lambda: not module.panel.teaching._logic.isBusy, 30)
    assert module.ui.teachStatusLabel.text.startswith("Cancelled: the best model so far, 'bird'")
    assert module.parameters.modelId == "bird"
    assert module.ui.teachButton.text == "Start teaching"
    assert module.ui.teachNameEdit.enabled


def test_a_cancel_before_there_is_a_model_ends_at_once_and_says_so(open_module, a_folder: Path) -> None:
    module = open_module(0.2)
    fill_in(module, a_folder)
    module.ui.teachButton.click()
    HOST.wait_until(lambda: bool(module.ui.teachEstimateLabel.text), 60)
    module.ui.teachButton.click()
    HOST.wait_until(lambda: not module.panel.teaching._logic.isBusy, 1.0)
    assert "before there was a model" in module.ui.teachStatusLabel.text
    assert module.parameters.schemeId == "head-19"


def test_a_step_that_does_not_end_is_ended_and_the_best_model_is_kept(open_module, a_folder: Path) -> None:
    from teaching_doubles import write_model

    module = open_module(60.0)
    fill_in(module, a_folder, "stuck")
    module.ui.teachSchemeSelector.setCurrentIndex(0)
    module.ui.teachButton.click()
    HOST.wait_until(lambda: bool(module.ui.teachEstimateLabel.text), 60)
    run = Path(os.environ["MEDLANDMARK_HOME"]) / "runs" / "stuck"
    write_model(run / "model", "stuck", "stuck", len(PLACES))
    (run / "model" / "scheme.json").write_bytes((run / "scheme.json").read_bytes())
    module.ui.teachButton.click()
    HOST.run_for(0.2)
    assert module.panel.teaching._logic.isBusy
    module.ui.teachButton.click()
    HOST.wait_until(lambda: not module.panel.teaching._logic.isBusy, 60)
    assert module.ui.teachStatusLabel.text.startswith("Cancelled: the best model so far, 'stuck'")
    assert module.parameters.modelId == "stuck"


def test_a_detection_runs_beside_a_teaching(open_module, a_folder: Path) -> None:
    module = open_module(1.0)
    module.parameters.inputVolume = fill_in(module, a_folder)
    HOST.app.processEvents()
    module.ui.teachButton.click()
    module.detect()
    assert module.result is not None
    assert module.panel.teaching._logic.isBusy


def test_a_worker_that_dies_costs_a_message(open_module, a_folder: Path) -> None:
    import signal

    module = open_module(1.0)
    fill_in(module, a_folder)
    module.ui.teachButton.click()
    logic = module.panel.teaching._logic
    HOST.wait_until(lambda: bool(module.ui.teachEstimateLabel.text), 60)
    os.kill(logic.engine.worker_pid, signal.SIGKILL)
    HOST.wait_until(lambda: not logic.isBusy, 30)
    assert module.ui.teachStatusLabel.text
    assert module.ui.teachButton.enabled


# --- proposing, and sharing ---


def test_the_proposed_image_becomes_the_input(a_module) -> None:
    an_image_in_the_scene(name="short")
    wanted = an_image_in_the_scene(name="the most usual of them all")
    a_module.parameters.teachesSceneImages = True
    HOST.app.processEvents()
    assert a_module.ui.proposeButton.enabled, a_module.ui.proposeButton.toolTip
    a_module.ui.proposeButton.click()
    HOST.wait_until(lambda: not a_module.panel.teaching._logic.isBusy, 60)
    assert "Annotate the most usual of them all: nearest" in a_module.ui.proposalLabel.text
    assert a_module.parameters.inputVolume is wanted


def test_a_proposed_file_is_named_with_its_folder_and_broken_ones_are_listed(a_module, a_folder: Path) -> None:
    a_module.parameters.teachFolder = str(a_folder)
    HOST.app.processEvents()
    a_module.ui.proposeButton.click()
    HOST.wait_until(lambda: not a_module.panel.teaching._logic.isBusy, 60)
    assert str(a_folder / "p0.png") in a_module.ui.proposalLabel.text
    assert a_module.cell("teachSetAsideTable", 0, 0) == "broken.png"


def test_a_shared_model_is_imported_by_the_panel_with_its_landmarks(a_module, tmp_path: Path) -> None:
    from teaching_doubles import write_model

    from MedLandmarkLib.scheme import own_scheme, write_scheme

    scheme, content = own_scheme(("toe", "heel"), "foot")
    folder = write_model(tmp_path / "foot", "foot", scheme.id, len(scheme))
    write_scheme(content, folder / "scheme.json")
    with zipfile.ZipFile(tmp_path / "foot.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"foot/{path.name}")
    a_module.ui.weightsPath.setCurrentPath(str(tmp_path / "foot.zip"))
    a_module.ui.importButton.click()
    HOST.wait_until(lambda: not a_module.panel.models.isBusy, 60)
    assert (a_module.parameters.schemeId, a_module.parameters.modelId) == ("foot", "foot"), a_module.ui.statusLabel.text
    a_module.ui.deleteModelButton.click()
    HOST.wait_until(lambda: not a_module.panel.models.isBusy, 60)
    assert a_module.parameters.schemeId == "head-19"
    assert "foot" not in a_module.panel.schemes.shownIds()
