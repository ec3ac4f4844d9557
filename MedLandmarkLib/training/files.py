"""The files of a training run: replaced whole, and read back with a plain word where they are damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import DatasetError
from ..models.catalogue import Weights
from ..models.folder import WEIGHTS_NAME
from ..models.tensors import write_tensors
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


def write_weights(folder: Path, tensors: Mapping[str, torch.Tensor], base_sha256: str | None = None) -> Weights:
    """Write a model's weights into its folder, made where it is not there; what its card says of the file.

    base_sha256: of the base that they complete; it stands in the file too, so that the file's own hash identifies the
    whole network. Raises ModelError where the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = {"base_sha256": base_sha256} if base_sha256 else {}
    with replacing(folder / WEIGHTS_NAME) as partial:
        sha256 = write_tensors(partial, {name: tensor.detach().cpu() for name, tensor in tensors.items()}, note)
        return Weights(WEIGHTS_NAME, sha256, partial.stat().st_size, base_sha256)


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
