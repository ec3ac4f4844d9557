"""What joining and averaging models have in common: how they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..errors import ModelError
from ..models.folder import checked_id
from ..models.loading import LoadedModel
from ..models.store import load_model


def opened_models(
    folder: Path,
    models: Sequence[str],
    model_id: str,
    kinds: tuple[type[nn.Module], ...],
    *,
    too_few: str,
    product: str,
    refusal: str,
) -> list[LoadedModel]:
    """The models, of which a new one of id `model_id` is to be made in `folder` (new or empty).

    kinds: of their networks. too_few, product, refusal: what is said where one model only is named, what is made of
    them, and what is true of no other kind. Raises ModelError, before anything is written.
    """
    if len(models) < 2:
        raise ModelError(f"{too_few}; name at least two.")
    checked_id(model_id)
    if folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder} is not empty; name a new folder for {product}.")
    loaded = [load_model(model) for model in models]
    for one in loaded:
        if not isinstance(getattr(one, "network", None), kinds):  # an atlas has none
            raise ModelError(f"Model '{one.card.id}' is of family '{one.card.family}'; {refusal}.")
    return loaded
