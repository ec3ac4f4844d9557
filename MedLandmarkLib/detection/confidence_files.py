"""The confidence of a model as its folder keeps it: numbers in the card, arrays in a small file beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..models.catalogue import ModelCard
from ..models.tensors import TensorFile
from ..scheme import Scheme
from .confidence import ConfidenceModel
from .gaussian import LowRankGaussian
from .picture_check import PictureCheck, PictureLimits
from .shape_model import ShapeModel

# What the names of the arrays begin with.
SHAPE, FEATURES, OTHERS = "shape.", "features.", "others."


def read_confidence(card: ModelCard, scheme: Scheme) -> ConfidenceModel:
    """The confidence of a model for a scheme; not calibrated where the card says nothing about it.

    Raises ModelError where the file that the card names is gone or another than it says.
    """
    values = (card.confidence or {}).get(scheme.id)
    try:
        model = ConfidenceModel.from_card(values, _read_check(card, values or {}, scheme))
        if len(model.offsets) not in (0, len(scheme)):
            raise ValueError(f"{len(model.offsets)} offsets for {len(scheme)} landmarks")
        return model
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"Model '{card.id}': its card's confidence for {scheme.id} is incomplete or has a wrong field ({error}). "
            "Calibrate it again, or get the model again."
        ) from error


def _read_check(card: ModelCard, values: Mapping[str, Any], scheme: Scheme) -> PictureCheck | None:
    if "picture" not in values:
        return None
    arrays = _read_arrays(card, values["arrays"]) if "arrays" in values else {}
    shape, features, others = (
        {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
        for part in (SHAPE, FEATURES, OTHERS)
    )
    return PictureCheck(
        PictureLimits.from_card(values["picture"]),
        ShapeModel.from_arrays(shape) if shape else None,
        LowRankGaussian.from_arrays(features) if features else None,
        scheme.modality,
        LowRankGaussian.from_arrays(others) if others else None,
    )


def _read_arrays(card: ModelCard, entry: Mapping[str, str]) -> dict[str, np.ndarray]:
    name = entry["file"]
    if card.folder is None or name != Path(name).name:
        raise ModelError(f"Model '{card.id}': the file '{name}' of its confidence is not beside its card.")
    path = card.folder / name
    if not path.is_file():
        raise ModelError(f"Model '{card.id}' lost {path}. Copy the whole model folder again, or calibrate it again.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise ModelError(f"{path} is not the file that the model's card names. Copy the whole model folder again.")
    file = TensorFile(path)
    return {name: file.read(name).numpy() for name in file.names}
