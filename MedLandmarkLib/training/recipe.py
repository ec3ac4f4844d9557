"""The numbers of a training run, as they are stored beside the trained weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import DatasetError


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted. Learning rates follow a linear warm-up and then a half cosine down to zero.

    trunk_learning_rate applies to the pretrained trunk, learning_rate to all that starts from random numbers.
    ema_decay: of the running average of the weights, which is what the trained model consists of.
    sigma: of the Gaussian targets in heatmap px.
    start: "imagenet", or the id or folder of a model whose weights to begin with.
    cases_per_epoch: of each dataset at most, drawn anew every epoch, so that a large one does not crowd out the small.
    """

    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 1.5e-3
    trunk_learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup_steps: int = 100
    gradient_clip: float = 5.0
    ema_decay: float = 0.995
    loss: str = "cross_entropy"
    sigma: float = 2.0
    augmentation: str = "mild"
    holdout: float = 0.12
    precision: str = "32-true"
    start: str = "imagenet"
    cases_per_epoch: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "trunk_learning_rate", "sigma"):
            if not getattr(self, name) > 0:
                raise DatasetError(f"Recipe: {name} is {getattr(self, name)}; it must be above 0.")
        if self.cases_per_epoch is not None and self.cases_per_epoch < 1:
            raise DatasetError(f"Recipe: cases_per_epoch is {self.cases_per_epoch}; it must be at least 1, or null.")
        if not 0.0 <= self.holdout < 1.0:
            raise DatasetError(f"Recipe: holdout is {self.holdout}; it must be a share of the cases, 0 up to below 1.")

    def as_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_file(cls, path: Path | str) -> Recipe:
        """Read a recipe from JSON; DatasetError on an unknown name, so that a typing error is not silently ignored."""
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise DatasetError(f"{path}: unknown setting '{unknown[0]}'; a recipe has: {', '.join(sorted(known))}.")
        return cls(**values)
