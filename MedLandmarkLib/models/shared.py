"""Installing a model that describes itself: a folder as training and teaching leave it, or a zip of one.

Only the files that a model consists of are taken, each by its own name: the card, those that the card names, and the
scheme. Everything is checked in a staging folder and the whole is renamed into place: a wrong file leaves nothing
behind.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import ModelError
from ..scheme import SCHEME_NAME
from .catalogue import ModelCard, catalogue, read_card
from .folder import (
    CARD_NAME,
    Progress,
    base_path,
    checked_id,
    file_sha256,
    installed_card,
    model_folder,
    models_folder,
    require_space,
    staging_folder,
    weights_path,
    write_json,
)
from .own_scheme import check_schemes
from .parts import Parts
from .upkeep import delete_model


def import_model_folder(
    path: Path, model_id: str | None = None, *, force: bool = False, progress: Progress | None = None
) -> ModelCard:
    """Install the model that a folder, its card.json, or a zip holds; its card.

    model_id: another name than its card has. force: replace a model of the same id. Raises ModelError that names the
    file and what is wrong; nothing is installed then.
    """
    path = Path(path)
    report = progress or (lambda share, text: None)
    report(0.0, f"reading {path.name}")
    parts = Parts(path)
    if CARD_NAME not in parts:
        raise ModelError(f"{path}: holds no {CARD_NAME}, so it is no model folder.")
    with staging_folder(models_folder()) as staging:
        folder = staging / "model"
        folder.mkdir()
        parts.write(CARD_NAME, folder / CARD_NAME)
        card = _named_card(path, folder, model_id, force)
        _copy_parts(parts, card, folder, report)
        _check_files(path, card, folder)
        write_json(folder / CARD_NAME, card.to_json())
        report(0.9, "checking the weights")
        _check_that_it_loads(replace(card, folder=folder), path)
        final = model_folder(card.id)
        if final.exists() or final.is_symlink():
            delete_model(card.id, keep_shared_base=True)
        os.replace(folder, final)
    report(1.0, "installed")
    return installed_card(card.id) or card


def _copy_parts(parts: Parts, card: ModelCard, folder: Path, report: Progress) -> None:
    """The files that the card names, and the scheme."""
    names = [name for name in dict.fromkeys([*_files_of(card), SCHEME_NAME]) if name in parts and name != CARD_NAME]
    total = sum(parts.size_bytes(name) for name in names)
    require_space(folder, total)
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        report(0.8 * done / max(total, 1), f"copying {parts.path.name}")

    for name in names:
        parts.write(name, folder / name, count)


def _files_of(card: ModelCard) -> Iterator[str]:
    """Names of the files beside a card, as it gives them; each is a plain name, or belongs to no file."""
    if card.weights is not None and card.weights.file is not None:
        yield card.weights.file
    if card.volume is not None:
        yield card.volume.file
    for values in (card.confidence or {}).values():
        arrays = values.get("arrays") if isinstance(values, dict) else None
        if isinstance(arrays, dict) and isinstance(arrays.get("file"), str):
            yield arrays["file"]


def _named_card(path: Path, folder: Path, model_id: str | None, force: bool) -> ModelCard:
    """The card under the name that the model is to have here."""
    try:
        card = read_card(folder / CARD_NAME)
        card = replace(card, id=checked_id(model_id or card.id))
        weights = weights_path(card)
    except ModelError as error:
        raise ModelError(f"{path}: {str(error).replace(str(folder / CARD_NAME), CARD_NAME)}") from error
    shipped = catalogue().get(card.id)
    if shipped is not None and shipped.is_embedded:
        raise ModelError(f"'{card.id}' is part of MedLandmark and cannot be replaced. Choose another id (--id).")
    if model_folder(card.id).exists() and not force:
        raise ModelError(
            f"'{card.id}' is already installed. Choose another id (--id), replace it (--force), or delete it first: "
            f"medlandmark models delete {card.id}"
        )
    if weights is None or card.weights is None:
        raise ModelError(f"{path}: its card names no weights of its own, so there is nothing to install.")
    return card


def _check_files(path: Path, card: ModelCard, folder: Path) -> None:
    """Raise ModelError unless all files of a card are in the folder, are the right ones, and its schemes are known."""
    hashes = {card.weights.file: card.weights.sha256}
    if card.volume is not None:
        hashes[card.volume.file] = card.volume.sha256
    for name in _files_of(card):
        if not (folder / name).is_file():
            raise ModelError(f"{path}: '{name}' is not in it; give the whole folder of the model.")
    for name, expected in hashes.items():
        found = file_sha256(folder / name)
        if found != expected:
            raise ModelError(
                f"{path}: '{name}' is not the file that its card tells of (sha256 {found[:12]}..., not "
                f"{expected[:12]}...). Get the model again."
            )
    if card.weights.base_sha256 and not base_path(card.weights.base_sha256).is_file():
        raise ModelError(
            f"{path}: is built on a base ({card.base or card.weights.base_sha256[:12]}) that is not on this computer. "
            "Import the base first."
        )
    check_schemes(card, folder, str(path))


def _check_that_it_loads(card: ModelCard, path: Path) -> None:
    """Make the network once: a model that cannot run is not installed."""
    from .loading import load

    try:
        load(card)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    finally:
        gc.collect()  # Windows moves no file that a tensor is still mapped from
