"""The mean of models that were trained alike: as quick as one of them, and steadier than any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import ModelError
from ..models.catalogue import ModelCard
from ..models.folder import CARD_NAME, disk_errors_explained, write_json
from ..models.lite import LiteNetwork
from ..models.loading import LoadedModel
from .combining import opened_models
from .files import write_weights


def average_models(folder: Path, models: Sequence[str], model_id: str) -> ModelCard:
    """Write the model whose weights are the means of those of `models` into `folder` (new or empty); its card.

    models: ids or folders of lite networks that began with the same weights and learned the same with other seeds: then
    their mean lies between them in the same valley (Wortsman et al., Model soups, ICML 2022). The card is that of the
    first, without confidence and accuracy, which are the mean's own to measure.
    Raises ModelError where they are not of one kind, or where the folder is not empty.
    """
    loaded = opened_models(
        folder, models, model_id, (LiteNetwork,), too_few="The mean of one model is that model", product="the mean",
        refusal="only lite networks have a mean",
    )  # fmt: skip
    for one in loaded:
        _check(one, loaded[0])
    states = [one.network.state_dict() for one in loaded]
    means = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }
    first = loaded[0].card
    training = first.training or {}
    told = f"mean of {len(models)} trainings, the first of them: {training.get('recipe', 'not told')}"
    with disk_errors_explained(folder):
        card = replace(
            first, id=model_id, confidence=None, accuracy=(), folder=None, is_embedded=False,
            weights=write_weights(folder, means), training={**training, "recipe": told},
        )  # fmt: skip
        write_json(folder / CARD_NAME, card.to_json())
    return card


def _check(one: LoadedModel, first: LoadedModel) -> None:
    for what in ("architecture", "schemes", "input"):
        if getattr(one.card, what) != getattr(first.card, what):
            raise ModelError(f"Models '{first.card.id}' and '{one.card.id}' differ in {what}: they have no mean.")
