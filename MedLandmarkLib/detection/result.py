"""What a detection gives back, whole: the image, the model and its settings, and the landmarks of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..image import Image
from ..landmark import LandmarkSet
from ..measure import Measurement
from ..scheme import Scheme


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights made a prediction; sha256 is of the weights file."""

    id: str
    version: str
    sha256: str


@dataclass(frozen=True)
class FrameResult:
    """Landmarks and measurements of one frame."""

    landmarks: LandmarkSet
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class Detection:
    """The landmarks of one scheme in one image.

    settings: device, precision, flip and slice as they were used, not as they were asked for.
    notes: what the user should know, such as a fall-back to the CPU.
    """

    image: Image
    scheme: Scheme
    model: ModelIdentity
    settings: Mapping[str, object]
    frames: tuple[FrameResult, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)
