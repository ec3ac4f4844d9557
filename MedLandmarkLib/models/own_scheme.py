"""The scheme in a model's own folder: landmarks that a user thought of travel with the model that finds them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..errors import ModelError, SchemeError
from ..scheme import SCHEME_NAME, Scheme, load_scheme, write_scheme
from .catalogue import ModelCard
from .folder import CARD_NAME


def is_model_path(model: str) -> bool:
    """Whether `model` names a folder with a card, and not an installed model: it has a separator."""
    return ("/" in model or os.sep in model) and (Path(model) / CARD_NAME).is_file()


def scheme_known_to(scheme: str, model: str | None) -> Scheme:
    """A scheme by id or path, where `model` may be the path of a model folder that brings its own scheme.

    Raises SchemeError.
    """
    if model is not None and is_model_path(model):
        beside = Path(model) / SCHEME_NAME
        if beside.is_file() and (own := load_scheme(beside)).id == scheme:
            return own
    return load_scheme(scheme)


def keep_scheme(folder: Path, scheme: Scheme) -> None:
    """Put the user's own scheme beside a model in `folder`; nothing is written where the scheme ships with the library.

    Raises SchemeError where the scheme's file cannot be read, or where it has the id of a shipped one.
    """
    if is_shipped(scheme):
        return
    if scheme.path is None or not scheme.path.is_file():
        raise SchemeError(f"Scheme {scheme.id} is in no file ({scheme.path}), so it cannot be kept with its model.")
    write_scheme(json.loads(scheme.path.read_text(encoding="utf-8-sig")), folder / SCHEME_NAME)


def is_shipped(scheme: Scheme) -> bool:
    """Whether a scheme is one of the library's. Raises SchemeError for another by the same id."""
    from ..scheme.store import scheme_ids

    if scheme.id not in scheme_ids():
        return False
    if load_scheme(scheme.id).names != scheme.names:
        raise SchemeError(f"{scheme.path}: its id '{scheme.id}' is that of a scheme of MedLandmark; choose another.")
    return True


def check_schemes(card: ModelCard, folder: Path, where: str, taken_by_others: bool = True) -> None:
    """Raise ModelError unless each scheme of a card ships with the library or lies beside the card, and fits.

    taken_by_others: whether another installed model may not have another scheme by the same id.
    """
    own = None
    if (folder / SCHEME_NAME).is_file():
        try:
            own = load_scheme(folder / SCHEME_NAME)
            is_shipped(own)
        except SchemeError as error:
            raise ModelError(f"{where}: its scheme cannot be used: {_told(error, folder)}") from error
    for scheme_id, channels in card.schemes.items():
        try:
            scheme = own if own is not None and own.id == scheme_id else load_scheme(scheme_id)
        except SchemeError:
            raise ModelError(
                f"{where}: finds the landmarks of scheme '{scheme_id}', which neither ships with MedLandmark nor lies "
                f"beside the model as {SCHEME_NAME}. Ask whoever made the model for the whole folder."
            ) from None
        if len(scheme) != channels.count:
            raise ModelError(
                f"{where}: has {channels.count} channels for scheme '{scheme_id}' of {len(scheme)} landmarks."
            )
    if own is not None and taken_by_others:
        _refuse_taken(own, card.id, where)


def _refuse_taken(own: Scheme, model_id: str, where: str) -> None:
    from ..scheme.store import own_schemes

    other = next((one for one in own_schemes() if one.id == own.id), None)
    if other is not None and other.path.parent.name != model_id and other.names != own.names:
        raise ModelError(
            f"{where}: its scheme has the id '{own.id}' but other landmarks than the scheme of the installed model "
            f"'{other.path.parent.name}'. Delete that model first, or teach this one under another id."
        )


def _told(error: SchemeError, folder: Path) -> str:
    return str(error).replace(str(folder / SCHEME_NAME), SCHEME_NAME)
