"""Where models live on disk.

MODELS/                 $MEDLANDMARK_HOME/models, else models in the user's data folder
  NAME/card.json        what the model is; its own weights are model.safetensors beside it, and what its confidence for
                        a scheme needs is confidence-SCHEME.safetensors; scheme.json is the scheme of a model whose
                        landmarks are the user's own
  bases/SHA256.safetensors   backbones, stored once and shared by every model built on them
  hashes.json           what each address gave the first time it was downloaded
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ModelError
from ..resources import user_folder
from ..scheme import INSTALLED
from .catalogue import ModelCard, catalogue, read_card

CARD_NAME = "card.json"
WEIGHTS_NAME = "model.safetensors"
_BASES = "bases"
_STAGING = ".staging-"
_ABANDONED_S = 24 * 3600  # a staging folder that old belongs to a process that was killed
_RESERVED = {_BASES, "downloads"}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# device names that Windows gives to no folder, whatever the extension
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")

Progress = Callable[[float, str], None]  # share done 0..1, what is being done


def models_folder() -> Path:
    """The folder of all models; not made here. $MEDLANDMARK_HOME goes before the user's data folder."""
    return user_folder() / INSTALLED


def checked_id(model_id: str) -> str:
    """`model_id` itself where it can name a folder on every system, else ModelError."""
    if (
        not _ID.fullmatch(model_id)
        or model_id in _RESERVED
        or model_id.endswith(".")
        or _WINDOWS_DEVICE.fullmatch(model_id)
    ):
        raise ModelError(
            f"'{model_id}' cannot be a model's id: use 1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter "
            f"or digit, and none of {', '.join(sorted(_RESERVED))}."
        )
    return model_id


def model_folder(model_id: str) -> Path:
    return models_folder() / checked_id(model_id)


def is_model_folder(path: Path) -> bool:
    """Whether a path is a model that describes itself: a folder with a card, the card itself, or a zip with a card."""
    path = Path(path)
    if path.is_dir():
        return (path / CARD_NAME).is_file()
    if path.name == CARD_NAME:
        return path.is_file()
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == CARD_NAME for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def base_path(sha256: str) -> Path:
    """The shared backbone file with this hash."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ModelError(f"'{sha256}' is not a sha256 hash. Import the model that names it again.")
    return models_folder() / _BASES / f"{sha256}.safetensors"


def installed_cards() -> dict[str, ModelCard]:
    """The embedded models and those in the models folder, by id; without those that `damaged_models` tells of."""
    cards = {card.id: card for card in catalogue().values() if card.is_embedded}
    for model_id, card in _cards_on_disk().items():
        if isinstance(card, ModelCard):
            cards.setdefault(model_id, card)
    return cards


def damaged_models() -> dict[str, str]:
    """Folders whose card cannot be read: id and what is wrong. They can be deleted like any other."""
    return {model_id: str(card) for model_id, card in _cards_on_disk().items() if isinstance(card, ModelError)}


def _cards_on_disk() -> dict[str, ModelCard | ModelError]:
    cards: dict[str, ModelCard | ModelError] = {}
    for path in sorted(models_folder().glob(f"*/{CARD_NAME}")):
        if _ID.fullmatch(path.parent.name):
            try:
                cards[path.parent.name] = read_card(path)
            except ModelError as error:
                cards[path.parent.name] = error
    return cards


def installed_card(model_id: str) -> ModelCard | None:
    """The card of an installed or embedded model, or None."""
    shipped = catalogue().get(checked_id(model_id))
    if shipped is not None and shipped.is_embedded:
        return shipped
    path = model_folder(model_id) / CARD_NAME
    return read_card(path) if path.is_file() else None


def weights_path(card: ModelCard) -> Path | None:
    """The model's own weights file; None for a base model, whose file is shared."""
    if card.folder is None or card.weights is None or card.weights.file is None:
        return None
    if card.weights.file != Path(card.weights.file).name:
        raise ModelError(f"{card.folder / CARD_NAME}: weights file '{card.weights.file}' is not beside the card.")
    return card.folder / card.weights.file


def file_sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """sha256 of a file, hexadecimal. `progress` gets the number of bytes of each step."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def write_json(path: Path, data: Any) -> None:
    """`data` as JSON at `path`, complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # readable by whom the folder lets in
    try:
        temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors_explained(folder: Path) -> Iterator[None]:
    """Turns what the disk refuses (no room, no right to write) into a ModelError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise ModelError(
                f"No room left on the disk of {folder}. Free some, delete models you do not use "
                "(medlandmark models delete), or set MEDLANDMARK_HOME to a folder on another disk."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise ModelError(
                f"Cannot write in {folder} ({error.strerror}). Set MEDLANDMARK_HOME to a folder you may write in."
            ) from error
        raise


def require_space(folder: Path, size_bytes: int) -> None:
    """ModelError where the disk of `folder` (which exists) has less than `size_bytes` free."""
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise ModelError(
            f"{size_bytes / 1e9:.2f} GB are needed in {folder}, but only {free / 1e9:.2f} GB are free. Free some, "
            "or set MEDLANDMARK_HOME to a folder on another disk."
        )


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder inside `parent` (made where missing), for work that is renamed into place when complete."""
    with disk_errors_explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        temporary = Path(tempfile.mkdtemp(prefix=_STAGING, dir=parent))
    try:
        with disk_errors_explained(parent):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_STAGING}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)
