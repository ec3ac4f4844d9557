"""Tensors out of a torch archive whose pickle torch itself will not read, without running anything the pickle names.

Checkpoints of the mmengine family carry logs and dataset descriptions beside the weights: mmengine and numpy objects
that `torch.load(weights_only=True)` refuses. Here the pickle is interpreted against a fixed list. Tensors and ordered
dictionaries are built; the listed others become inert placeholders; anything else stops the reading. No name is ever
looked up, so nothing in the file can be called: `getattr`, for one, is a placeholder too.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..errors import ModelError


class Inert:
    """Stands where the file had an object that MedLandmark does not need. It holds nothing and does nothing."""

    __slots__ = ()


class _Global:
    """A name in the pickle. `make` is the only thing that a call in the pickle can reach."""

    __slots__ = ("dtype", "make")

    def __init__(self, make: Callable[..., Any], dtype: torch.dtype | None = None) -> None:
        self.make = make
        self.dtype = dtype


def _make_inert(*_: Any) -> Inert:
    return Inert()


_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_INERT = {
    *(f"{module}.{name}" for module in ("__builtin__", "builtins") for name in (
        "getattr", "bytes", "bytearray", "set", "frozenset", "complex", "slice", "range", "object", "list", "dict",
        "tuple", "int", "float", "bool", "str",
    )),
    "_codecs.encode",
    "copy_reg._reconstructor",
    "copyreg._reconstructor",
    "collections.defaultdict",
    "collections.Counter",
    "collections.deque",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    *(f"torch.{name}" for name in ("float16", "float32", "float64", "bfloat16", "int64", "int32", "uint8", "bool")),
}  # fmt: skip
# the opcodes that build plain values; those that reach classes in other ways (INST, OBJ, EXT, PERSID) are left out
_PLAIN_OPCODES = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1",
    "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING",
    "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET",
    "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINPERSID", "GLOBAL", "STACK_GLOBAL",
)  # fmt: skip


def _known(module: str, name: str) -> _Global | None:
    """What a name in a pickle stands for here; None where it is not in the list."""
    full = f"{module}.{name}"
    if full == "collections.OrderedDict":
        return _Global(OrderedDict)
    if full == "torch._utils._rebuild_tensor_v2":
        return _Global(_rebuild_tensor)
    if full == "torch._utils._rebuild_parameter":
        return _Global(lambda data, *_: data)
    if module in ("torch", "torch.storage") and name in _STORAGES:
        return _Global(_make_inert, _STORAGES[name])
    if full in _INERT or module.split(".")[0] == "mmengine":
        return _Global(_make_inert)
    return None


class _TensorUnpickler(pickle._Unpickler):  # the C one offers no way to replace what REDUCE, NEWOBJ and BUILD do
    def __init__(self, stream: io.BytesIO, load_storage: Callable[[torch.dtype, str, int], torch.Tensor]) -> None:
        super().__init__(stream, encoding="latin1")
        self._load_storage = load_storage

    def find_class(self, module: str, name: str) -> _Global:
        found = _known(module, name)
        if found is None:
            raise ModelError(f"it refuses to run '{module}.{name}', which the file asks for")
        return found

    def persistent_load(self, key: Any) -> torch.Tensor:
        kind, storage, record, _, count = key
        if kind != "storage" or not isinstance(storage, _Global) or storage.dtype is None:
            raise ValueError(f"unknown persistent id {kind!r}")
        return self._load_storage(storage.dtype, str(record), int(count))

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        made_by = self.stack[-1]
        if not isinstance(made_by, _Global) or not isinstance(arguments, tuple):
            raise ValueError("a call of something that is not a name")
        self.stack[-1] = made_by.make(*arguments)

    def load_newobj(self) -> None:
        self.stack.pop()
        if not isinstance(self.stack[-1], _Global):
            raise ValueError("an instance of something that is not a class")
        self.stack[-1] = Inert()

    def load_build(self) -> None:
        self.stack.pop()  # attributes (module versions, log contents) are not needed

    dispatch: ClassVar = {
        **{getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _PLAIN_OPCODES},
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
    }


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    if not isinstance(storage, torch.Tensor):
        raise ValueError("a tensor without storage")
    return torch.as_strided(storage, size, stride, offset)  # raises where it would leave the storage


def read_torch_archive(path: Path) -> Any:
    """The object in a torch zip archive, its tensors mapped from the file. Nothing in the pickle is executed.

    Raises ModelError where the pickle names something outside the list, or is malformed.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            pickle_name = next(name for name in archive.namelist() if re.fullmatch(r"([^/]+/)?data\.pkl", name))
            root = pickle_name[: -len("data.pkl")]
            if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
                raise ModelError("its numbers are stored big endian: save it again on an ordinary computer")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)

            def load_storage(dtype: torch.dtype, record: str, count: int) -> torch.Tensor:
                entry = archive.getinfo(f"{root}data/{record}")
                if count * dtype.itemsize > entry.file_size or count < 0:
                    raise ValueError(f"record {record} is shorter than it says")
                if math.prod((count,)) == 0:
                    return torch.empty(0, dtype=dtype)
                # the local header repeats the name and has an extra field of its own length (APPNOTE 4.3.7)
                name_length, extra_length = struct.unpack_from("<HH", mapped, entry.header_offset + 26)
                start = entry.header_offset + 30 + name_length + extra_length
                return torch.frombuffer(mapped, dtype=dtype, count=count, offset=start)

            return _TensorUnpickler(io.BytesIO(archive.read(pickle_name)), load_storage).load()
    except ModelError as error:
        raise ModelError(
            f"{path.name} was not read: {error}. If you trust where it comes from, save only its weights: "
            "safetensors.torch.save_file(checkpoint['state_dict'], 'weights.safetensors')."
        ) from None
    except Exception as error:  # hostile bytes fail in any way there is
        raise ModelError(
            f"{path.name} is damaged: its list of tensors cannot be read ({error}). Download it again."
        ) from error


def first_forbidden_name(data: bytes) -> str | None:
    """The first name outside the list in a row of pickles, for an error message; None where none is to be seen."""
    stream = io.BytesIO(data)
    strings: list[str] = []
    try:
        while stream.tell() < len(data):
            for opcode, argument, _ in pickletools.genops(stream):
                name: tuple[str, str] | None = None
                if opcode.name in ("GLOBAL", "INST"):
                    module, _, attribute = str(argument).partition(" ")
                    name = module, attribute
                elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                    name = strings[-2], strings[-1]
                elif isinstance(argument, str):
                    strings.append(argument)
                if name and _known(*name) is None:
                    return ".".join(name)
    except (ValueError, IndexError):  # not a pickle, or cut short, or the raw numbers behind it: nothing to name
        return None
    return None
