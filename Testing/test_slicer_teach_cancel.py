"""A teaching of the panel that is cancelled, does not end, dies, or has a detection beside it."""

from __future__ import annotations

import os
from pathlib import Path

from slicer_module import HOST
from teach_section import PLACES, a_folder, fill_in, open_module, reason

__all__ = ["a_folder", "open_module"]


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
