"""What a model knows of volumes, beside its network: how planes are cut, how the anatomy looks and lies on average."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...models.catalogue import VolumeFile, read_card
from ...models.folder import CARD_NAME, file_sha256, write_json
from .pose import PoseTemplate
from .shape import ShapePrior

FILE_NAME = "volume.safetensors"
USUAL_NOISE = 3.0  # cautious: the shape is not overruled by peaks that nobody has tried
_SETTINGS = "geometry"
_TENSORS = {"template", "template_to_canonical", "mean", "covariance"}


@dataclass(frozen=True)
class PlaneGeometry:
    """How planes are cut for the network.

    coarse_mm, fine_mm: pixels of the first and of the second pass, in the canonical frame. size_px: side of a plane.
    fade_px: the standard deviation, in px through the plane, with which a landmark's peak fades. neighbour_px: the
    distance of the two neighbours shown with each plane.
    """

    coarse_mm: float
    fine_mm: float
    size_px: int = 129
    fade_px: float = 5.0
    neighbour_px: float = 3.0

    def __post_init__(self) -> None:
        for name in ("coarse_mm", "fine_mm", "size_px", "fade_px"):
            if not getattr(self, name) > 0:
                raise ModelError(f"A volume model's {name} is {getattr(self, name)}; it must be above 0.")


@dataclass(frozen=True, eq=False)
class VolumeKnowledge:
    """geometry, and of the anatomy its mean appearance and its mean shape with its variation (None: not known).

    noise: what the standard deviations of the network's peaks are multiplied by before they are weighed against the
    shape, and spread: those of the points that come out; fitted on held-out volumes, spread None where nobody did.
    """

    geometry: PlaneGeometry
    template: PoseTemplate | None = None
    shape: ShapePrior | None = None
    noise: float = USUAL_NOISE
    spread: float | None = None

    def save(self, folder: Path) -> Path:
        """Write `folder`/volume.safetensors, whole or not at all, and its hash and size into the card there."""
        from safetensors.numpy import save_file

        tensors = {}
        if self.template is not None and self.shape is not None:
            tensors = {
                "template": np.rint(self.template.values * 65535).astype(np.uint16),
                "template_to_canonical": self.template.ijk_to_canonical,
                "mean": self.shape.mean,
                "covariance": self.shape.covariance,
            }
        partial = folder / f"{FILE_NAME}.part"
        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
            partial,
            metadata={_SETTINGS: json.dumps({**asdict(self.geometry), "noise": self.noise, "spread": self.spread})},
        )
        os.replace(partial, folder / FILE_NAME)
        _note_in_card(folder)
        return folder / FILE_NAME

    @classmethod
    def load(cls, folder: Path | None, noted: VolumeFile | None = None) -> VolumeKnowledge | None:
        """What stands beside a model's card, or None where it does not know volumes.

        noted: what the card says of the file; cards of earlier versions say nothing. Raises ModelError where the file
        is damaged, or gone or another one than the card names.
        """
        path = None if folder is None else folder / FILE_NAME
        if path is not None and noted is not None:
            _require_noted(path, noted)
        if path is None or not path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                settings = json.loads((file.metadata() or {})[_SETTINGS])
                geometry = PlaneGeometry(**{entry.name: settings[entry.name] for entry in fields(PlaneGeometry)})
                noise = float(settings.get("noise", USUAL_NOISE))
                spread = None if settings.get("spread") is None else float(settings["spread"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is damaged ({error}). Get or train the model again.") from error
        if not tensors:
            return cls(geometry, noise=noise, spread=spread)
        if set(tensors) != _TENSORS or tensors["covariance"].shape != (3 * len(tensors["mean"]),) * 2:
            raise ModelError(f"{path} does not hold {', '.join(sorted(_TENSORS))} of one shape. Get the model again.")
        template = PoseTemplate(tensors["template"].astype(np.float32) / 65535, tensors["template_to_canonical"])
        return cls(geometry, template, ShapePrior(tensors["mean"], tensors["covariance"]), noise, spread)


def _note_in_card(folder: Path) -> None:
    if not (folder / CARD_NAME).is_file():
        return
    path = folder / FILE_NAME
    noted = VolumeFile(FILE_NAME, file_sha256(path), path.stat().st_size)
    write_json(folder / CARD_NAME, replace(read_card(folder / CARD_NAME), volume=noted).to_json())


def _require_noted(path: Path, noted: VolumeFile) -> None:
    if noted.file != FILE_NAME:
        raise ModelError(f"{path.parent}: the card names '{noted.file}' for volumes; it must be {FILE_NAME}.")
    if not path.is_file():
        raise ModelError(
            f"{path} is gone, without which the model knows no volumes. Copy the whole model folder again."
        )
    size = path.stat().st_size
    if size != noted.size_bytes or file_sha256(path) != noted.sha256:
        raise ModelError(
            f"{path} ({size} bytes) is not the file that the model's card names ({noted.size_bytes} bytes, sha256 "
            f"{noted.sha256[:12]}...). Copy the whole model folder again, or get the model again."
        )
