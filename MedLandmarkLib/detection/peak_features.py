"""The signs by which a landmark can be believed or not, as numbers for a logistic regression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .picture_peaks import PicturePeaks
from .shape_model import ShapeFit

# Beyond these a sign says no more; they keep a logarithm and a regression from following one wild value.
_LEAST_SCORE = 1e-4
_MOST_SPREAD_PX = 30.0
_MOST_DISAGREEMENT_PX = 30.0


def _ln_score(peaks: PicturePeaks, shape: ShapeFit | None) -> np.ndarray:
    return np.log(np.maximum(peaks.score, _LEAST_SCORE))


def _second_peak(peaks: PicturePeaks, shape: ShapeFit | None) -> np.ndarray:
    return peaks.second_peak_ratio


def _ln_spread(peaks: PicturePeaks, shape: ShapeFit | None) -> np.ndarray:
    return np.log(np.clip(peaks.spread_px, 0.5, _MOST_SPREAD_PX))


def _ln_shape(peaks: PicturePeaks, shape: ShapeFit | None) -> np.ndarray | None:
    return None if shape is None else np.log1p(shape.residual)


def _ln_disagreement(peaks: PicturePeaks, shape: ShapeFit | None) -> np.ndarray | None:
    apart = peaks.flip_disagreement_px
    return None if apart is None else np.log(np.clip(apart, 0.1, _MOST_DISAGREEMENT_PX))


# Their names stand in model cards. Each gives (K,), or None where the picture was detected without it.
PEAK_FEATURES: dict[str, Callable[[PicturePeaks, ShapeFit | None], np.ndarray | None]] = {
    "ln_score": _ln_score,
    "second_peak": _second_peak,
    "ln_spread": _ln_spread,
    "ln_shape": _ln_shape,
    "ln_disagreement": _ln_disagreement,
}


def peak_features(peaks: PicturePeaks, shape: ShapeFit | None) -> dict[str, np.ndarray]:
    """Every sign that this picture offers, by name: (K,) float64 each, finite."""
    found = {name: feature(peaks, shape) for name, feature in PEAK_FEATURES.items()}
    return {name: np.asarray(values, float) for name, values in found.items() if values is not None}
