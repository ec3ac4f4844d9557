"""Cards for imported models: the catalogue's where the file is a released one, otherwise an honest plain one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from ..errors import ModelError
from ..scheme import list_schemes, load_scheme
from .catalogue import InputGeometry, Licence, ModelCard, SchemeChannels, Weights, catalogue
from .sapiens_architecture import SapiensArchitecture

DEFAULT_BASE = "sapiens-0.3b"  # what every released adapter was trained on
_UNSTATED = Licence(
    name="Not stated in the file",
    spdx="NOASSERTION",
    url="https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    noncommercial=True,
    summary="The file does not say under which licence it is. Weights derived from Sapiens are under CC BY-NC 4.0: "
    "non-commercial use only. Ask whoever made them.",
    text_file="CC-BY-NC-4.0.txt",
)


def _released() -> list[ModelCard]:
    return [card for card in catalogue().values() if card.family == "sapiens" and not card.is_base]


def _channel_count(card: ModelCard) -> int:
    return max(channels.stop for channels in card.schemes.values())


def default_id(keypoints: int) -> str | None:
    """The id of the released model with this number of channels, or None."""
    return next((card.id for card in _released() if _channel_count(card) == keypoints), None)


def schemes_for(name: str, keypoints: int, scheme: str | None) -> dict[str, SchemeChannels]:
    """What a network's channels mean: `scheme` (id or path) where given, else what the released models of this size do.

    Raises ModelError where the numbers do not fit, or where several schemes have as many landmarks.
    """
    released = next((card for card in _released() if _channel_count(card) == keypoints), None)
    if scheme is not None:
        asked = load_scheme(scheme)
        if len(asked.landmarks) == keypoints:
            return {asked.id: SchemeChannels(0, keypoints)}
        hint = f" Leave --scheme out: {keypoints} channels hold {', '.join(released.schemes)}." if released else ""
        raise ModelError(
            f"{name} has {keypoints} channels, but scheme '{asked.id}' has {len(asked.landmarks)} landmarks.{hint}"
        )
    if released is not None:
        return dict(released.schemes)
    fitting = [known.id for known in list_schemes() if len(known.landmarks) == keypoints]
    if len(fitting) == 1:
        return {fitting[0]: SchemeChannels(0, keypoints)}
    options = f"one of {', '.join(fitting)}" if fitting else "the path of a scheme file with as many landmarks"
    raise ModelError(
        f"{name} has {keypoints} channels; the number does not tell what they mean. Add --scheme with {options}."
    )


def card_for_base(
    model_id: str,
    architecture: SapiensArchitecture,
    is_released_size: bool,
    weights: Weights,
) -> ModelCard:
    """The card of an imported base."""
    shipped = catalogue()[DEFAULT_BASE]
    if is_released_size and model_id == DEFAULT_BASE:
        return replace(shipped, weights=weights, version=_version(weights))
    return replace(
        shipped,
        id=model_id,
        title="imported base",
        version=_version(weights),
        description=f"A Sapiens backbone of width {architecture.embed} with {architecture.layers} layers, imported "
        f"from {weights.imported_from}.",
        architecture=architecture.to_json(),
        licence=_UNSTATED,
        citation="",
        source=None,
        training=None,
        weights=weights,
    )


def card_for_model(
    model_id: str,
    architecture: SapiensArchitecture,
    is_released_size: bool,
    schemes: dict[str, SchemeChannels],
    weights: Weights,
) -> ModelCard:
    """The card of an imported adapter or network.

    The catalogue's card of the same id is taken over only where the backbone has the released size and the channels are
    the same; anything else keeps to what the file shows.
    """
    shipped = catalogue().get(model_id)
    architecture_json = architecture.to_json()
    if shipped is not None and is_released_size and not shipped.is_base:
        if _channel_count(shipped) != architecture.keypoints:
            raise ModelError(
                f"{weights.imported_from} has {architecture.keypoints} channels, but '{model_id}' has "
                f"{_channel_count(shipped)}. Choose another --id."
            )
        return replace(
            shipped,
            version=_version(weights),
            architecture=architecture_json,
            schemes=schemes,
            base=shipped.base if weights.base_sha256 else None,
            weights=weights,
        )
    reference = catalogue()[DEFAULT_BASE]
    return replace(
        reference,
        id=model_id,
        title="imported",
        version=_version(weights),
        description=f"A Sapiens network of {architecture.keypoints} channels, imported from {weights.imported_from}.",
        architecture=architecture_json,
        input=_input(reference.input, architecture),
        schemes=schemes,
        licence=_UNSTATED,
        citation="",
        source=None,
        training=None,
        weights=weights,
    )


def _input(reference: InputGeometry, architecture: SapiensArchitecture) -> InputGeometry:
    return replace(
        reference, size_wh=tuple(architecture.input_size_wh), heatmap_size_wh=tuple(architecture.heatmap_size_wh)
    )


def _version(weights: Weights) -> str:
    """The imported file's name without its suffix: the epoch is part of it."""
    return PurePosixPath((weights.imported_from or "").replace("\\", "/")).stem or "imported"
