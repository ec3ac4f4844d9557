"""Which models are on this computer, and what is needed for the others."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError
from .catalogue import ModelCard, catalogue, catalogue_card
from .folder import base_path, installed_card, installed_cards, models_folder, weights_path


def known_models() -> list[ModelCard]:
    """Every model that is here or may be fetched; an installed card stands in the place of the catalogue's."""
    return list({**catalogue(), **installed_cards()}.values())


def installed_models() -> list[ModelCard]:
    """The models that can be used now, the embedded one first. Bases are among them."""
    return [card for card in installed_cards().values() if not missing_files(card)]


def find_model(model_id: str) -> ModelCard:
    """The installed card of this id, else the catalogue's. Raises ModelError with the ids there are."""
    card = installed_card(model_id) or catalogue_card(model_id)
    if card is None:
        known = ", ".join(card.id for card in known_models())
        raise ModelError(
            f"There is no model '{model_id}'. Known: {known}. Others come with 'medlandmark models import'."
        )
    return card


def missing_files(card: ModelCard) -> list[Path]:
    """Which of an installed model's files are gone; the card's own folder where it was never installed."""
    if card.weights is None or card.folder is None:
        return [models_folder() / card.id]
    paths = [weights_path(card), base_path(card.weights.base_sha256) if card.weights.base_sha256 else None]
    paths += [card.folder / card.volume.file] if card.volume else []
    return [path for path in paths if path is not None and not path.is_file()]


def require_installed(model_id: str) -> ModelCard:
    """The card of a model that is installed, else ModelError with the command that gets it."""
    card = find_model(model_id)
    if card.weights is None:
        raise ModelError(f"Model '{model_id}' is not installed. {how_to_get(card)}")
    missing = missing_files(card)
    if missing:
        raise ModelError(f"Model '{model_id}' lost {missing[0]}. Delete it and get it again. {how_to_get(card)}")
    return card


def how_to_get(card: ModelCard) -> str:
    """The command that installs a model, in one sentence."""
    if card.source is None:
        return "Import its file: medlandmark models import FILE --id " + card.id
    if card.source.download_url is None:
        return f"Save the file from {card.source.page_url}, then: medlandmark models import FILE --id {card.id}"
    accept = " --accept-license" if any(one.licence.noncommercial for one in cards_to_fetch(card.id)) else ""
    return f"Get it with: medlandmark models download {card.id}{accept}"


def cards_to_fetch(model_id: str) -> list[ModelCard]:
    """What a download of this model brings: its base first where that is missing, then the model itself."""
    card = find_model(model_id)
    needed = [card] if missing_files(card) else []
    if needed and card.base:
        base = installed_card(card.base)
        if base is None or missing_files(base):
            needed.insert(0, find_model(card.base))
    return needed
