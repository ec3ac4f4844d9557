"""Weight files of every kind, whole and broken."""

from __future__ import annotations

import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.checkpoint import read_tensors

FIRST_ADAPTER_TENSOR = "backbone.module.layers.0.attn.qkv.lora_down.weight"


@pytest.mark.parametrize(("name", "rows"), [("", 4097), ("_evenpos", 4096)])
def test_both_forms_of_the_base_file_are_read(the_weights: Path, name: str, rows: int) -> None:
    tensors = read_tensors(the_weights / f"sapiens_tiny_epoch_1600_clean{name}.pth")
    assert tensors["pos_embed"].shape == (1, rows, 64)
    assert tensors["layers.2.attn.qkv.weight"].shape == (192, 64)
    assert ("cls_token" in tensors) == (rows == 4097)


@pytest.mark.parametrize(("name", "keypoints"), [("best_EPE_epoch_199.pth", 88), ("head/best_EPE_epoch_200.pth", 19)])
def test_a_training_checkpoint_that_torch_refuses_is_read(the_weights: Path, name: str, keypoints: int) -> None:
    with pytest.raises(pickle.UnpicklingError):
        torch.load(the_weights / name, weights_only=True)
    tensors = read_tensors(the_weights / name)
    assert len(tensors) == 20
    assert tensors["head.final_layer.weight"].shape == (keypoints, 48, 1, 1)
    with zipfile.ZipFile(the_weights / name) as archive:
        raw = np.frombuffer(archive.read("archive/data/0"), np.float32)
    assert np.array_equal(tensors[FIRST_ADAPTER_TENSOR].numpy().ravel(), raw)


def test_safetensors_old_torch_files_and_nested_dictionaries_are_read(the_weights: Path, tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3.0)}
    save_file(tensors, tmp_path / "weights.safetensors")
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "nested.pth")
    for name in ("weights.safetensors", "old.pth", "nested.pth"):
        found = read_tensors(tmp_path / name)
        assert set(found) == {"a", "b"}
        assert torch.equal(found["a"], tensors["a"]), name


def test_the_name_of_a_file_is_not_believed(the_weights: Path, tmp_path: Path) -> None:
    disguised = tmp_path / "photo.jpg"
    disguised.write_bytes((the_weights / "best_EPE_epoch_199.pth").read_bytes())
    assert len(read_tensors(disguised)) == 20


def test_views_half_precision_and_odd_storages_survive_the_strict_reader(tmp_path: Path) -> None:
    whole = torch.arange(24, dtype=torch.float32)
    state = OrderedDict(
        half=torch.ones(3, dtype=torch.float16),
        brain=torch.full((2,), 1.5, dtype=torch.bfloat16),
        view=whole.reshape(4, 6).t()[1:3],
        empty=torch.empty(0, 4),
        count=torch.tensor(7),
        parameter=torch.nn.Parameter(torch.ones(2)),
    )
    torch.save({"state_dict": state, "log": _mmengine_like()}, tmp_path / "c.pth")
    found = read_tensors(tmp_path / "c.pth")
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        name: tensor.dtype for name, tensor in state.items()
    }
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor.detach()), name


def _mmengine_like() -> object:
    """Something that torch.load(weights_only=True) refuses and the strict reader takes as a placeholder."""
    return np.arange(3)


def test_a_file_cut_anywhere_is_refused_in_one_plain_line(the_weights: Path, tmp_path: Path) -> None:
    random.seed(1)
    for name in ("best_EPE_epoch_199.pth", "sapiens_tiny_epoch_1600_clean.pth"):
        whole = (the_weights / name).read_bytes()
        for cut in (1, 3, 10, 100, len(whole) - 1, *(random.randrange(len(whole)) for _ in range(25))):
            path = tmp_path / "cut.pth"
            path.write_bytes(whole[:cut])
            with pytest.raises(ModelError, match=r"cut\.pth") as caught:
                read_tensors(path)
            assert "\n" not in str(caught.value)


def test_a_flipped_byte_never_changes_a_weight_in_silence(the_weights: Path, tmp_path: Path) -> None:
    random.seed(2)
    original = the_weights / "head" / "best_EPE_epoch_200.pth"
    whole = original.read_bytes()
    expected = {name: tensor.clone() for name, tensor in read_tensors(original).items()}
    refused = 0
    for number in range(60):
        broken = bytearray(whole)
        broken[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        path = tmp_path / f"flipped-{number}.pth"
        path.write_bytes(broken)
        try:
            found = read_tensors(path)
        except ModelError:
            refused += 1
            continue
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert refused > 40, "most bytes of the file are weights, and a checksum stands over each"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>", "web page"),
        (b"\n  <html lang='en'>", "web page"),
        (b"\xef\xbb\xbf<HTML>", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"hello, I am a text file\n", "neither"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "neither"),
        (b"PK\x03\x04" + bytes(200), "truncated"),
        (b"\x80\x02}q\x00.", "refuses|format|no weights"),
        (struct.pack("<Q", 50) + b"{" + b" " * 20, "damaged"),
        (struct.pack("<Q", 1 << 62) + b"{}", "damaged"),
    ],
)
def test_what_is_not_weights_is_named_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_tensors(path)
    assert "weights.pth" in str(caught.value)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_tensors(tmp_path)
    with pytest.raises(ModelError, match=r"no file .*gone\.pth"):
        read_tensors(tmp_path / "gone.pth")


def test_a_torchscript_program_is_refused_before_torch_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "model_torchscript.pt2"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(ModelError, match="TorchScript"):
        read_tensors(path)


def test_a_checkpoint_without_tensors_lists_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "name": "x"}, tmp_path / "c.pth")
    with pytest.raises(ModelError, match="no weights, only epoch, name"):
        read_tensors(tmp_path / "c.pth")
    torch.save(torch.ones(3), tmp_path / "t.pth")
    with pytest.raises(ModelError, match="not a dictionary"):
        read_tensors(tmp_path / "t.pth")


def test_a_compressed_torch_file_is_not_unpacked_into_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(50_000_000))
    with pytest.raises(ModelError, match="compressed"):
        read_tensors(bomb)
