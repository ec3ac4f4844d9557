"""The small reference models as files that a user has, and ways to import and to spoil them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from MedLandmarkLib.models import store
from MedLandmarkLib.models.catalogue import ModelCard
from MedLandmarkLib.models.checkpoint import read_tensors

UNIVERSAL = "best_EPE_epoch_199.pth"
HEAD = "head/best_EPE_epoch_200.pth"
BASE = "sapiens_tiny_epoch_1600_clean.pth"
EVEN_BASE = "sapiens_tiny_epoch_1600_clean_evenpos.pth"
ARCHITECTURE = '{"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]}'


class ReferenceImport:
    """Imports reference files by name, as the command line would; other files by their paths."""

    def __init__(self, weights: Path, folder: Path) -> None:
        self._weights = weights
        self._architecture = folder / "architecture.json"
        self._architecture.write_text(ARCHITECTURE, encoding="utf-8")

    def __call__(
        self, *names: str | Path, model_id: str | None = "tiny", base: str | Path | None = BASE, **more: object
    ) -> list[ModelCard]:
        more.setdefault("architecture", self._architecture)
        files = [self._weights / name for name in names]
        return store.import_model(files, model_id, base=self._weights / base if base else None, **more)


class AlteredFile:
    """Writes a copy of a reference checkpoint whose tensors went through a function."""

    def __init__(self, weights: Path, folder: Path) -> None:
        self._weights = weights
        self._folder = folder

    def __call__(self, name: str, change: Callable[[dict], dict], file_name: str = "altered.pth") -> Path:
        tensors = {key: tensor.clone() for key, tensor in read_tensors(self._weights / name).items()}
        torch.save({"state_dict": change(tensors)}, self._folder / file_name)
        return self._folder / file_name


def everything_in(folder: Path) -> set[str]:
    """Paths of all files and folders below `folder`, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()
