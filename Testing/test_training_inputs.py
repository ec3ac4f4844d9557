"""What is refused before a training takes its first step, and what a full disk leaves behind."""

from __future__ import annotations

import errno
import io
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from dataset_files import SHAPE, SIZE_WH, write_folder

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.training.canvases import Task, lay_all, lay_canvases
from MedLandmarkLib.training.checkpoint import checkpoint_bytes, disk_errors_told, ensure_room, save_checkpoint

HEATMAP_WH = (17, 17)


@pytest.fixture
def a_task(tmp_path: Path) -> Task:
    cases = read_dataset(write_folder(tmp_path / "faces", count=5)).cases
    return Task("faces", tuple(SHAPE), cases, "reader", slice(0, len(SHAPE)), (65, 65), 1.05)


def with_case(task: Task, number: int, **changes: object) -> Task:
    cases = list(task.cases)
    cases[number] = replace(cases[number], **changes)
    return replace(task, cases=tuple(cases))


def test_every_case_is_laid_with_its_millimetres(a_task: Task) -> None:
    canvases = lay_canvases(a_task, HEATMAP_WH)
    assert canvases.pictures.shape == (5, 1, 65, 65) and canvases.canvas_xy.shape == (5, 6, 2)
    assert torch.isfinite(canvases.mm_per_px).all()


def test_one_report_lists_every_fault_of_every_dataset(a_task: Task, tmp_path: Path) -> None:
    broken = a_task.cases[0].image_path
    broken.write_bytes(broken.read_bytes()[:200])
    volume = sitk.GetImageFromArray(np.zeros(SIZE_WH[::-1], np.uint8)[None])
    volume.SetSpacing((0.5, 0.5, 1.0))
    sitk.WriteImage(volume, str(tmp_path / "other.nrrd"))
    task = with_case(a_task, 1, size=(12, 80))
    task = with_case(task, 2, image_path=tmp_path / "other.nrrd")
    task = with_case(task, 3, points={"reader": {"nose": (float("nan"), 1.0)}})
    task = with_case(task, 4, points={})
    empty = replace(a_task, scheme_id="empty", cases=())
    with pytest.raises(DatasetError) as refused:
        lay_all([(task, HEATMAP_WH), (empty, HEATMAP_WH)])
    lines = str(refused.value).splitlines()
    assert "5 faults in the 5 cases for faces, which cannot be used" in lines[0]
    expected = (
        "c00",
        "is 96 x 80 px, the dataset says 12 x 80",
        "two spacings",
        "'nose' lies at (nan, 1.0)",
        "read none of",
        "There is no case at all for empty",
    )
    for line, text in zip(lines[1:], expected, strict=True):
        assert text in line


def test_errors_are_in_pixels_where_one_image_has_no_spacing(a_task: Task) -> None:
    canvases = lay_canvases(with_case(a_task, 2, spacing_mm=None), HEATMAP_WH)
    assert canvases.mm_per_px.isnan().all()


def test_a_folder_with_many_faults_lists_them_all(tmp_path: Path) -> None:
    def spoil(cases: list[dict], landmarks: list[dict], description: dict) -> None:
        cases[0]["file"] = "images/gone.png"
        cases[1]["spacing_x_mm"] = "wide"
        landmarks[20]["x"] = "nan"
        landmarks[25]["x_mm"] = 99.0
        description["splits"] = {"test": []}

    with pytest.raises(DatasetError) as refused:
        read_dataset(write_folder(tmp_path, count=5, change=spoil))
    text = str(refused.value)
    assert "5 faults" in text
    for part in ("gone.png", "spacing_x_mm is 'wide'", "x is 'nan'", "origin + spacing", "split 'test' has no case"):
        assert part in text


class DiskThatFills:
    """A file of which the disk takes the first bytes only."""

    def __init__(self, path: Path, code: int) -> None:
        self.file, self.code = io.FileIO(path, "w"), code

    def __enter__(self) -> DiskThatFills:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> int:
        self.file.write(bytes(data)[:10])
        raise OSError(self.code, os.strerror(self.code))

    def flush(self) -> None:
        self.file.flush()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_checkpoint_and_says_how_much_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint({"step": 1}, path)
    with monkeypatch.context() as full:
        full.setattr(Path, "open", lambda self, *_, **__: DiskThatFills(self, code))
        full.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 98, 2_000_000))
        with pytest.raises(ModelError, match=r"last\.ckpt: the disk is full: 4\.1 MB are needed and 2\.0 MB are free"):
            save_checkpoint({"weights": torch.zeros(1_000_000)}, path)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["last.ckpt"]
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_another_failure_of_the_disk_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be written \(No such file or directory\)"):
        save_checkpoint({"step": 1}, tmp_path / "nowhere" / "last.ckpt")
    with pytest.raises(RuntimeError, match="something else"), disk_errors_told(tmp_path / "log.csv"):
        raise RuntimeError("something else")


def test_room_is_asked_for_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"network": {"a": torch.zeros(10, dtype=torch.float64)}, "optimizer": [torch.zeros(5), {"step": 3}]}
    assert checkpoint_bytes(state) == 100
    ensure_room(tmp_path, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 50, 50))
    with pytest.raises(ModelError, match="are needed"):
        ensure_room(tmp_path, 100)
