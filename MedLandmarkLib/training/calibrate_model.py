"""Calibrating a whole model folder: each scheme it learned, from the dataset it learned it from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Case, read_dataset, with_names_of
from ..detection.pipeline import LandmarkDetector
from ..detection.views import MOST_LOOKS, further_views
from ..errors import DatasetError, ModelError
from ..models.catalogue import ModelCard, read_card
from ..models.folder import CARD_NAME, disk_errors_explained, write_json
from ..models.loading import LoadedModel, load
from ..models.tensors import write_tensors
from ..scheme import load_scheme
from .confidence_fit import Calibration, calibrate_scheme
from .observations import ReadCase
from .tasks import TaskRequest, split_by_subject

Progress = Callable[[float, str], None]

_OF_PROBABILITY = ("intercept", "features", "offsets", "calibration")  # of a confidence entry
_MOST_STRANGERS = 30  # pictures of each other dataset


def calibrate_model(
    folder: Path,
    requests: Sequence[TaskRequest],
    *,
    holdout: float,
    seed: int,
    rater: str | None = None,
    views: Mapping[str, int] | None = None,
    twins: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Fit the confidence of the model in `folder` for the schemes of `requests` and write it there.

    views: by scheme, the number of looks at each picture that the card is to name; others stay as they are.
    holdout, seed: as in the recipe it was trained by, so that the same cases of split "train" count as held out.
    twins: by scheme, the folder of a calibrated model, for one that in the end learned from the held-out cases as well:
    its twin, trained alike, did not. The probabilities are then the twin's: this model is too sure in what it learned.
    Other schemes keep what the card says of them. Returns the notes on what could not be calibrated and why.
    Raises ModelError, DatasetError, SchemeError.
    """
    folder = Path(folder)
    if views:
        _set_views(folder, views)
    loaded = load(read_card(folder / CARD_NAME))
    schemes = list(dict.fromkeys(request.scheme_id for request in requests))
    known = {scheme_id: _probabilities(Path(twin), scheme_id) for scheme_id, twin in (twins or {}).items()}
    notes: list[str] = []
    for number, scheme_id in enumerate(schemes):
        own = [request for request in requests if request.scheme_id == scheme_id]
        others = [request for request in requests if request.scheme_id != scheme_id]
        calibration = _calibration(loaded, own, others, holdout, seed, rater, _part_of(progress, number, len(schemes)))
        notes += calibration.notes
        if scheme_id in known and calibration.entry is not None:
            own_part = {name: value for name, value in calibration.entry.items() if name not in _OF_PROBABILITY}
            calibration = replace(calibration, entry={**known[scheme_id], **own_part})
        with disk_errors_explained(folder):
            write_calibration(folder, scheme_id, calibration)
    return notes


def _set_views(folder: Path, views: Mapping[str, int]) -> None:
    """Let the card say in how many looks each scheme is detected. Raises ModelError, DatasetError."""
    card = read_card(folder / CARD_NAME)
    schemes = dict(card.schemes)
    for scheme_id, looks in views.items():
        if not 1 <= looks <= MOST_LOOKS:
            raise DatasetError(f"{scheme_id}: {looks} views are not possible; give 1 to {MOST_LOOKS}.")
        schemes[scheme_id] = replace(card.channels(scheme_id), views=further_views(looks))
    with disk_errors_explained(folder):
        write_json(folder / CARD_NAME, replace(card, schemes=schemes).to_json())


def _probabilities(twin: Path, scheme_id: str) -> dict[str, Any]:
    """What a model's confidence entry says of the probability. Raises ModelError where it says nothing."""
    card = read_card(twin / CARD_NAME)
    entry = (card.confidence or {}).get(scheme_id, {})
    if "intercept" not in entry:
        raise ModelError(f"Model '{card.id}' states no probabilities for scheme '{scheme_id}': calibrate it first.")
    return {name: entry[name] for name in _OF_PROBABILITY if name in entry}


def holdout_of(folder: Path) -> tuple[float, int]:
    """(share held out, seed) by the recipe in a model's card. Raises ModelError where it does not say."""
    card = read_card(Path(folder) / CARD_NAME)
    recipe = (card.training or {}).get("recipe", "")
    share, seed = (re.search(rf'"{name}": ([0-9.]+)', recipe) for name in ("holdout", "seed"))
    if share is None or seed is None:
        raise ModelError(
            f"{Path(folder) / CARD_NAME}: its recipe does not say which cases were held out. Give --holdout and --seed "
            "as they were in the training."
        )
    return float(share[1]), int(seed[1])


def write_calibration(folder: Path, scheme_id: str, calibration: Calibration) -> ModelCard:
    """Put a calibration into a model's folder: its arrays first, then the card that names them. Returns the card."""
    card = read_card(folder / CARD_NAME)
    confidence = {scheme: entry for scheme, entry in (card.confidence or {}).items() if scheme != scheme_id}
    name = f"confidence-{scheme_id}.safetensors"
    if calibration.entry is not None:
        entry = dict(calibration.entry)
        if calibration.arrays:
            partial = folder / f".{name}.{os.getpid()}.part"
            partial.unlink(missing_ok=True)
            entry["arrays"] = {"file": name, "sha256": write_tensors(partial, calibration.arrays)}
            os.replace(partial, folder / name)
        confidence[scheme_id] = entry
    ordered = {scheme: confidence[scheme] for scheme in card.schemes if scheme in confidence}
    card = replace(card, confidence=ordered or None)
    write_json(folder / CARD_NAME, card.to_json())
    if calibration.entry is None:
        (folder / name).unlink(missing_ok=True)
    return card


def _calibration(
    loaded: LoadedModel,
    requests: Sequence[TaskRequest],
    others: Sequence[TaskRequest],
    holdout: float,
    seed: int,
    rater: str | None,
    progress: Progress | None,
) -> Calibration:
    learned: list[ReadCase] = []
    held_out: list[ReadCase] = []
    scheme_id = requests[0].scheme_id
    for request in requests:
        dataset = with_names_of(read_dataset(request.folder), load_scheme(scheme_id))
        reader = dataset.reference_rater(rater if rater in dataset.raters else None)  # as the training chose it
        kept, unseen = split_by_subject(dataset.split("train"), holdout, seed)
        learned += [(case, reader) for case in kept]
        held_out += [(case, reader) for case in unseen]
    detector = LandmarkDetector(scheme_id, replace(loaded, card=replace(loaded.card, confidence=None)))
    strangers = [case for request in others for case in _some(read_dataset(request.folder).split("train"), seed)]
    return calibrate_scheme(detector, learned, held_out, strangers=strangers, seed=seed, progress=progress)


def _some(cases: Sequence[Case], seed: int) -> list[Case]:
    """So many of another dataset as tell what its pictures look like."""
    order = np.random.default_rng(seed).permutation(len(cases))[:_MOST_STRANGERS]
    return [cases[index] for index in order]


def _part_of(progress: Progress | None, number: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, text: progress((number + fraction) / count, text)
