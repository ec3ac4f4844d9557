"""From detections frame by frame to a smooth course: weighed, checked against their neighbours, bridged, corrected."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .penalised import FEWEST_POINTS, smoothed
from .rhythm import rhythmic_part

if TYPE_CHECKING:
    from .track import Track

_FIXED_WEIGHT = 1e4  # a person's point moves by about a ten-thousandth of what its neighbours pull
_WEIGHT_RANGE = (1 / 16, 4.0)  # of a frame against the track's median frame
_BIWEIGHT_ROUNDS = 12
_MEDIAN_WINDOW_S = 0.25
_STIFFER = 0.6  # cut-off of the course that frames are judged by: one that a few bad frames in a row cannot bend
_RAYLEIGH_MEDIAN = 1.1774  # median distance over standard deviation along one axis, of a round normal distribution


@dataclass(frozen=True)
class SmoothingSettings:
    """How a track is smoothed.

    cutoff_hz: the frequency that is halved. A heart at 60 to 100 beats per minute moves its walls mostly below its
    fourth harmonic, 4 to 7 Hz. most_of_rate: it is never more than this part of the frame rate, or nothing would be
    smoothed in slow clips. gate_sigmas: a frame whose landmark lies further than this many standard deviations of the
    track's own noise from the course of its neighbours, and by more than the track's tolerance, disagrees.
    longest_gap_s: frames without a landmark are bridged up to this long; a longer gap stays missing.
    assumed_rate_hz: where the file states no times.
    """

    cutoff_hz: float = 6.0
    most_of_rate: float = 0.25
    gate_sigmas: float = 4.0
    longest_gap_s: float = 0.15
    assumed_rate_hz: float = 30.0

    def __post_init__(self) -> None:
        for name in ("cutoff_hz", "gate_sigmas", "longest_gap_s", "assumed_rate_hz"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise MedLandmarkError(f"The smoothing's {name} is {value}; it must be above 0.")
        if not 0 < self.most_of_rate < 0.5:
            raise MedLandmarkError(f"The smoothing's most_of_rate is {self.most_of_rate}; it lies between 0 and 0.5.")

    def cutoff_of_rate(self, step_s: float) -> float:
        """The frequency that is halved, over the frame rate, where frames are `step_s` apart."""
        return min(self.cutoff_hz * step_s, self.most_of_rate)


def smooth(track: Track) -> tuple[LandmarkSet, ...]:
    """The smooth course of every landmark, one set per frame.

    A frame counts by its confidence: of two frames the one with the smaller expected variance pulls more
    (`variance_of_confidence`). What goes with the rhythm of the pictures stays as sharp as it is there
    (`rhythmic_part`). What a person placed is met to a ten-thousandth. Frames that disagree with the course of their
    neighbours do not count; they, and frames without a landmark, are bridged up to the stated length as DOUBTFUL
    with the reason, and are MISSING in a longer gap, before the first good frame and behind the last: nothing is
    invented there. `predicted_ijk` keeps the model's own position.
    """
    courses = [_course(track, name) for name in track.names]
    return tuple(
        LandmarkSet(track.scheme_id, tuple(course[frame] for course in courses), frame) for frame in range(len(track))
    )


def variance_of_confidence(confidence: np.ndarray, tolerance: float = 1.0) -> np.ndarray:
    """The variance along one axis of a round normal error that stays within `tolerance` with this probability.

    The error's length then has a Rayleigh distribution: confidence = 1 - exp(-tolerance² / (2 variance)).
    """
    return tolerance**2 / (-2 * np.log1p(-np.clip(confidence, 0.01, 0.99)))


def frame_times(track: Track) -> np.ndarray:
    """(F,) seconds; of a clip without times those of the assumed rate."""
    if track.times_s is not None:
        return np.asarray(track.times_s, float)
    return np.arange(len(track)) / track.settings.assumed_rate_hz


def _course(track: Track, name: str) -> list[Landmark]:
    detected = [landmarks[name] for landmarks in track.detected]
    placed = {frame: landmarks[name] for frame, landmarks in track.fixed.items() if name in landmarks}
    times = frame_times(track)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / track.settings.assumed_rate_hz
    cutoff = track.settings.cutoff_of_rate(step)
    ijk = np.array([(math.nan,) * 3 if item.ijk is None else item.ijk for item in detected])  # (F, 3)
    weights = np.array([item.status.is_usable and item.ijk is not None for item in detected], float)
    weights *= _confidence_weights(detected)
    off = _disagreement(ijk[:, :2], weights, times, _STIFFER * cutoff, track, step)
    weights[off > 0] = 0
    sharp = np.zeros((len(ijk), 2))
    if np.count_nonzero(weights) >= FEWEST_POINTS:
        sharp = rhythmic_part(ijk[:, :2], weights, times, cutoff, track.rhythm)
    for frame, landmark in placed.items():
        weights[frame] = 0 if landmark.status is Status.MISSING else _FIXED_WEIGHT
        if landmark.ijk is not None:
            ijk[frame] = landmark.ijk
    counts = weights > 0
    if counts.sum() >= FEWEST_POINTS:
        ijk[:, :2] = np.where(
            (counts | _bridged(counts, step, track.settings))[:, None],
            sharp + smoothed(ijk[:, :2] - sharp, weights, times, cutoff),
            ijk[:, :2],
        )
    bridged = _bridged(counts, step, track.settings) & (counts.sum() >= FEWEST_POINTS)
    if np.isnan(ijk[:, 2]).any() and np.isfinite(ijk[:, 2]).any():
        ijk[:, 2] = np.where(np.isnan(ijk[:, 2]), np.nanmedian(ijk[:, 2]), ijk[:, 2])
    return [
        placed_landmark(track, item, placed[frame])
        if frame in placed
        else _landmark(track, item, ijk[frame], counts[frame], bridged[frame], off[frame])
        for frame, item in enumerate(detected)
    ]


def placed_landmark(track: Track, detected: Landmark, placed: Landmark) -> Landmark:
    """A landmark of a key frame as it is to be shown: where the person has it, the model's own position beside it."""
    ras = None if placed.ijk is None else track.ras(np.array(placed.ijk))
    return replace(
        placed,
        ras=None if ras is None else tuple(ras.tolist()),
        confidence=detected.confidence,
        score=detected.score,
        predicted_ijk=detected.ijk,
    )


