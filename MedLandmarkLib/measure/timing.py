"""The motion that all landmarks share: a steadier clock of the beat than any one length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..landmark import LandmarkSet
from ..track.penalised import smoothed

_DRIFT_HZ = 0.3  # slower motion is breathing, or the probe
_LONG_ENOUGH_S = 4.0  # for such a drift to be told from a beat
_LEAST_SHARE = 0.7  # of the frames, in which a landmark must have a place
_LEAST_NOISE_PX = 0.5
_LEAST_CORRELATION = 0.6
_PULSE_CORRELATION = 0.8
_MAD_TO_SIGMA = 1.4826


def common_motion(
    frames: Sequence[LandmarkSet], detected: Sequence[LandmarkSet], times_s: np.ndarray, curve: np.ndarray
) -> np.ndarray:
    """(F,) the first principal component of all landmarks' paths, rising as `curve` (F,) rises; no unit.

    Each coordinate counts by the noise of its single frames, so that a landmark which is found badly says little. Where
    the component and the curve do not go together (correlation below 0.6) the curve itself is given back, gaps filled.
    """
    curve = _filled(curve)
    paths = []
    for name in frames[0].names:
        smooth, single = _path(frames, name), _path(detected, name)
        known = np.isfinite(smooth[:, 0])
        if known.mean() < _LEAST_SHARE:
            continue
        noise = _MAD_TO_SIGMA * np.nanmedian(np.abs(single - smooth), axis=0)
        paths.append(np.column_stack([_filled(column) for column in smooth.T]) / (noise + _LEAST_NOISE_PX))
    if not paths:
        return curve
    motion = np.concatenate(paths, axis=1)  # (F, 2 K)
    motion = without_drift(motion, times_s)
    motion = motion - motion.mean(axis=0)
    component = motion @ np.linalg.svd(motion, full_matrices=False)[2][0]
    if component.std() == 0 or curve.std() == 0:
        return curve
    correlation = float(np.corrcoef(component, curve)[0, 1])
    return curve if abs(correlation) < _LEAST_CORRELATION else component * np.sign(correlation)


def beat_clock(motion: np.ndarray, pulse: Sequence[float] | None) -> np.ndarray:
    """(F,) what beats are timed by: the landmarks' motion and the pulse of the pictures together, in equal parts.

    The pulse is seen in all pixels and is steadier; the landmarks say which way it points, and that it is the heart's:
    where the two do not go together (correlation below 0.8) the motion alone counts.
    """
    if pulse is None or np.std(pulse) == 0 or motion.std() == 0:
        return motion
    correlation = float(np.corrcoef(np.asarray(pulse), motion)[0, 1])
    if abs(correlation) < _PULSE_CORRELATION:
        return motion
    return motion / motion.std() + np.sign(correlation) * np.asarray(pulse) / np.std(pulse)


def without_drift(values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(F, C) without what is slower than a heart; a clip too short to tell is left as it is."""
    if times_s[-1] - times_s[0] < _LONG_ENOUGH_S:
        return values
    step = float(np.median(np.diff(times_s)))
    return values - smoothed(values, np.ones(len(values)), times_s, _DRIFT_HZ * step)


def _path(frames: Sequence[LandmarkSet], name: str) -> np.ndarray:
    """(F, 2) px, NaN where the landmark has no usable place."""
    items = [landmarks[name] for landmarks in frames]
    return np.array(
        [item.ijk[:2] if item.status.is_usable and item.ijk is not None else (np.nan, np.nan) for item in items]
    )


def _filled(values: np.ndarray) -> np.ndarray:
    """(F,) with gaps bridged by straight lines."""
    frames, known = np.arange(len(values)), np.isfinite(values)
    return np.interp(frames, frames[known], values[known]) if known.any() else np.zeros(len(values))
