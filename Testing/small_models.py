"""Lite networks that learned nothing, as model folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from MedLandmarkLib.models.catalogue import SchemeChannels, Weights, catalogue
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.tensors import write_tensors


def write_model(folder: Path, schemes: dict[str, SchemeChannels], seed: int, **changes: object) -> Path:
    """A network that learned nothing, as a model folder."""
    folder.mkdir()
    torch.manual_seed(seed)
    domains = [[one.first, one.stop] for one in schemes.values()]
    architecture = {"keypoints": domains[-1][1], "width": 64, "sigma": 2.0, "activation": "softmax", "domains": domains}
    sha256 = write_tensors(folder / "model.safetensors", LiteNetwork(**architecture).state_dict())
    lite = catalogue()["lite"]
    size_bytes = (folder / "model.safetensors").stat().st_size
    card = replace(
        lite, id=folder.name, confidence=None, family="lite", architecture=architecture, schemes=schemes, accuracy=(),
        input=replace(lite.input, size_wh=(65, 65), heatmap_size_wh=(17, 17), **changes),
        training={"data": [folder.name], "recipe": json.dumps({"holdout": 0.2, "seed": 3})},
        weights=Weights("model.safetensors", sha256, size_bytes),
    )  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card.to_json()))
    return folder