def _confidence_weights(detected: list[Landmark]) -> np.ndarray:
    """(F,): the median frame's expected variance over each frame's; 1 where the model was not calibrated."""
    stated = np.array([math.nan if item.confidence is None else item.confidence for item in detected])
    usable = np.isfinite(stated) & [item.status.is_usable for item in detected]
    if not usable.any():
        return np.ones(len(detected))
    variance = variance_of_confidence(np.where(np.isfinite(stated), stated, np.median(stated[usable])))
    return np.clip(np.median(variance[usable]) / variance, *_WEIGHT_RANGE)


def _disagreement(
    xy: np.ndarray, weights: np.ndarray, times: np.ndarray, cutoff: float, track: Track, step: float
) -> np.ndarray:
    """(F,): how far each frame lies from the course of its neighbours, px; 0 where that is within the gate.

    The gate is so many standard deviations of the track's own noise, and no less than its tolerance: what a sharp peak
    differs from a stiff course is no disagreement. The course is fitted by iteration with Tukey's biweight (Beaton and
    Tukey, Technometrics 16, 1974), begun from a running median, so that a few bad frames in a row do not draw it to
    themselves.
    """
    used = weights > 0
    if used.sum() <= FEWEST_POINTS:
        return np.zeros(len(xy))
    window = max(5, round(_MEDIAN_WINDOW_S / step)) // 2
    course = np.full_like(xy, math.nan)
    for frame in np.flatnonzero(used):
        near = slice(max(frame - window, 0), frame + window + 1)
        course[frame] = np.median(xy[near][used[near]], axis=0)
    course = smoothed(course, weights, times, cutoff)
    for _ in range(_BIWEIGHT_ROUNDS):
        distance = np.where(used, np.linalg.norm(xy - course, axis=1), 0.0)
        # of the noise itself: the course follows the part of it that lies below the cut-off
        sigma = float(np.median(distance[used])) / _RAYLEIGH_MEDIAN / math.sqrt(1 - 2 * cutoff)
        gate = max(track.settings.gate_sigmas * sigma, track.tolerance_px)
        trust = np.clip(1 - (distance / (1.5 * gate)) ** 2, 0, None) ** 2
        if np.count_nonzero(trust * weights) < FEWEST_POINTS:
            break
        course = smoothed(xy, trust * weights, times, cutoff)
    distance = np.where(used, np.linalg.norm(xy - course, axis=1), 0.0)
    return np.where(distance > gate, distance, 0.0)


def _bridged(counts: np.ndarray, step: float, settings: SmoothingSettings) -> np.ndarray:
    """(F,) bool: frames that do not count, between two that do, in a gap of at most the stated length."""
    bridged = np.zeros(len(counts), bool)
    good = np.flatnonzero(counts)
    for before, after in pairwise(good):
        if after - before > 1 and (after - before - 1) * step <= settings.longest_gap_s + 1e-9:
            bridged[before + 1 : after] = True
    return bridged


def _landmark(track: Track, item: Landmark, ijk: np.ndarray, counts: bool, is_bridged: bool, off_px: float) -> Landmark:
    """A frame's landmark after smoothing, with what is to be said of it."""
    status, reason = item.status, item.reason
    if not counts:
        if item.status.is_usable:
            reason = f"lies {off_px:.0f} px from the course of its neighbours"
        status = Status.DOUBTFUL if is_bridged else Status.MISSING
        gap = f"{track.settings.longest_gap_s:g} s"
        what = "bridged from them" if is_bridged else f"no good frame within {gap} on both sides"
        what = what if item.status.is_usable or not is_bridged else "bridged from its neighbours"
        reason = f"{reason or 'not found in this frame'}; {what}"
    if not np.isfinite(ijk).all():
        return replace(item, status=Status.MISSING, reason=reason, predicted_ijk=item.ijk)
    ras = track.ras(ijk)
    return replace(
        item,
        ijk=tuple(ijk.tolist()),
        ras=None if ras is None else tuple(ras.tolist()),
        status=status,
        reason=reason,
        predicted_ijk=item.ijk if item.status.is_usable else None,
    )
