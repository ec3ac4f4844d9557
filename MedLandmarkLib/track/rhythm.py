"""The part of a landmark's motion that goes with the pictures' own change: sharper than any smoothing could leave it.

End-diastole is a corner of a few frames between the atrial kick and ejection; what smooths the noise of single frames
rounds it off. The principal components of the pictures through time show the corner with next to no noise, for they
come from all pixels. So the course is taken as a smooth one plus multiples of these components, a partially linear
model (Speckman, Journal of the Royal Statistical Society B 50, 1988).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .penalised import smoothed

_FRAMES_PER_COMPONENT = 6  # fewer could follow noise


def rhythmic_part(
    xy: np.ndarray, weights: np.ndarray, times: np.ndarray, cutoff_of_rate: float, rhythm: Sequence[Sequence[float]]
) -> np.ndarray:
    """(F, 2): the multiples of the components that single frames (F, 2), px, with these weights (F,) bear out.

    rhythm: components, F numbers each. They are fitted to what smoothing takes away (Speckman's estimate), and drawn
    toward none by as much as chance alone would give (James and Stein's factor, its positive part). Zeros where there
    is no component, or where there are too few frames.
    """
    nothing = np.zeros((len(xy), 2))
    used = weights > 0
    if not len(rhythm) or used.sum() < _FRAMES_PER_COMPONENT * (len(rhythm) + 1):
        return nothing
    components = np.array(rhythm, float).T  # (F, C)
    components = (components - components.mean(axis=0)) / np.maximum(components.std(axis=0), 1e-9)
    sharp = components - smoothed(components, weights, times, cutoff_of_rate)
    rest = np.where(used[:, None], xy - smoothed(xy, weights, times, cutoff_of_rate), 0.0)
    weighted = weights[:, None] * sharp
    gram = components.T @ weighted  # the penalised sum of squares of the components
    if np.linalg.cond(gram) > 1e8:
        return nothing
    multiples = np.linalg.solve(gram, components.T @ (weights[:, None] * rest))  # (C, 2)
    left = (weights[:, None] * (rest - sharp @ multiples) ** 2).sum(axis=0) / (used.sum() - len(gram))
    explained = np.einsum("cd,ce,ed->d", multiples, gram, multiples) / len(gram)
    kept = np.clip(1.0 - left / np.maximum(explained, 1e-12), 0.0, 1.0)
    return components @ (multiples * kept)
