"""A full-size MedSapiens with random weights, installed through the same door as the real one."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from MedLandmarkLib.models.sapiens import SapiensNetwork, sapiens_architecture
from MedLandmarkLib.models.store import import_model

MODEL_ID = "random-sapiens"
_POSITIONS = 1 + 64 * 64  # class token, and the grid of a 1024 × 1024 canvas, as in the published file


def install_random_model(folder: Path, size: str) -> None:
    """Writes a base file and a LoRA file of 19 channels below `folder`, and imports them into $MEDLANDMARK_HOME."""
    base_path, adapter_path = folder / "base.pth", folder / "adapter.pth"
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in SapiensNetwork(sapiens_architecture(size, 19)).state_dict().items()}
    torch.manual_seed(1)
    backbone = {name.removeprefix("backbone."): shape for name, shape in shapes.items() if name.startswith("backbone.")}
    backbone["pos_embed"] = torch.Size((1, _POSITIONS, backbone["pos_embed"][2]))
    torch.save({name: _random(name, shape) for name, shape in backbone.items()}, base_path)
    adapter = {name: _random(name, shape) for name, shape in shapes.items() if name.startswith("head.")}
    for name, (rows, columns) in [(n, s) for n, s in backbone.items() if n.endswith(("qkv.weight", "proj.weight"))]:
        rank, layer = (4 if "qkv" in name else 8), f"backbone.module.{name.removesuffix('.weight')}"
        adapter[f"{layer}.lora_down.weight"] = torch.randn(rank, columns) / math.sqrt(columns)
        adapter[f"{layer}.lora_up.weight"] = torch.randn(rows, rank) * 0.01
    torch.save({"meta": {}, "state_dict": adapter}, adapter_path)
    import_model([adapter_path], MODEL_ID, base=base_path, scheme="head-19")
    base_path.unlink()
    adapter_path.unlink()


def _random(name: str, shape: torch.Size) -> torch.Tensor:
    """Values that keep activations near 1 from layer to layer."""
    if ".ln" in name or name.startswith("ln"):
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    if name.endswith("bias"):
        return torch.zeros(shape)
    incoming = shape[0] * 4 if "deconv" in name else math.prod(shape[1:])
    return torch.randn(shape) * (0.5 / math.sqrt(incoming))
