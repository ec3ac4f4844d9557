"""The library's own weight files: what is written is what is read."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.tensors import TensorFile, write_tensors

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text("abc.0", min_size=1, max_size=8),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)),
        max_size=6,
    ).filter(lambda tensors: "__metadata__" not in tensors)
)
def test_what_is_written_is_what_is_read(tmp_path_factory, shapes: dict) -> None:
    tensors = {
        name: (torch.rand(shape) * 9 if shape else torch.rand(()) * 9).to(dtype)
        for name, (dtype, shape) in shapes.items()
    }
    path = tmp_path_factory.mktemp("written") / "w.safetensors"
    sha256 = write_tensors(path, tensors, {"base_sha256": "x"})
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    opened = TensorFile(path)
    assert opened.note == {"base_sha256": "x"}
    for found in (load_file(path), opened.mapped(), {name: opened.read(name) for name in opened.names}):
        assert set(found) == set(tensors)
        for name, tensor in tensors.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)
            assert opened.shape(name) == tuple(tensor.shape) == tuple(opened.blank(name).shape)


def test_the_same_tensors_give_the_same_file_whatever_their_order(tmp_path: Path) -> None:
    one = write_tensors(tmp_path / "1", {"a": torch.ones(3), "b": torch.zeros(2)})
    two = write_tensors(tmp_path / "2", {"b": torch.zeros(2), "a": torch.ones(3)})
    assert one == two
    assert write_tensors(tmp_path / "3", {"a": torch.ones(3), "b": torch.zeros(2)}, {"x": 1}) != one


def test_a_stored_file_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match=r"w\.safetensors is damaged"):
        TensorFile(path)
    with pytest.raises(ModelError, match="is not there"):
        TensorFile(tmp_path / "gone.safetensors")


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(io.BytesIO(b"mine").getvalue())
    with pytest.raises(FileExistsError):
        write_tensors(path, {"a": torch.ones(1)})
    assert path.read_bytes() == b"mine"
