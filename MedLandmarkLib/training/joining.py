"""Joining small models into one, so that a user chooses one model and each scheme is found by what does it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from ..models.catalogue import ModelCard, SchemeChannels
from ..models.folder import CARD_NAME, disk_errors_explained, write_json
from ..models.lite import LiteNetwork
from ..models.lite_set import FAMILY, LiteSet, common_stages
from ..models.loading import LoadedModel
from .combining import opened_models
from .files import replacing, write_weights
from .pruning import Part, part_for


def join_models(
    folder: Path,
    models: Sequence[str],
    model_id: str,
    *,
    taken: Mapping[str, str] | None = None,
    half: bool = False,
) -> ModelCard:
    """Write a model of family "lite-set" into `folder` (new or empty); its card.

    models: ids or folders, also of models that were joined themselves. A scheme that several know is taken from the
    last, or from the one of them that `taken` names for it; what no scheme needs is left out. Title, licence and input
    are those of the first; confidence and accuracy of each scheme come along. Stages of a trunk that a training left
    as they were (`frozen_stages`) are stored once. half: keep the convolutions' weights in float16, half the size.
    Raises ModelError where a model is no lite network or takes another input than the first, where `taken` does not
    fit, or where the folder is not empty.
    """
    loaded = opened_models(
        folder, models, model_id, (LiteNetwork, LiteSet), too_few="One model is not to be joined",
        product="the joined model", refusal="only lite networks can be joined",
    )  # fmt: skip
    for one in loaded:
        _check(one, loaded[0])
    owner = {scheme: number for number, one in enumerate(loaded) for scheme in one.card.schemes}
    for scheme, model in (taken or {}).items():
        owner[scheme] = _number_of(model, scheme, models, loaded)
    parts = [
        part_for(one, [scheme for scheme, of in owner.items() if of == number]) for number, one in enumerate(loaded)
    ]
    networks = [network for part in parts for network in part.networks]
    architecture = _architecture(parts, networks)
    together = LiteSet(**architecture)
    for member, network in zip(together.members, networks, strict=True):
        member.load_state_dict(network.state_dict())
    with disk_errors_explained(folder):
        weights = write_weights(folder, _stored(together, half))
        for scheme, number in owner.items():
            _copy_arrays(loaded[number].card, scheme, folder)
        card = replace(_joined_card(parts, owner, model_id), architecture=architecture, weights=weights)
        write_json(folder / CARD_NAME, card.to_json())
    return card


def _number_of(model: str, scheme: str, models: Sequence[str], loaded: Sequence[LoadedModel]) -> int:
    if model not in models:
        raise ModelError(f"{scheme} is to be taken from '{model}', which is not among the models: {', '.join(models)}.")
    number = models.index(model)
    loaded[number].card.channels(scheme)  # raises where it does not know the scheme
    return number


def _check(one: LoadedModel, first: LoadedModel) -> None:
    sizes = {"size_wh": first.card.input.size_wh, "heatmap_size_wh": first.card.input.heatmap_size_wh}
    if replace(one.card.input, **sizes) != first.card.input:
        raise ModelError(f"Model '{one.card.id}' takes its pictures otherwise than '{first.card.id}': they do not fit.")


def _stored(together: LiteSet, half: bool) -> dict[str, torch.Tensor]:
    """Convolutions lose nothing that matters in float16; statistics could leave its range."""
    return {name: tensor.half() if half and tensor.dim() == 4 else tensor for name, tensor in together.stored().items()}


def _architecture(parts: Sequence[Part], networks: Sequence[LiteNetwork]) -> dict[str, Any]:
    """The arguments of the set: those of its members, and which stages are the same in several."""
    shared = []
    for number, network in enumerate(networks):
        common = ((other, common_stages(network, networks[other])) for other in range(number))
        other, stages = max(common, key=lambda found: len(found[1]), default=(0, []))
        if stages:
            shared.append({"member": number, "of": other, "stages": stages})
    members = [arguments for part in parts for arguments in part.arguments]
    return {"members": members, "shared": shared} if shared else {"members": members}


def _joined_card(parts: Sequence[Part], owner: dict[str, int], model_id: str) -> ModelCard:
    first = parts[0].card
    schemes: dict[str, SchemeChannels] = {}
    for scheme, number in owner.items():
        own, start = parts[number].schemes[scheme], sum(part.channel_count for part in parts[:number])
        size_wh = parts[number].card.input_for(scheme).size_wh
        schemes[scheme] = replace(own, first=own.first + start, stop=own.stop + start, input_size_wh=size_wh)
    kept = [(part.card, set(part.schemes)) for part in parts]
    confidence = {
        scheme: entry for card, own in kept for scheme, entry in (card.confidence or {}).items() if scheme in own
    }
    return replace(
        first,
        id=model_id,
        family=FAMILY,
        schemes=schemes,
        accuracy=tuple(entry for card, own in kept for entry in card.accuracy if entry.get("scheme") in own),
        confidence=confidence or None,
        training={
            "data": list(dict.fromkeys(text for card, _ in kept for text in (card.training or {}).get("data", []))),
            "recipe": "; then ".join(
                f"{', '.join(sorted(own))}: {(card.training or {}).get('recipe', 'not told')}" for card, own in kept
            ),
        },
        folder=None,
        is_embedded=False,
    )


def _copy_arrays(card: ModelCard, scheme: str, folder: Path) -> None:
    """The file of a scheme's confidence, which its entry names."""
    entry = (card.confidence or {}).get(scheme, {}).get("arrays")
    if entry is not None:
        with replacing(folder / entry["file"]) as partial:
            partial.write_bytes((card.folder / entry["file"]).read_bytes())
