"""A clip in the module as its user meets it: all frames detected, played, corrected, plotted, saved and loaded.

Pictures of the panel, the view and the plot are left in $MEDLANDMARK_ARTEFACTS, else in build/artefacts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from slicer_module import HOST, REPOSITORY, OpenModule, a_module, an_image_in_the_scene, artefacts

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import track_to_fields

import slicer  # isort: skip

__all__ = ["a_module"]

A4C = load_scheme("a4c-4")
FRAMES, CORRECTED = 30, 12


def open_the_echo(module: OpenModule) -> None:
    import SampleData

    (volume,) = SampleData.downloadSample("MedLandmarkEchoClip")
    module.parameters.inputVolume = volume
    module.panel.schemes.choose(A4C.id)
    box = module.ui.modelSelector
    box.setCurrentIndex(box.findData("lite"))
    HOST.app.processEvents()


@pytest.fixture
def a_module_with_a_clip(a_module: OpenModule) -> OpenModule:
    """The module with the landmarks of the packaged clip, from an engine that needs no network."""
    open_the_echo(a_module)
    a_module.detect(seconds=120)
    HOST.run_for(0.1)
    return a_module


def values_shown(module: OpenModule) -> list[str]:
    return [module.cell("valueTable", row, 1) for row in range(module.ui.valueTable.rowCount)]


def curve_shown(module: OpenModule) -> list[str]:
    return [module.cell("frameTable", row, 4) for row in range(module.ui.frameTable.rowCount)]


# --- choosing ---


def test_a_clip_is_used_whole_unless_the_frame_is_chosen(a_module) -> None:
    open_the_echo(a_module)
    box = a_module.ui.targetSelector
    assert [box.itemText(number) for number in range(box.count)] == ["All 30 frames of the clip", "The frame shown"]
    assert a_module.panel.inputs.picture() == {"clip": True}
    box.setCurrentIndex(1)
    assert a_module.panel.inputs.picture() == {}
    assert a_module.ui.detectButton.enabled
    a_module.parameters.inputVolume = an_image_in_the_scene()
    HOST.app.processEvents()
    assert [box.itemText(number) for number in range(box.count)] == ["The image"]
    assert "Only a clip" in box.toolTip


def test_the_section_of_the_clip_is_shown_for_clips_only(a_module) -> None:
    a_module.parameters.inputVolume = an_image_in_the_scene(spacing=0.5)
    HOST.app.processEvents()
    a_module.detect()
    assert a_module.result is not None
    assert not a_module.ui.clipSection.isVisible()
    assert not a_module.ui.plotButton.enabled
    assert "\n\n" in a_module.ui.plotButton.toolTip


def test_a_cancelled_clip_leaves_the_scene_as_it_was(a_module, monkeypatch) -> None:
    open_the_echo(a_module)
    monkeypatch.setattr(a_module.logic.engine, "detect_clip", a_slow_request(a_module.logic.engine))
    before = HOST.scene.GetNumberOfNodes()
    a_module.press()
    assert a_module.logic.isBusy
    assert a_module.ui.detectButton.text == "Cancel"
    HOST.run_for(0.3)
    a_module.press()
    HOST.wait_until(lambda: not a_module.logic.isBusy, 20)
    assert HOST.scene.GetNumberOfNodes() == before
    assert "Cancelled" in a_module.ui.statusLabel.text


def a_slow_request(engine):
    detect_clip = type(engine).detect_clip

    def slow(clip, scheme, model="lite", *, device="auto"):
        return detect_clip(engine, clip, scheme, model, device="slow")

    return slow


# --- frames ---


def test_a_row_a_slider_and_a_point_of_the_plot_go_to_their_frame(a_module_with_a_clip) -> None:
    module = a_module_with_a_clip
    assert module.ui.frameTable.rowCount == FRAMES
    module.ui.frameTable.selectRow(7)
    assert module.panel.clip.review.frame == 7
    assert module.ui.frameSlider.value == 7
    assert "Frame 7 of 30" in module.ui.frameLabel.text
    assert module.review.landmarks.frame == 7
    module.ui.frameSlider.setValue(20)
    assert module.ui.frameTable.currentRow() == 20
    module.ui.plotButton.click()
    view = HOST.app.views.plot_view
    assert view.view_node.GetPlotChartNode() is module.review.plot.node
    view.click(module.review.plot.series["LV long axis"], 3)
    assert module.review.frame == 3
    assert module.ui.frameSlider.value == 3


def test_the_clip_plays_with_its_landmarks(a_module_with_a_clip) -> None:
    module = a_module_with_a_clip
    module.review.go_to(0)
    seen = set()
    module.ui.playButton.click()
    assert module.ui.playButton.text == "Stop"

    def is_far() -> bool:
        seen.add((module.review.frame, module.review.landmarks.frame))
        return len(seen) > 4

    HOST.wait_until(is_far, 30)
    module.ui.playButton.click()
    assert module.ui.playButton.text == "Play"
    assert all(frame == shown for frame, shown in seen)
    stopped = module.review.frame
    HOST.run_for(0.2)
    assert module.review.frame == stopped


def test_controls_that_need_a_corrected_frame_say_so(a_module_with_a_clip) -> None:
    module = a_module_with_a_clip
    assert not module.ui.revertFrameButton.enabled
    assert "Nobody has corrected" in module.ui.revertFrameButton.toolTip
    module.review.accept_all_confident()
    assert module.ui.revertFrameButton.enabled
    module.ui.revertFrameButton.click()
    assert not module.ui.revertFrameButton.enabled
    assert module.review.track.key_frames == ()
    module.ui.undoButton.click()
    assert module.review.track.key_frames == (module.review.frame,)


def test_the_frame_shown_can_be_detected_alone(a_module) -> None:
    open_the_echo(a_module)
    a_module.ui.targetSelector.setCurrentIndex(1)
    a_module.detect()
    assert a_module.result is not None, a_module.ui.statusLabel.text
    assert a_module.result.GetName() == "MedLandmarkEchoClip a4c-4 frame 0"
    assert a_module.panel.clip.review is None


def test_a_script_detects_a_clip_and_waits_for_it(a_module) -> None:
    import SampleData

    from MedLandmarkLib.errors import ImageError
    from MedLandmarkLib.mrml import track_of

    (volume,) = SampleData.downloadSample("MedLandmarkEchoClip")
    node = a_module.widget.logic.detect(volume, A4C.id, clip=True)
    assert len(track_of(HOST.scene, node)) == FRAMES
    with pytest.raises(ImageError, match="not a frame of a volume sequence"):
        a_module.widget.logic.detect(an_image_in_the_scene(), A4C.id, clip=True)


def test_a_correction_is_followed_in_a_blink(a_module_with_a_clip) -> None:
    module = a_module_with_a_clip
    module.review.go_to(CORRECTED)
    place, spent = module.point(0), []
    HOST.app.pauseRender()  # drawing the views is Slicer's part, and done by the processor here
    for step in range(1, 5):
        began = time.process_time()
        module.result.SetNthControlPointPositionWorld(0, *(place + [step, 0.0, 0.0]))
        spent.append(time.process_time() - began)
    HOST.app.resumeRender()
    print(f"a correction in a clip of {FRAMES} frames: {1000 * min(spent):.0f} ms of processor")
    assert module.review.track.key_frames == (CORRECTED,)
    assert min(spent) < 0.5


# --- the whole way ---

EMBEDDED = REPOSITORY / "Resources" / "Models" / "lite" / "card.json"


@pytest.mark.skipif(not EMBEDDED.is_file(), reason="the weights of the embedded model are not in Resources/Models/lite")
def test_the_packaged_clip_with_the_embedded_model_from_end_to_end(monkeypatch, tmp_path: Path) -> None:
    """Detect, play, correct frame 12, plot, export, save, clear, load."""
    from MedLandmarkLib.engine import EngineClient

    python = os.environ.get("MEDLANDMARK_PYTHON") or sys.executable
    monkeypatch.setenv("MEDLANDMARK_PYTHON", python)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    module = OpenModule(HOST, EngineClient(python, environment=environment, hang_after_s=240))
    try:
        open_the_echo(module)
        progress = []
        module.logic.progressed.connect(lambda fraction, text: progress.append(fraction))
        module.detect(seconds=240)
        HOST.run_for(0.2)
        play_the_user(module, tmp_path)
        assert len(progress) > 2
        assert progress == sorted(progress)
    finally:
        module.close()


def play_the_user(module: OpenModule, tmp_path: Path) -> None:
    ui, pictures = module.ui, artefacts()
    assert module.result is not None, ui.statusLabel.text
    assert ui.frameTable.rowCount == FRAMES
    for frame in (0, 8, 29):  # played: pictures and landmarks go together
        ui.frameSlider.setValue(frame)
        HOST.run_for(0.05)
        assert module.review.landmarks == module.review.track.frames[frame]

    # Correct frame 12 by hand.
    ui.frameSlider.setValue(CORRECTED)
    number, values, curve = A4C.index("lv_apex"), values_shown(module), curve_shown(module)
    HOST.app.views.resetSliceViews()
    HOST.run_for(0.1)
    place = module.point(number)
    HOST.app.views.hand().drag(place, place + [3.0, 10.0, 0.0])
    HOST.run_for(0.1)
    assert module.review.track.key_frames == (CORRECTED,)
    assert module.review.landmarks["lv_apex"].status is Status.EDITED
    assert module.cell("landmarkTable", number, 1) == "edited"
    corrected = curve_shown(module)
    assert corrected[CORRECTED] != curve[CORRECTED]
    assert corrected[CORRECTED + 1] != curve[CORRECTED + 1]  # a neighbour follows
    assert module.cell("frameTable", CORRECTED, 3) == "1"
    assert f"Corrected frames: {CORRECTED}" in ui.clipSummary.text
    ui.undoButton.click()
    assert (curve_shown(module), values_shown(module)) == (curve, values)
    ui.redoButton.click()
    assert curve_shown(module) == corrected

    ui.plotButton.click()
    HOST.run_for(0.1)
    plot = HOST.app.views.plot_view
    plot.save_picture(pictures / "clip-plot.png")
    HOST.app.views.save_picture(pictures / "clip-view.png")
    HOST.save_panel(module.module, pictures / "clip-panel.png")
    picture = plot.picture()
    blue = np.abs(picture.astype(int) - (0, 115, 178)).max(axis=2) < 40
    assert bool(blue.any()) == bool(module.review.measurement.beats)  # the marks of end-diastole

    module.parameters.exportFolder = str(tmp_path / "out")
    HOST.app.processEvents()
    ui.exportButton.click()
    written = sorted(path.name.split(".", 1)[1] for path in (tmp_path / "out").iterdir())
    assert written == ["csv", "curves.csv", "landmarks.json", "mrk.json", "summary.json"], ui.exportLabel.text
    summary = json.loads(next((tmp_path / "out").glob("*.summary.json")).read_text(encoding="utf-8"))
    assert summary["key_frames"] == [CORRECTED]

    # Save, clear, load: all is as it was.
    before = (track_to_fields(module.review.track), module.review.landmarks, values_shown(module), curve_shown(module))
    assert slicer.util.saveScene(str(tmp_path / "clip.mrb"))
    HOST.scene.Clear(False)
    HOST.run_for(0.1)
    assert not ui.clipSection.isVisible()
    slicer.util.loadScene(str(tmp_path / "clip.mrb"))
    HOST.run_for(0.2)
    after = (track_to_fields(module.review.track), module.review.landmarks, values_shown(module), curve_shown(module))
    assert after == before
    assert module.review.frame == CORRECTED
    module.ui.revertFrameButton.click()
    assert module.review.track.key_frames == ()
    assert curve_shown(module) == curve
