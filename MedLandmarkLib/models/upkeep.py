"""Checking that a model's files are what was installed, and removing models."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from .catalogue import ModelCard
from .download import BytesProgress
from .folder import (
    base_path,
    checked_id,
    disk_errors_explained,
    file_sha256,
    installed_card,
    installed_cards,
    models_folder,
    staging_folder,
    weights_path,
)
from .inventory import find_model, how_to_get


@dataclass(frozen=True)
class FileCheck:
    """One file of a model against the hash recorded when it was installed; found is None where the file is gone."""

    path: Path
    expected: str
    found: str | None

    @property
    def is_right(self) -> bool:
        return self.found == self.expected


def verify_model(model_id: str, progress: BytesProgress | None = None) -> list[FileCheck]:
    """Hashes the model's files again, its base included. Raises ModelError where it is not installed."""
    card = find_model(model_id)
    if card.weights is None:
        raise ModelError(f"Model '{model_id}' is not installed, so there is nothing to verify. {how_to_get(card)}")
    own = weights_path(card)
    files = [(own, card.weights.sha256)] if own else []
    if card.weights.base_sha256:
        files.append((base_path(card.weights.base_sha256), card.weights.base_sha256))
    if card.volume and card.folder:
        files.append((card.folder / card.volume.file, card.volume.sha256))
    total = sum(path.stat().st_size for path, _ in files if path.is_file())
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if progress:
            progress(done, total)

    return [FileCheck(path, want, file_sha256(path, count) if path.is_file() else None) for path, want in files]


def sharing_base(card: ModelCard) -> list[ModelCard]:
    """The other installed models that use the same shared base."""
    base = card.weights.base_sha256 if card.weights else None
    return [
        other
        for other in installed_cards().values()
        if base and other.id != card.id and other.weights and other.weights.base_sha256 == base
    ]


def delete_model(model_id: str, *, force: bool = False, keep_shared_base: bool = False) -> int:
    """Removes a model, and its base once nothing else uses it. Returns the bytes that were freed.

    force: also a base that other models need; they stop working. keep_shared_base: the model is about to be replaced,
    so the file of a base stays while another model needs it.
    Raises ModelError for the embedded model, for one that is not installed, and, unless `force`, for a base that other
    models need. Nothing outside the models folder is touched.
    """
    folder = models_folder() / checked_id(model_id)
    card = _card_or_none(model_id)
    if card is not None and card.is_embedded:
        raise ModelError(f"Model '{model_id}' is part of MedLandmark and cannot be deleted.")
    if card is None and not folder.exists():
        raise ModelError(f"Model '{model_id}' is not installed; nothing was deleted.")
    with disk_errors_explained(folder.parent):
        freed = _delete_unused_base(card, force, keep_shared_base) if card is not None else 0
        if folder.is_symlink():  # the link is ours, what it points to is not
            folder.unlink()
            return freed
        freed += sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
        with staging_folder(folder.parent) as staging:
            os.replace(folder, staging / folder.name)  # gone at once; a crash leaves no half model
            shutil.rmtree(staging / folder.name)
    return freed


def _card_or_none(model_id: str) -> ModelCard | None:
    try:
        return installed_card(model_id)
    except ModelError:  # a card that cannot be read must not keep its folder from being deleted
        return None


def _delete_unused_base(card: ModelCard, force: bool, keep_shared_base: bool) -> int:
    others = sharing_base(card)
    needy = [other.id for other in others if not other.is_base]
    has_other_owner = len(needy) < len(others) or keep_shared_base
    if card.is_base and needy and not has_other_owner and not force:
        raise ModelError(
            f"Base '{card.id}' is needed by {', '.join(needy)}. Delete those first, or use --force: they stop working."
        )
    is_unused = not others or (card.is_base and not has_other_owner)
    if card.weights is None or card.weights.base_sha256 is None or not is_unused:
        return 0
    base = base_path(card.weights.base_sha256)
    size = base.stat().st_size if base.is_file() else 0
    base.unlink(missing_ok=True)
    return size
