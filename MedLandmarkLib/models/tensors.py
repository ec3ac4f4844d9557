"""Reading and writing safetensors files one tensor at a time.

A backbone is 1.2 GB. The usual helpers hold a second copy of it while they write, and map every page while they read.
Here a file is written and hashed as a stream, and a tensor can be read into memory of its own, which matters for those
that LoRA rewrites. The format is a length (8 bytes, little endian), a JSON header, and the raw values
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..errors import ModelError

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library itself


def write_tensors(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    note: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Writes `tensors` to a new safetensors file at `path` and returns the file's sha256.

    `note` is kept in the header, so that the hash covers it too. The same tensors and note give the same bytes.
    `progress` gets the number of bytes of each tensor. The caller writes to a temporary name and renames.
    """
    header: dict[str, Any] = {"__metadata__": {"medlandmark": json.dumps(note or {}, sort_keys=True)}}
    # widest type first, then by name: every tensor stays aligned to its own width
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    offset = 0
    for name in names:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    digest = hashlib.sha256()
    with path.open("xb") as stream:
        for block in (struct.pack("<Q", len(head)), head):
            digest.update(block)
            stream.write(block)
        for name in names:
            block = _bytes_of(tensors[name])
            digest.update(block)
            stream.write(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    _require_little_endian()
    return memoryview(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())


def _require_little_endian() -> None:
    if sys.byteorder != "little":
        raise ModelError("Weights are stored little endian; this machine is big endian, which is not supported.")


class TensorFile:
    """A safetensors file, checked on opening: names, shapes and types are known without reading any values."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError where the file is missing, truncated, or not safetensors."""
        self.path = path
        try:
            # the library's own reader checks that the offsets neither overlap nor leave the file
            with safe_open(path, framework="pt") as checked:
                checked.keys()
            with path.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                header = json.loads(stream.read(min(length, _LONGEST_HEADER)))
        except FileNotFoundError as error:
            raise ModelError(f"{path} is not there. Import or download the model again.") from error
        except (SafetensorError, OSError, ValueError, struct.error) as error:
            raise ModelError(
                f"{path} is damaged or not a safetensors file ({error}). Download it again or copy it again."
            ) from error
        metadata = header.pop("__metadata__", None) or {}
        self.note: dict[str, Any] = json.loads(metadata.get("medlandmark", "{}"))
        self._entries: dict[str, dict[str, Any]] = header
        self._start = 8 + length
        for name, entry in header.items():
            if entry["dtype"] not in DTYPES:
                raise ModelError(f"{path}: tensor '{name}' has type {entry['dtype']}, which MedLandmark cannot use.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._entries[name]["shape"])

    def blank(self, name: str) -> torch.Tensor:
        """A tensor of the right shape and type that holds no memory."""
        return torch.empty(self.shape(name), dtype=DTYPES[self._entries[name]["dtype"]], device="meta")

    def read(self, name: str) -> torch.Tensor:
        """The tensor in memory of its own."""
        _require_little_endian()
        entry = self._entries[name]
        tensor = torch.empty(entry["shape"], dtype=DTYPES[entry["dtype"]])
        if math.prod(entry["shape"]):
            with self.path.open("rb") as stream:
                stream.seek(self._start + entry["data_offsets"][0])
                target = memoryview(tensor.view(-1).view(torch.uint8).numpy())
                if stream.readinto(target) != len(target):
                    raise ModelError(f"{self.path} became shorter while it was read. Import the model again.")
        return tensor

    def mapped(self) -> dict[str, torch.Tensor]:
        """All tensors, mapped: the system reads their pages when they are first used. Do not write to them."""
        with safe_open(self.path, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in self.names}
