"""How the pictures of a clip change with the beat: seen in all their pixels, whatever the landmarks' errors are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..measure.timing import without_drift
from ..track import SmoothingSettings
from ..track.penalised import FEWEST_POINTS, smoothed

_SIDE_PX = 32  # of the coarse pictures: walls and valves remain, speckle does not
_COMPONENTS = 2


def coarse_pictures(pictures: np.ndarray) -> np.ndarray:
    """(n, P) float32: block means of pictures (n, rows, columns, 3), about 32 blocks along the longer side."""
    count, rows, columns, _ = pictures.shape
    step = max(1, max(rows, columns) // _SIDE_PX)
    rows, columns = rows // step, columns // step
    blocks = pictures[:, : rows * step, : columns * step].reshape(count, rows, step, columns, step * 3)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)


def picture_rhythm(coarse: np.ndarray, times_s: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """The first principal components of coarse pictures (F, P) through time, F numbers each; no unit, any sign.

    That ends of systole and diastole stand out in the first is known from manifold learning on echocardiograms (Gifani
    et al., Physiological Measurement 31(9), 2010); the second tells what the first bends. None where there are too few
    frames, or nothing changes.
    """
    if len(coarse) <= FEWEST_POINTS:
        return ()
    changes = without_drift(coarse.astype(float), times_s)
    changes = changes - changes.mean(axis=0)
    if not changes.any():
        return ()
    components = changes @ np.linalg.svd(changes, full_matrices=False)[2][:_COMPONENTS].T
    return tuple(tuple(component) for component in components.T.tolist())


def picture_pulse(
    rhythm: Sequence[Sequence[float]], times_s: np.ndarray, settings: SmoothingSettings
) -> tuple[float, ...] | None:
    """The first component, smoothed as a track is: what beats are timed by. None where there is none."""
    if not rhythm:
        return None
    cutoff = settings.cutoff_of_rate(float(np.median(np.diff(times_s))))
    component = np.array(rhythm[0])
    return tuple(smoothed(component[:, None], np.ones(len(component)), times_s, cutoff)[:, 0].tolist())
