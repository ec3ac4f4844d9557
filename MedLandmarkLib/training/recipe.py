"""The numbers of a training run, as they are stored beside the trained weights."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..detection.views import MOST_LOOKS
from ..errors import DatasetError
from ..models.lite import STAGE_COUNT
from ..models.sapiens_architecture import SAPIENS_SIZES
from .augmentation import AUGMENTATIONS
from .losses import LOSSES

LITE = "lite"
SAPIENS = "sapiens"
FROM_IMAGENET = "imagenet"
BACKBONES = (LITE, SAPIENS, *(f"{SAPIENS}-{size}" for size in SAPIENS_SIZES))
ADAPTATIONS = ("full", "lora", "norms", "head")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")

_POSITIVE = ("learning_rate", "trunk_learning_rate", "sigma", "gradient_clip")
_WHOLE = ("epochs", "batch_size", "accumulate", "validate_every", "lora_qkv_rank", "lora_proj_rank")
_WHOLE_OR_NONE = ("cases_per_epoch", "patience", "checkpoint_every")
_USUAL_AUGMENTATION = "mild"
_SHARES = ("holdout", "ema_decay", "lora_dropout")


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted. Learning rates follow a linear warm-up and then a half cosine down to zero.

    backbone: "lite", a Sapiens by name ("sapiens-0.3b"), or "sapiens" for the size of the model it starts from.
    adapt: what is learned. "full": everything; "head": what follows the trunk; "norms": the normalisations and the
    last layer; "lora": low-rank matrices beside Sapiens' qkv and proj, and the head.
    frozen_stages: of lite's trunk (0 to 6) whose convolutions and normalisations stay as the first weights have them; a
    model that is joined with the one it began with then needs no room for them again.
    trunk_learning_rate applies to the pretrained trunk, learning_rate to what follows it; each layer further from the
    trunk's end learns layer_decay times slower (BEiT; Bao et al., ICLR 2022, section 3).
    batch_size: images that go through the network together; `accumulate` of them make a step, on each device.
    ema_decay: of the running average of the weights, which is what the trained model consists of.
    sigma: of the Gaussian targets in heatmap px.
    start: "imagenet" (lite), or the id or folder of a model whose weights to begin with.
    cases_per_epoch: of each dataset at most, drawn anew every epoch, so that a large one does not crowd out the small.
    validate_every: epochs; patience: validations without a better error after which the run ends early (null: never).
    checkpoint_every: steps between checkpoints; null: after every epoch.
    augmentation: a name of augmentation.AUGMENTATIONS, or one for each scheme, as {"fetal-head-4": "any-pose"}, where a
    scheme that is not named has "mild".
    auxiliary: learn a dataset's further landmarks too, those that its scheme does not name. Together they count as much
    as the scheme's; the model does not offer them, but knows better what lies around those that it does (Caruana,
    Multitask learning, Machine Learning 28, 1997).
    views: looks at each picture when the model detects, of detection.views the first; each takes as long as one alone.
    checkpoint_gradients: compute Sapiens' activations twice instead of keeping them.
    lora_qkv_rank, lora_proj_rank, lora_dropout: as MedSapiens; the scaling, alpha / rank, is 1 as there.
    """

    backbone: str = LITE
    adapt: str = "full"
    frozen_stages: Sequence[int] = ()
    epochs: int = 60
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 1.5e-3
    trunk_learning_rate: float = 5e-4
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    warmup_steps: int = 100
    gradient_clip: float = 5.0
    ema_decay: float = 0.995
    loss: str = "cross_entropy"
    sigma: float = 2.0
    augmentation: str | Mapping[str, str] = _USUAL_AUGMENTATION
    auxiliary: bool = False
    holdout: float = 0.12
    precision: str = "32-true"
    start: str = FROM_IMAGENET
    cases_per_epoch: int | None = None
    validate_every: int = 5
    patience: int | None = None
    checkpoint_every: int | None = None
    views: int = 1
    checkpoint_gradients: bool = False
    lora_qkv_rank: int = 4
    lora_proj_rank: int = 8
    lora_dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            self._require(name, _is_number(getattr(self, name)) and getattr(self, name) > 0, "above 0")
        for name in _WHOLE:
            self._require(name, _is_whole(getattr(self, name), 1), "a whole number of at least 1")
        for name in _WHOLE_OR_NONE:
            value = getattr(self, name)
            self._require(name, value is None or _is_whole(value, 1), "a whole number of at least 1, or null")
        for name in _SHARES:
            value = getattr(self, name)
            self._require(name, _is_number(value) and 0.0 <= value < 1.0, "a share, 0 up to below 1")
        is_possible = _is_whole(self.views, 1) and self.views <= MOST_LOOKS
        self._require("views", is_possible, f"a whole number from 1 to {MOST_LOOKS}")
        frozen = self.frozen_stages
        is_possible = isinstance(frozen, (list, tuple)) and all(
            _is_whole(one, 0) and one < STAGE_COUNT for one in frozen
        )
        self._require("frozen_stages", is_possible, f"a list of whole numbers from 0 to {STAGE_COUNT - 1}")
        object.__setattr__(self, "frozen_stages", tuple(frozen))  # from JSON it comes as a list
        is_possible = not frozen or (self.is_lite and self.start != FROM_IMAGENET)
        self._require("frozen_stages", is_possible, "empty, unless a trained lite model is begun with")
        self._require("auxiliary", isinstance(self.auxiliary, bool), "true or false")
        for name in ("seed", "warmup_steps"):
            self._require(name, _is_whole(getattr(self, name), 0), "a whole number of at least 0")
        decay, weight_decay = self.layer_decay, self.weight_decay
        self._require("layer_decay", _is_number(decay) and 0.0 < decay <= 1.0, "above 0 and at most 1")
        self._require("weight_decay", _is_number(weight_decay) and weight_decay >= 0.0, "at least 0")
        self._require_one_of("backbone", BACKBONES)
        self._require_one_of("adapt", ADAPTATIONS)
        self._require_one_of("loss", LOSSES)
        for name in self.augmentation.values() if isinstance(self.augmentation, Mapping) else (self.augmentation,):
            self._require(
                "augmentation", name in AUGMENTATIONS, f"one of {', '.join(AUGMENTATIONS)}, or one per scheme"
            )
        self._require_one_of("precision", PRECISIONS)

    @property
    def is_lite(self) -> bool:
        return self.backbone == LITE

    def augmentation_of(self, scheme_id: str) -> str:
        """The name of the augmentation for pictures of a scheme."""
        named = self.augmentation
        return named.get(scheme_id, _USUAL_AUGMENTATION) if isinstance(named, Mapping) else named

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def usual(cls, backbone: str = LITE, **changes: Any) -> Recipe:
        """The usual settings for a backbone: Sapiens' are MedSapiens' (its training configuration), lite's our own.

        Raises DatasetError for an unknown setting or value.
        """
        if backbone == LITE:
            usual: dict[str, Any] = {}
        else:
            usual = {
                "adapt": "lora", "batch_size": 2, "learning_rate": 5e-4, "trunk_learning_rate": 5e-4,
                "layer_decay": 0.85, "weight_decay": 0.1, "warmup_steps": 500, "gradient_clip": 1.0,
                "loss": "squared_error", "sigma": 3.0, "start": backbone,
            }  # fmt: skip
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise DatasetError(f"Unknown setting '{unknown[0]}'; a recipe has: {', '.join(sorted(known))}.")
        return cls(**{**usual, "backbone": backbone, **changes})

    @classmethod
    def from_file(cls, path: Path | str, **changes: Any) -> Recipe:
        """Read a recipe from JSON; `changes` go before what stands there, the usual settings behind it.

        Raises DatasetError where the file is no JSON object, or on an unknown name or value, so that a typing error is
        not silently ignored.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read as JSON ({error}).") from error
        if not isinstance(values, dict):
            raise DatasetError(f"{path}: a recipe is a JSON object of settings, not a {type(values).__name__}.")
        try:
            return cls.usual(**{**values, **changes})
        except DatasetError as error:
            raise DatasetError(f"{path}: {error}") from error

    def _require(self, name: str, is_right: bool, wanted: str) -> None:
        if not is_right:
            raise DatasetError(f"Recipe: {name} is {getattr(self, name)!r}; it must be {wanted}.")

    def _require_one_of(self, name: str, known: Collection[str]) -> None:
        if getattr(self, name) not in known:
            raise DatasetError(f"Recipe: {name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
