"""Checkpoints that try to run something. Nothing in a file may ever run."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.checkpoint import read_tensors


@pytest.fixture
def a_marker(tmp_path: Path) -> Path:
    """A file that exists only if something hostile ran."""
    return tmp_path / "marker"


class _Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple:
        return self._call


def _hostile_objects(marker: Path) -> dict[str, object]:
    shell = f'echo ran > "{marker}"'
    return {
        "system": _Calls(os.system, shell),
        "popen": _Calls(subprocess.Popen, ["sh", "-c", shell]),
        "eval": _Calls(builtins.eval, f"open({str(marker)!r}, 'w').close()"),
        "exec": _Calls(builtins.exec, f"open({str(marker)!r}, 'w').close()"),
        "open": _Calls(builtins.open, str(marker), "w"),
        "getattr": _Calls(_Calls(builtins.getattr, os, "system"), shell),
        "torch.hub": _Calls(torch.hub.load, "somebody/repository", "model"),
        "numpy.load": _Calls(np.load, "x.npy", None, True),
        "compile": _Calls(builtins.__import__, "os"),
    }


@pytest.mark.parametrize("attack", sorted(_hostile_objects(Path("x")).keys() - {"getattr"}))
@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_a_pickle_that_calls_something_is_refused_by_name_and_nothing_runs(
    tmp_path: Path, a_marker: Path, attack: str, form: str
) -> None:
    content = {"state_dict": {"a": torch.ones(2)}, "extra": _hostile_objects(a_marker)[attack]}
    path = tmp_path / "evil.pth"
    if form == "plain":
        path.write_bytes(pickle.dumps({**content, "state_dict": {}}, protocol=4))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelError, match=r"evil\.pth.*refuses to run '\w+(\.\w+)+'"):
        read_tensors(path)
    assert not a_marker.exists()


def _text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def _torch_zip(path: Path, pickled: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(16))
    return path


def _hand_written(marker: Path) -> dict[str, bytes]:
    shell = f'echo ran > "{marker}"'.encode()
    return {
        # getattr(OrderedDict, '__init__') would give a real method if getattr were real
        "getattr then call": b"\x80\x02c__builtin__\ngetattr\nccollections\nOrderedDict\n"
        + _text(b"fromkeys") + b"\x86R" + _text(b"x") + b"\x85R.",
        "build on a class": b"\x80\x02ccollections\nOrderedDict\n}" + _text(b"__init__") + b"cos\nsystem\nsb.",
        "inst": b"(S'" + shell + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + _text(shell) + b"o.",
        "stack global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + _text(shell) + b"\x85R.",
        "newobj": b"\x80\x02cos\nsystem\n" + _text(shell) + b"\x85\x81.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent text id": b"\x80\x02Pos.system\n.",
        "call of a tensor": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        "dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x18OrderedDict.__class__.x\x93)R.",
    }  # fmt: skip


@pytest.mark.parametrize("attack", sorted(_hand_written(Path("x"))))
def test_a_hand_written_pickle_reaches_nothing(tmp_path: Path, a_marker: Path, attack: str) -> None:
    path = _torch_zip(tmp_path / "evil.pth", _hand_written(a_marker)[attack])
    with pytest.raises(ModelError, match=r"evil\.pth"):
        read_tensors(path)
    assert not a_marker.exists()


def test_getattr_in_a_checkpoint_gives_a_placeholder_and_no_attribute(tmp_path: Path) -> None:
    pickled = (
        b"\x80\x02}("
        + _text(b"f")
        + b"c__builtin__\ngetattr\nccollections\nOrderedDict\n"
        + _text(b"fromkeys")
        + b"\x86Ru."
    )
    with pytest.raises(ModelError, match="holds no weights, only f"):
        read_tensors(_torch_zip(tmp_path / "c.pth", pickled))


def test_a_tensor_that_would_read_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    storage = b"(" + _text(b"storage") + b"ctorch\nFloatStorage\n" + _text(b"0") + _text(b"cpu") + b"K\x04tQ"
    for offset, size, count in ((0, 100, 4), (3, 2, 4), (0, 4, 100)):
        stated = storage.replace(b"K\x04tQ", b"K" + bytes([count]) + b"tQ")
        tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + stated + b"K" + bytes([offset])
        tensor += b"K" + bytes([size]) + b"\x85K\x01\x85\x89" + b"ccollections\nOrderedDict\n)RtR"
        # the numpy name makes torch refuse, so that our own reader is asked
        pickled = b"\x80\x02}(" + _text(b"a") + tensor + _text(b"b") + b"cnumpy\nndarray\nu."
        with pytest.raises(ModelError, match="damaged"):
            read_tensors(_torch_zip(tmp_path / f"c{offset}{size}{count}.pth", pickled))


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=0, max_size=200))
def test_random_bytes_as_a_pickle_only_ever_give_a_plain_error(tmp_path_factory, data: bytes) -> None:
    path = _torch_zip(tmp_path_factory.mktemp("random") / "r.pth", data)
    with pytest.raises(ModelError):
        read_tensors(path)
