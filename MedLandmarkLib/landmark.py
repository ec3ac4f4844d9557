"""Landmarks and what is known of each: where it is, how sure that is, and who said so last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from .errors import SchemeError


class Status(str, Enum):
    """What a reader may assume about a landmark's position (or about a measurement made from it)."""

    PREDICTED = "predicted"  # the model is confident; nobody has looked yet
    DOUBTFUL = "doubtful"  # the model itself does not trust it; `reason` says why
    ACCEPTED = "accepted"  # a person looked and agreed
    EDITED = "edited"  # a person moved it
    MISSING = "missing"  # not in this image, by the model's or a person's judgement
    UNDEFINED = "undefined"  # nobody has placed it yet

    @property
    def is_usable(self) -> bool:
        """Whether a position with this status may enter a measurement."""
        return self not in (Status.MISSING, Status.UNDEFINED)


@dataclass(frozen=True)
class Landmark:
    """One named point.

    `ijk` is continuous (column, row, slice) in pixels of the image as read, a pixel's centre at its integer. It holds
    the latest estimate whatever the status, so that a missing or doubtful landmark can still be looked at.
    `ras` is the same point in patient space, mm; None where the image has no calibration.
    `confidence` (0..1) estimates the probability that the error is within the scheme's tolerance; None where the model
    was never calibrated. `score` is the raw peak of the heatmap.
    `predicted_ijk` keeps the model's own position beside an edit.
    """

    name: str
    ijk: tuple[float, float, float] | None = None
    ras: tuple[float, float, float] | None = None
    status: Status = Status.UNDEFINED
    confidence: float | None = None
    score: float | None = None
    reason: str = ""
    predicted_ijk: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for frame, point in (("ijk", self.ijk), ("ras", self.ras)):
            if point is not None and not np.all(np.isfinite(point)):
                raise ValueError(f"Landmark '{self.name}': {frame} {point} is not finite.")
        if self.ijk is None and self.ras is None and self.status not in (Status.MISSING, Status.UNDEFINED):
            raise ValueError(f"Landmark '{self.name}' is {self.status.value} but has no position.")


@dataclass(frozen=True)
class LandmarkSet:
    """The landmarks of one scheme in one frame of one image, in the scheme's order."""

    scheme_id: str
    landmarks: tuple[Landmark, ...] = field(default_factory=tuple)
    frame: int = 0

    def __iter__(self) -> Iterator[Landmark]:
        return iter(self.landmarks)

    def __len__(self) -> int:
        return len(self.landmarks)

    def __getitem__(self, name: str) -> Landmark:
        for landmark in self.landmarks:
            if landmark.name == name:
                return landmark
        raise SchemeError(f"There is no landmark '{name}' in scheme {self.scheme_id}; it has: {', '.join(self.names)}.")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(landmark.name for landmark in self.landmarks)

    @property
    def unit(self) -> str:
        """The unit of `points`: "mm" where every positioned landmark has a place in patient space, else "px"."""
        positioned = [landmark for landmark in self.landmarks if landmark.ijk is not None or landmark.ras is not None]
        return "mm" if positioned and all(landmark.ras is not None for landmark in positioned) else "px"

    def points(self) -> dict[str, np.ndarray]:
        """Positions (3,) of the usable landmarks by name: RAS in mm where calibrated, otherwise ijk in px."""
        in_mm = self.unit == "mm"
        return {
            landmark.name: np.asarray(landmark.ras if in_mm else landmark.ijk, float)
            for landmark in self.landmarks
            if landmark.status.is_usable and (landmark.ras if in_mm else landmark.ijk) is not None
        }

    def replaced(self, landmark: Landmark) -> LandmarkSet:
        """A copy in which `landmark` stands in the place of the one with its name."""
        self[landmark.name]
        return replace(self, landmarks=tuple(landmark if old.name == landmark.name else old for old in self.landmarks))
