"""Which model to run where the user names none."""

from __future__ import annotations

from ..errors import ModelError
from ..scheme import Scheme


def choose_model(scheme: Scheme, wanted: str | None = None) -> str:
    """`wanted` where it is named; else the embedded model if it knows the scheme; else an installed one that does.

    Raises ModelError, which lists what could be installed, where there is none.
    """
    if wanted is not None:
        return wanted
    from .store import how_to_get, installed_models, known_models

    fitting = [card for card in installed_models() if scheme.id in card.schemes]
    if fitting:
        return next((card.id for card in fitting if card.is_embedded), fitting[0].id)
    to_get = [f"{card.id} ({how_to_get(card)})" for card in known_models() if scheme.id in card.schemes]
    if to_get:
        raise ModelError(f"No installed model knows scheme {scheme.id}. These do: {'; '.join(to_get)}.")
    raise ModelError(
        f"No model knows scheme {scheme.id}. Import one that does: medlandmark models import FILE --id NAME "
        f"--scheme {scheme.id}"
    )
