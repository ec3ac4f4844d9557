"""What a model knows of volumes, beside its network: how planes are cut, how the anatomy looks and lies on average."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ...errors import ModelError
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
        """Write `folder`/volume.safetensors, whole or not at all."""
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
        return folder / FILE_NAME

    @classmethod
    def load(cls, folder: Path | None) -> VolumeKnowledge | None:
        """What stands beside a model's card, or None where it does not know volumes. Raises ModelError if damaged."""
        path = None if folder is None else folder / FILE_NAME
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
