"""Which detector a model needs: one that reads pictures, one that reads volumes by planes, or an annotated volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.atlas import FAMILY, LoadedAtlas
from ..models.catalogue import ModelCard, read_card
from ..models.folder import CARD_NAME, installed_card
from ..models.own_scheme import is_model_path
from ..scheme import Scheme
from .atlas import AtlasDetector
from .pipeline import LandmarkDetector
from .volume import VolumeDetector

if TYPE_CHECKING:
    from ..models.loading import LoadedModel


def open_detector(
    scheme: Scheme | str, model: LoadedModel | LoadedAtlas | str, **settings: Any
) -> LandmarkDetector | AtlasDetector:
    """The detector of pictures and planes; for a model that is an annotated volume, that of whole volumes.

    Arguments and errors as of `LandmarkDetector`.
    """
    return AtlasDetector(scheme, model) if _is_atlas(model) else LandmarkDetector(scheme, model, **settings)


def open_volume_detector(
    scheme: Scheme | str, model: LoadedModel | LoadedAtlas | str, **settings: Any
) -> VolumeDetector | AtlasDetector:
    """The detector of whole volumes that a model needs. Arguments and errors as of `VolumeDetector`."""
    return AtlasDetector(scheme, model) if _is_atlas(model) else VolumeDetector(scheme, model, **settings)


def is_for_volumes(model: LoadedModel | LoadedAtlas | str) -> bool:
    """Whether a model is made for whole volumes, and not for pictures; False as well for one that is not here."""
    card = _card(model)
    return card is not None and (card.family == FAMILY or card.volume is not None)


def _is_atlas(model: LoadedModel | LoadedAtlas | str) -> bool:
    card = _card(model)
    return card is not None and card.family == FAMILY


def _card(model: LoadedModel | LoadedAtlas | str) -> ModelCard | None:
    if not isinstance(model, str):
        return model.card
    return read_card(Path(model) / CARD_NAME) if is_model_path(model) else installed_card(model)
