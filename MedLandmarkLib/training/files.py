"""The files of a training run: replaced whole, and read back with a plain word where they are damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import DatasetError
from .checkpoint import disk_errors_told


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`, which takes its place when the block ends well; else nothing changes.

    Raises ModelError that says so where the disk is full or refuses.
    """
    partial = path.with_name(path.name + ".part")
    with disk_errors_told(path):
        try:
            partial.unlink(missing_ok=True)
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """What `save_checkpoint` wrote; None where there is no file. Raises DatasetError where it is damaged."""
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # damaged bytes fail in any way there is
        raise DatasetError(
            f"{path} is damaged and cannot be resumed from ({type(error).__name__}). Delete it to begin the run anew."
        ) from error
