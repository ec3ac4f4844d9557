"""Downloading models: licences first, the base with the model that needs it, hashes remembered."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..errors import ModelError
from .catalogue import ModelCard
from .download import BytesProgress, download_file
from .folder import Progress, disk_errors_explained, models_folder, write_json
from .inventory import cards_to_fetch, how_to_get
from .upkeep import delete_model

_HASHES = "hashes.json"
_CHANGED = (
    "No hash is published for it; the expected one is that of the first download here. If its authors replaced it, add "
    "--accept-changed."
)


def download_model(
    model_id: str,
    *,
    accept_license: bool = False,
    accept_changed: bool = False,
    progress: Progress | None = None,
    bytes_progress: BytesProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[ModelCard]:
    """Fetches a model, and its base where that is missing, and installs both. Returns what was installed.

    accept_license: the user has read the licence of each (`cards_to_fetch`); needed where it is non-commercial.
    accept_changed: take a file that differs from the one that the same address gave before.
    Raises ModelError where there is nothing to download, the transfer fails, or the file is not the expected one.
    """
    needed = cards_to_fetch(model_id)
    for card in needed:
        if card.source is None or card.source.download_url is None:
            raise ModelError(f"Model '{card.id}' cannot be downloaded by a program. {how_to_get(card)}")
        if card.licence.noncommercial and not accept_license:
            raise ModelError(
                f"Model '{card.id}' is under {card.licence.name} ({card.licence.url}), non-commercial use only. Read "
                f"it, then: medlandmark models download {model_id} --accept-license"
            )
    installed: list[ModelCard] = []
    for card in needed:
        if any(done.id == card.id for done in installed):
            continue
        installed += _fetch(card, accept_changed, progress, bytes_progress, should_stop)
    return installed


def _fetch(
    card: ModelCard,
    accept_changed: bool,
    progress: Progress | None,
    bytes_progress: BytesProgress | None,
    should_stop: Callable[[], bool] | None,
) -> list[ModelCard]:
    from .importing import import_files  # first: without torch the gigabytes would come for nothing

    source = card.source
    url = source.download_url
    first = _hashes().get(url)
    target = models_folder() / "downloads" / source.file_name
    got = download_file(
        url,
        target,
        sha256=source.sha256 or (None if accept_changed else first),
        if_different="" if source.sha256 or not first else _CHANGED,
        progress=bytes_progress,
        should_stop=should_stop,
    )
    if (models_folder() / card.id).exists():  # it lost a file, or it would not be fetched
        delete_model(card.id, keep_shared_base=True)
    # an archive of several models has ids of its own, and leaves alone those that are here already
    model_id = None if target.suffix == ".zip" else card.id
    try:
        cards = import_files([target], model_id, keep_existing=True, progress=progress)
    finally:
        target.unlink(missing_ok=True)
    _record_hash(url, got.sha256)
    if card.id not in [installed.id for installed in cards]:
        raise ModelError(f"{url} did not hold model '{card.id}' but {', '.join(one.id for one in cards)}.")
    return cards


def _hashes() -> dict[str, str]:
    path = models_folder() / _HASHES
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # no download yet; what is in the way is told when it is written
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}). It holds the hashes of earlier downloads; remove it."
        ) from error
    return hashes if isinstance(hashes, dict) else {}


def _record_hash(url: str, sha256: str) -> None:
    with disk_errors_explained(models_folder()):
        write_json(models_folder() / _HASHES, {**_hashes(), url: sha256})
