"""What is known of each model, as data: `Resources/Models.json`, and the card.json that lies beside installed weights.

A card says what a model detects, under which licence, where its weights come from and which input it wants. Cards need
no torch, so that a list of models can be shown at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..resources import resource_path


@dataclass(frozen=True)
class InputGeometry:
    """How an image becomes the network's canvas, and how its heatmaps are read.

    size_wh: canvas (W, H), px. padding: canvas over image. mean, std: per RGB channel, on values 0-255.
    resampling: "opencv-bilinear" (the reference's fixed-point warp) or "area" (antialiased).
    heatmap_size_wh: heatmap (W, H), px. sigma: of the heatmap's Gaussian, heatmap px. blur_kernel: heatmap px, odd.
    """

    size_wh: tuple[int, int]
    padding: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resampling: str
    heatmap_size_wh: tuple[int, int]
    sigma: float
    blur_kernel: int


@dataclass(frozen=True)
class View:
    """A further look at a picture: a region `scale` times its size, moved by `shift` of its width and height."""

    scale: float
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class SchemeChannels:
    """The channels [first, stop) of a scheme's landmarks, and the scheme's own canvas (W, H), px, where it has one.

    views: further looks at each picture, averaged with the first; each takes the time of one more detection.
    """

    first: int
    stop: int
    input_size_wh: tuple[int, int] | None = None
    views: tuple[View, ...] = ()

    @property
    def count(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True)
class Licence:
    name: str
    spdx: str
    url: str
    noncommercial: bool
    summary: str
    text_file: str | None = None

    def full_text(self, with_legal_text: bool = True) -> str:
        """The summary, the whole licence where its text ships with MedLandmark, and where to read it."""
        parts = [f"{self.name} ({self.spdx})", self.summary]
        if self.text_file and with_legal_text:
            parts.append(resource_path("Licences", self.text_file).read_text(encoding="utf-8").strip())
        parts.append(f"Read it at {self.url}")
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Source:
    """Where the weights are published. `download_url` is None where only a person with a browser can fetch them."""

    page_url: str
    download_url: str | None
    file_name: str
    sha256: str | None
    size_bytes: int | None
    size_is_approximate: bool
    note: str


@dataclass(frozen=True)
class Weights:
    """The files of an installed model.

    file lies beside card.json (None for a base, whose file is shared); base_sha256 names bases/<sha256>.safetensors.
    imported_from and imported_sha256 identify the file that was converted.
    """

    file: str | None
    sha256: str
    size_bytes: int
    base_sha256: str | None = None
    imported_from: str | None = None
    imported_sha256: str | None = None


@dataclass(frozen=True)
class VolumeFile:
    """What a model knows of volumes beside its network (`detection.volume.knowledge`), or the annotated volume that it
    is (`models.atlas`): a file beside card.json."""

    file: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if self.file != Path(self.file).name:
            raise TypeError(f"file '{self.file}' is not beside the card")


@dataclass(frozen=True)
class ModelCard:
    """One model. `accuracy`, `training` and `expected_seconds` are as in Resources/Model-schema.json."""

    id: str
    title: str
    version: str
    family: str
    description: str
    architecture: dict[str, Any]
    input: InputGeometry | None  # None: it reads volumes, not canvases
    schemes: dict[str, SchemeChannels]
    flip_test: bool
    base: str | None
    licence: Licence
    citation: str
    source: Source | None = None
    expected_seconds: dict[str, float] | None = None
    accuracy: tuple[dict[str, Any], ...] = ()
    training: dict[str, Any] | None = None
    confidence: dict[str, Any] | None = None
    weights: Weights | None = None
    volume: VolumeFile | None = None
    folder: Path | None = field(default=None, compare=False)
    is_embedded: bool = field(default=False, compare=False)

    @property
    def is_base(self) -> bool:
        """Whether it detects nothing by itself and only serves other models."""
        return not self.schemes

    @property
    def sha256(self) -> str | None:
        """Identity of the installed weights; it also covers the base, whose hash stands inside the file."""
        return self.weights.sha256 if self.weights else None

    @property
    def size_bytes(self) -> int | None:
        """Of the installed weights, else of what must be downloaded; None where nobody published it."""
        if self.weights:
            return self.weights.size_bytes
        return self.source.size_bytes if self.source else None

    def channels(self, scheme_id: str) -> SchemeChannels:
        """The channels of a scheme. Raises ModelError where the model was not made for it."""
        if scheme_id in self.schemes:
            return self.schemes[scheme_id]
        if self.is_base:
            raise ModelError(f"Model '{self.id}' is a base: it detects nothing by itself. Choose a model built on it.")
        raise ModelError(f"Model '{self.id}' does not know scheme '{scheme_id}'. It knows: {', '.join(self.schemes)}.")

    def input_for(self, scheme_id: str) -> InputGeometry:
        """The input geometry for a scheme: the model's own, on the scheme's canvas where it has one."""
        size_wh = self.channels(scheme_id).input_size_wh
        if self.input is None:
            raise ModelError(f"Model '{self.id}' finds landmarks in whole volumes, not in pictures or single planes.")
        if size_wh is None:
            return self.input
        heatmap_size_wh = tuple(
            round((side - 1) * (heatmap - 1) / (own - 1)) + 1
            for side, heatmap, own in zip(size_wh, self.input.heatmap_size_wh, self.input.size_wh, strict=True)
        )
        return replace(self.input, size_wh=size_wh, heatmap_size_wh=heatmap_size_wh)

    def to_json(self) -> dict[str, Any]:
        """The card as in card.json. Where it lies on disk is not part of it."""
        return {key: value for key, value in asdict(self).items() if key not in ("folder", "is_embedded")}


def card_from_json(data: Any, where: str, folder: Path | None = None, is_embedded: bool = False) -> ModelCard:
    """The card that `data` describes. Raises ModelError that names `where` and the field that is wrong."""
    if not isinstance(data, Mapping):
        raise ModelError(f"{where}: a model card is a JSON object, not {type(data).__name__}. Import the model again.")
    fields = dict(data)
    try:
        if fields["input"] is not None or fields.get("family") != "atlas":
            fields["input"] = InputGeometry(**_with_tuples(fields["input"]))
        fields["schemes"] = {scheme: _channels_from_json(channels) for scheme, channels in fields["schemes"].items()}
        fields["licence"] = Licence(**fields["licence"])
        fields["source"] = Source(**fields["source"]) if fields.get("source") else None
        fields["weights"] = Weights(**fields["weights"]) if fields.get("weights") else None
        fields["volume"] = VolumeFile(**fields["volume"]) if fields.get("volume") else None
        fields["accuracy"] = tuple(fields.get("accuracy") or ())
        card = ModelCard(**fields, folder=folder, is_embedded=is_embedded)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{where}: the model card is incomplete or has a wrong field ({error}).") from error
    for scheme, channels in card.schemes.items():
        if not 0 <= channels.first < channels.stop:
            raise ModelError(f"{where}: scheme '{scheme}' has channels {channels.first} to {channels.stop}.")
    return card


def _channels_from_json(fields: Mapping[str, Any]) -> SchemeChannels:
    views = tuple(View(**_with_tuples(view)) for view in fields.get("views", ()))
    return SchemeChannels(**_with_tuples({**fields, "views": views}))


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def read_card(path: Path, is_embedded: bool = False) -> ModelCard:
    """The card.json at `path`. Raises ModelError where it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}). Delete the model and import it again.") from error
    return card_from_json(data, str(path), folder=path.parent, is_embedded=is_embedded)


@cache
def catalogue() -> dict[str, ModelCard]:
    """The cards that ship with MedLandmark, by id: the embedded models first, then those to download."""
    cards = {}
    for path in sorted(resource_path("Models").glob("*/card.json")):
        card = read_card(path, is_embedded=True)
        cards[card.id] = card
    path = resource_path("Models.json")
    for entry in json.loads(path.read_text(encoding="utf-8"))["models"]:
        card = card_from_json(entry, str(path))
        cards[card.id] = card
    return cards


def catalogue_card(model_id: str) -> ModelCard | None:
    """The shipped card of this id, or None where MedLandmark knows nothing of it."""
    return catalogue().get(model_id)
