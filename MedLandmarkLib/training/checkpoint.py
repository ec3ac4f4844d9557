"""Writing what a training must not lose: whole or not at all, and with a plain word when the disk is full."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError

# A disk, a quota or a limit on the size of files that is used up.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How torch's writer begins the RuntimeError that it makes of a write that failed; the reason itself is lost.
_FAILED_WRITE = ("PytorchStreamWriter failed", "[enforce fail at inline_container")
_HEADERS = 1 << 16  # bytes of a checkpoint besides its tensors, about


def checkpoint_bytes(state: Any) -> int:
    """How much room a state needs on the disk: the bytes of all tensors in nested dicts and lists."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    parts = state.values() if isinstance(state, Mapping) else state if isinstance(state, (list, tuple)) else ()
    return sum(checkpoint_bytes(part) for part in parts)


def ensure_room(folder: Path, needed: int) -> None:
    """Raise ModelError, before a long run begins, where the disk of `folder` has less than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_room(folder, needed, free)


def save_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write `state` so that `path` holds the old checkpoint or the new one, and never half of one.

    A file that could not be finished is removed. Raises ModelError that says how much room was needed and how much
    there was.
    """
    partial = path.with_name(path.name + ".part")
    with disk_errors_told(path, checkpoint_bytes(state) + _HEADERS):
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())  # a machine that goes down after the exchange must find the new one whole
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def disk_errors_told(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn what the disk says while `path` is written into ModelError; needed: bytes, where that is known.

    Whatever was written before stays as it was, so that a run can be resumed once there is room.
    """
    try:
        yield
    except (OSError, RuntimeError) as failure:
        is_full = isinstance(failure, OSError) and failure.errno in _FULL
        if isinstance(failure, RuntimeError):
            is_full = str(failure).startswith(_FAILED_WRITE)
            if not is_full:
                raise
        if not is_full:
            raise ModelError(f"{path}: cannot be written ({failure.strerror or failure}).") from failure
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        raise _no_room(path, needed, free) from failure


def _no_room(path: Path, needed: int, free: int) -> ModelError:
    wanted = f"{_megabytes(needed)} are needed and " if needed else ""
    return ModelError(
        f"{path}: the disk is full: {wanted}{_megabytes(free)} are free. Free some, then run the same command again: "
        "it goes on where the last checkpoint was written."
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
