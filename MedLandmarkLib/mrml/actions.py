"""What a reviewer does to landmarks, as plain functions from landmarks to landmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..landmark import Landmark, LandmarkSet, Status

_TO_ACCEPT = (Status.PREDICTED, Status.DOUBTFUL)


def accepted(landmarks: LandmarkSet, names: Iterable[str]) -> LandmarkSet:
    """The named landmarks agreed to: predicted and doubtful ones become accepted.

    An edited landmark is a person's work already, and an absent one has no place to agree to; both stay as they are.
    """

    def agree(old: Landmark) -> Landmark:
        return replace(old, status=Status.ACCEPTED, reason="") if old.status in _TO_ACCEPT else old

    return _changed(landmarks, names, agree)


def confident_names(landmarks: LandmarkSet) -> tuple[str, ...]:
    """The landmarks that the model trusts and nobody has looked at yet."""
    return tuple(landmark.name for landmark in landmarks if landmark.status is Status.PREDICTED)


def marked_missing(landmarks: LandmarkSet, names: Iterable[str]) -> LandmarkSet:
    """The named landmarks as not in this image; their estimates are kept."""

    def mark(old: Landmark) -> Landmark:
        return old if old.status is Status.MISSING else replace(old, status=Status.MISSING, reason="marked by hand")

    return _changed(landmarks, names, mark)


def reverted(landmarks: LandmarkSet, prediction: LandmarkSet, names: Iterable[str]) -> LandmarkSet:
    """The named landmarks as the model found them: its pixel, its status, its confidence, its reason.

    Where the image was calibrated or moved since, their place in patient space is out of date (`in_current_space`).
    """
    return _changed(landmarks, names, lambda old: prediction[old.name])


def next_to_review(landmarks: LandmarkSet, after: str = "") -> str:
    """The next doubtful landmark after the named one, going round; empty where there is none."""
    names = landmarks.names
    start = names.index(after) + 1 if after in names else 0
    for landmark in landmarks.landmarks[start:] + landmarks.landmarks[:start]:
        if landmark.status is Status.DOUBTFUL:
            return landmark.name
    return ""


def _changed(landmarks: LandmarkSet, names: Iterable[str], change: Callable[[Landmark], Landmark]) -> LandmarkSet:
    wanted = set(names)
    for name in wanted:
        landmarks[name]  # SchemeError where there is none
    return replace(
        landmarks,
        landmarks=tuple(change(landmark) if landmark.name in wanted else landmark for landmark in landmarks),
    )
