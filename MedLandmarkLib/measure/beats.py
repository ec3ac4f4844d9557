"""Heart beats on a curve that is longest at end-diastole and shortest at end-systole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.signal import find_peaks

SHORTEST_BEAT_S = 0.27  # 220 beats per minute
_PROMINENCE_OF_SPAN = 0.35
_PROMINENCE_OF_NOISE = 3.0
_LEAST_SPAN = 0.01  # of the curve's middle value: a heart that beats changes its lengths by more
_FALL = 0.05  # of the span, behind an end-diastole at the end of the clip
_USUAL_DEPTH = 0.7  # of the span, for an end-diastole that has the clip's end beside it


@dataclass(frozen=True)
class Beat:
    """One beat, by frame numbers. `next_end_diastole` is None where the clip ends before it.

    Where a clip holds one contraction and begins within it, `end_diastole` is the one that follows `end_systole`.
    """

    end_diastole: int
    end_systole: int
    next_end_diastole: int | None = None


def find_beats(
    values: np.ndarray, times_s: np.ndarray, noise: float, clock: np.ndarray | None = None
) -> tuple[tuple[Beat, ...], str]:
    """The beats of a curve (F,), NaN where it has no value, and the reason where there are none.

    The curve decides whether anything beats: it has to vary, and by three times its noise. When it beats is read from
    `clock` (F,), which rises and falls with it, or from the curve itself. End-systole is a minimum that stands out by
    at least 0.35 of the span (5th to 95th percentile), no nearer to another than the shortest beat
    (`scipy.signal.find_peaks`); end-diastole is the maximum between it and the end-systole before. A clip may begin at
    end-diastole; its last frame is neither.
    """
    known = np.isfinite(values)
    if known.sum() < max(8, len(values) / 2):
        return (), f"{known.sum()} of {len(values)} frames have the landmarks that beats are found by"
    frames = np.arange(len(values))
    curve = np.interp(frames, frames[known], values[known])
    low, high = np.percentile(curve, (5, 95))
    span = high - low
    if span < _LEAST_SPAN * abs(np.median(curve)):
        return (), f"nothing beats: the curve varies by {span:.2g} around {np.median(curve):.3g}"
    if span < _PROMINENCE_OF_NOISE * noise:
        return (), f"no beat stands out: the curve varies by {span:.2g}, its noise is {noise:.2g}"
    prominence = max(_PROMINENCE_OF_SPAN * span, _PROMINENCE_OF_NOISE * noise)
    if clock is not None:
        low, high = np.percentile(clock, (5, 95))
        curve, span, prominence = clock, high - low, _PROMINENCE_OF_SPAN * (high - low)
    distance = max(1.0, SHORTEST_BEAT_S / float(np.median(np.diff(times_s))))
    # Walls at both ends: a minimum counts also where the clip begins or ends soon beside it.
    walled = np.concatenate(([curve.max()], curve, [curve.max()]))
    systoles = [int(peak) - 1 for peak in find_peaks(-walled, prominence=prominence, distance=distance)[0]]
    systoles = [frame for frame in systoles if 0 < frame < len(curve) - 1]
    diastoles = _diastoles(curve, systoles, span)
    beats = [
        Beat(diastole, systole, following)
        for diastole, systole, following in zip(diastoles[:-1], systoles, diastoles[1:], strict=True)
        if diastole is not None
    ]
    if not beats and len(systoles) == 1 and diastoles[1] is not None:
        beats = [Beat(diastoles[1], systoles[0])]
    return tuple(beats), "" if beats else "no whole contraction is in the clip"


def cycle_lengths_s(beats: tuple[Beat, ...], times_s: np.ndarray) -> np.ndarray:
    """(n,) seconds from end-diastole to end-diastole; from end-systole to end-systole where that gives more."""
    whole = [(beat.end_diastole, beat.next_end_diastole) for beat in beats if beat.next_end_diastole is not None]
    diastolic = np.array([times_s[stop] - times_s[start] for start, stop in whole])
    systolic = np.diff([times_s[beat.end_systole] for beat in beats])
    return diastolic if len(diastolic) >= len(systolic) else systolic


def _diastoles(curve: np.ndarray, systoles: list[int], span: float) -> list[int | None]:
    """The maximum before, between and behind the end-systoles, one more than these.

    At the clip's ends None where it is not as far above the end-systole as a whole beat is, or where the curve does not
    fall behind it any more: the end-diastole lies outside the clip then.
    """
    if not systoles:
        return []
    ends = [0, *systoles, len(curve)]
    found: list[int | None] = [int(start + np.argmax(curve[start:stop])) for start, stop in pairwise(ends)]
    least_depth = _USUAL_DEPTH * span
    if curve[found[0]] - curve[systoles[0]] < least_depth:
        found[0] = None
    falls = curve[found[-1]] - curve[found[-1] :].min() > _FALL * span
    if not falls or curve[found[-1]] - curve[systoles[-1]] < least_depth:
        found[-1] = None
    return found
