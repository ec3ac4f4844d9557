"""A clip's landmarks: detections frame by frame, key frames that a person placed, and what both together say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .smoothing import SmoothingSettings, smooth

_BY_HAND = (Status.EDITED, Status.ACCEPTED, Status.MISSING)


@dataclass(frozen=True, eq=False)
class Track:
    """The landmarks of one scheme through all frames of one clip.

    detected: one set per frame, numbered from 0 without a gap; what the model said, never changed.
    times_s: seconds since the first frame, rising, one per frame; None where the file does not tell.
    ijk_to_ras: (4, 4), or None without a calibration: the landmarks have no place in patient space then.
    tolerance_px: how far a landmark may be off and still count as right; a frame that disagrees by less is not flagged.
    fixed: key frames, by frame and name of the landmark: EDITED or ACCEPTED with an ijk, or MISSING.
    pulse: how the pictures change with the beat, one number per frame, without unit or sign; None where not looked at.
    rhythm: the first principal components of the pictures' change, one number per frame each, not smoothed.
    Raises MedLandmarkError where frames, times or key frames do not fit together.
    """

    scheme_id: str
    detected: tuple[LandmarkSet, ...]
    times_s: tuple[float, ...] | None = None
    ijk_to_ras: np.ndarray | None = None
    tolerance_px: float = 5.0
    settings: SmoothingSettings = field(default_factory=SmoothingSettings)
    fixed: Mapping[int, Mapping[str, Landmark]] = field(default_factory=dict)
    pulse: tuple[float, ...] | None = None
    rhythm: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        numbers = [landmarks.frame for landmarks in self.detected]
        if not numbers or numbers != list(range(len(numbers))):
            raise MedLandmarkError(f"A track needs every frame once, from 0; it was given {numbers[:5]}...")
        if len({landmarks.names for landmarks in self.detected}) != 1:
            raise MedLandmarkError("A track needs the same landmarks in every frame, in the same order.")
        if self.times_s is not None:
            steps = np.diff(self.times_s)
            if len(self.times_s) != len(numbers) or not np.all(np.isfinite(self.times_s)) or np.any(steps <= 0):
                raise MedLandmarkError(f"{len(numbers)} frames need as many times in s, each later than the last.")
        for component in (*(() if self.pulse is None else (self.pulse,)), *self.rhythm):
            if len(component) != len(numbers) or not np.all(np.isfinite(component)):
                raise MedLandmarkError(f"{len(numbers)} frames need as many finite numbers of the pulse.")
        for frame, landmarks in self.fixed.items():
            for landmark in landmarks.values():
                self._check_fixed(frame, landmark)

    def __len__(self) -> int:
        return len(self.detected)

    @property
    def names(self) -> tuple[str, ...]:
        return self.detected[0].names

    @property
    def key_frames(self) -> tuple[int, ...]:
        """The frames in which a person placed, accepted or removed a landmark."""
        return tuple(sorted(frame for frame, landmarks in self.fixed.items() if landmarks))

    @cached_property
    def frames(self) -> tuple[LandmarkSet, ...]:
        """The smooth course, one set per frame (see `smooth`)."""
        return smooth(self)

    def with_fixed(self, frame: int, landmark: Landmark) -> Track:
        """This track with one landmark of one frame as a person has it. Raises MedLandmarkError."""
        self._check_fixed(frame, landmark)
        kept = {number: dict(landmarks) for number, landmarks in self.fixed.items()}
        kept.setdefault(frame, {})[landmark.name] = landmark
        return replace(self, fixed=kept)

    def without_fixed(self, frame: int, name: str | None = None) -> Track:
        """This track with a landmark of a key frame (all of them where `name` is None) left to the model again."""
        kept = {number: dict(landmarks) for number, landmarks in self.fixed.items()}
        removed = kept.pop(frame, {})
        remaining = {other: landmark for other, landmark in removed.items() if name is not None and other != name}
        if remaining:
            kept[frame] = remaining
        return replace(self, fixed=kept)

    def ras(self, ijk: np.ndarray) -> np.ndarray | None:
        """(..., 3) ijk in patient space, mm; None without a calibration."""
        if self.ijk_to_ras is None:
            return None
        return np.asarray(ijk, float) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def _check_fixed(self, frame: int, landmark: Landmark) -> None:
        if not 0 <= frame < len(self.detected):
            raise MedLandmarkError(f"There is no frame {frame}: the track has frames 0 to {len(self.detected) - 1}.")
        self.detected[frame][landmark.name]
        if landmark.status not in _BY_HAND or (landmark.ijk is None and landmark.status is not Status.MISSING):
            raise MedLandmarkError(
                f"{landmark.name} in frame {frame} is {landmark.status.value}; a key frame holds landmarks that a "
                "person edited or accepted, with their position, or marked missing."
            )
