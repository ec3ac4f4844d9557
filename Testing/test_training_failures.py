"""A training that cannot go on says why, keeps what it has, and is resumed exactly."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from training_files import log_rows, write_bars

from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.training import checkpoint
from MedLandmarkLib.training.checkpoint import save_checkpoint
from MedLandmarkLib.training.files import load_checkpoint
from MedLandmarkLib.training.log import TrainingLog
from MedLandmarkLib.training.losses import LOSSES
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest


@pytest.fixture
def a_dataset(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars", 6)


def a_recipe(**changes: object) -> Recipe:
    usual = {"epochs": 2, "batch_size": 2, "warmup_steps": 2, "holdout": 0.4, "start": "lite", "adapt": "norms"}
    return Recipe(**{**usual, **changes})


def trained(dataset: Path, run: Path, recipe: Recipe) -> Path:
    return train([TaskRequest.parse(f"{dataset}=fetal-head-4@65x65")], run, recipe, model_id="bars")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint_before_it(
    a_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(a_dataset, tmp_path / "straight", a_recipe())
    usual, calls = LOSSES["cross_entropy"], []

    def broken_at_step_4(*arguments: object) -> torch.Tensor:
        calls.append(None)
        return usual(*arguments) * (float("nan") if len(calls) == 4 else 1.0)

    recipe, run = a_recipe(checkpoint_every=1), tmp_path / "run"
    with monkeypatch.context() as broken, pytest.raises(DatasetError, match=r"loss became nan at step 4 of 4, on bars"):
        broken.setitem(LOSSES, "cross_entropy", broken_at_step_4)
        trained(a_dataset, run, recipe)
    state = load_checkpoint(run / "last.ckpt")
    assert state["step"] == 3 and all(tensor.isfinite().all() for tensor in state["network"].values())
    resumed = trained(a_dataset, run, recipe)
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()


def test_a_full_disk_leaves_no_half_file_and_the_run_can_be_resumed(
    a_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(a_dataset, tmp_path / "straight", a_recipe())
    run, recipe = tmp_path / "run", a_recipe(checkpoint_every=1)
    save, saved = checkpoint.torch.save, []

    def save_until_the_disk_is_full(state: object, file: BinaryIO) -> None:
        saved.append(state)
        if len(saved) < 3:
            return save(state, file)
        file.write(b"PK half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken, pytest.raises(ModelError, match=r"last\.ckpt: the disk is full"):
        broken.setattr(checkpoint.torch, "save", save_until_the_disk_is_full)
        trained(a_dataset, run, recipe)
    assert not list(run.glob("*.part"))
    assert load_checkpoint(run / "last.ckpt")["step"] == saved[1]["step"] < saved[2]["step"]
    resumed = trained(a_dataset, run, recipe)
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert [row["loss"] for row in log_rows(run)] == [row["loss"] for row in log_rows(tmp_path / "straight")]


def test_a_log_that_cannot_be_written_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = TrainingLog(tmp_path / "log.csv")
    log.write(1, 5, 0.5, {})

    def fail(path: Path, text: str, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(ModelError, match="the disk is full"):
        full.setattr(Path, "write_text", fail)
        log.write(2, 10, 0.4, {})
    assert [row["step"] for row in log_rows(tmp_path)] == ["5"]
    log.write(2, 10, 0.4, {})
    log.resume_at(9)
    assert [row["step"] for row in log_rows(tmp_path)] == ["5"]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "last.ckpt") is None
    save_checkpoint({"weights": torch.rand(500)}, tmp_path / "last.ckpt")
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[:700])
    with pytest.raises(DatasetError, match=r"last\.ckpt is damaged"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_run_is_not_continued_with_other_settings(a_dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(a_dataset, run, a_recipe(epochs=1))
    with pytest.raises(DatasetError, match=r"holds a run with batch_size 2, not 3"):
        trained(a_dataset, run, a_recipe(epochs=1, batch_size=3))
    longer = trained(a_dataset, run, a_recipe(epochs=2, patience=9))
    assert load_checkpoint(longer.parent / "last.ckpt")["step"] == 4


def test_a_checkpoint_of_an_earlier_version_is_continued(a_dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(a_dataset, run, a_recipe(epochs=1, adapt="full"))
    state = load_checkpoint(run / "last.ckpt")
    average = {f"module.{name}": tensor for name, tensor in state["average"].items()}
    earlier = {name: state[name] for name in ("network", "optimizer", "step")}
    save_checkpoint({**earlier, "average": {**average, "n_averaged": torch.tensor(2)}}, run / "last.ckpt")
    (run / "log.csv").write_text("epoch,step,seconds,loss,validation errors\r\n1,2,5,4.1,fetal-head-4 9.000\r\n")
    trained(a_dataset, run, a_recipe(adapt="full"))
    rows = log_rows(run)
    assert [row["step"] for row in rows] == ["2", "4"]
    assert rows[0]["validation errors"] == "fetal-head-4 9.000"
