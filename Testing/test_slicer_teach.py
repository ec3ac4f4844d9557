"""The section Teach as its user meets it: one example becomes a model; images proposed, models shared."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from slicer_module import HOST, an_image_in_the_scene, artefacts
from teach_section import PLACES, a_folder, a_module, add, fill_in, open_module, points_on, reason, teach

from MedLandmarkLib.models import store
from MedLandmarkLib.scheme import load_scheme

import slicer  # isort: skip

__all__ = ["a_folder", "a_module", "open_module"]


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
