"""Readings that are turned, or larger or smaller than the others: signs of wrong units and of exchanged axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .finding import Finding, error, warning
from .readings import Reading, labelled

if TYPE_CHECKING:
    from .shape import ShapeFit

# A size is wrong when it is off by this factor and by this many times the usual deviation: readings of anatomy that
# grows (a fetal head: 20 to 100 mm) differ by large factors, and then all of them do.
_SIZE_FACTOR, _DEVIATIONS = 1.6, 6.0
_LEAST_DEVIATION = 0.03  # of the logarithm of sizes
_TURN_DEG, _TURN_DEVIATIONS = 60.0, 6.0
_USUAL_FACTORS = (0.1, 10.0, 25.4, 1 / 25.4, 2.0, 0.5)


def pose_findings(read: Sequence[Reading], plain: ShapeFit, reflected: ShapeFit, mirrored: np.ndarray) -> list[Finding]:
    """What the size and the turn of each reading, as the fits to the mean shape give them, say of its units.

    mirrored: (N,), which readings the reflected fit belongs to.
    """
    sizes = np.where(mirrored, reflected.size, plain.size)
    found = _sizes_in_pixels(read, sizes)
    found += _sizes_in_millimetres(read, sizes, {finding.case for finding in found})
    if plain.linear.shape[-1] == 2:
        found += _turns(read, plain, mirrored)
    return found


def _sizes_in_pixels(read: Sequence[Reading], size_px: np.ndarray) -> list[Finding]:
    """Readings whose extent in the image is not that of the others."""
    if len(read[0].case.size) == 3:
        return []  # a volume may be cut to any part of the body
    extents = np.array([size / np.hypot(*reading.case.size) for size, reading in zip(size_px, read, strict=True)])
    found = []
    for number, factor in _odd_ones(extents):
        case = read[number].case
        what = (
            f"{labelled([read[number]])}: its landmarks are {factor:.3g} times as far apart in the image as elsewhere"
        )
        advice = "are they pixels of the stored image?"
        if case.spacing_mm is not None and abs(np.log(factor / case.spacing_mm[0])) < 0.25:
            advice = "they are probably millimetres and must be pixels of the stored image"
        elif any(abs(np.log(factor / usual)) < 0.1 for usual in (2.0, 0.5, 4.0, 0.25)):
            advice = "they probably belong to the image at another resolution"
        found.append(error("units", what, advice, case=case.id, value=f"{factor:.3g}"))
    return found


def _sizes_in_millimetres(read: Sequence[Reading], size_px: np.ndarray, known: set[str]) -> list[Finding]:
    """Readings whose size in mm is not that of the others, although their size in the image is."""
    rows = [number for number, reading in enumerate(read) if reading.case.spacing_mm is not None]
    sizes_mm = np.array([size_px[row] * np.prod(read[row].case.spacing_mm) ** (1 / len(read[row].case.size))
                         for row in rows])  # fmt: skip
    found = []
    for number, factor in _odd_ones(sizes_mm) if len(rows) > 2 else ():
        case = read[rows[number]].case
        if case.id in known:
            continue
        known.add(case.id)
        spacing = " x ".join(f"{value:g}" for value in case.spacing_mm)
        what = f"case '{case.id}': with its spacing of {spacing} mm it is {factor:.3g} times as large as the others"
        likely = next((usual for usual in _USUAL_FACTORS if abs(np.log(factor / usual)) < 0.3), None)
        advice = f"the spacing is probably {likely:.3g} times what it should be" if likely else "check the spacing"
        found.append(error("spacing", what, advice, case=case.id, value=spacing))
    return found


def _odd_ones(sizes: np.ndarray) -> list[tuple[int, float]]:
    """(number, factor to the median) of the sizes that are far from all others."""
    logs = np.log(np.maximum(sizes, 1e-12))
    deviation = logs - np.median(logs)
    spread = max(1.4826 * float(np.median(np.abs(deviation))), _LEAST_DEVIATION)
    is_odd = (np.abs(deviation) > np.log(_SIZE_FACTOR)) & (np.abs(deviation) > _DEVIATIONS * spread)
    return [(int(number), float(np.exp(deviation[number]))) for number in np.flatnonzero(is_odd)]


def _turns(read: Sequence[Reading], fit: ShapeFit, mirrored: np.ndarray) -> list[Finding]:
    """Readings that lie turned in the image while the others hardly vary; exchanged axes among the mirrored ones."""
    turns = np.arctan2(fit.linear[:, 1, 0], fit.linear[:, 0, 0])
    plain = turns[~mirrored]
    middle = float(np.angle(np.exp(1j * plain).mean())) if len(plain) else 0.0
    deviation = np.degrees(np.angle(np.exp(1j * (turns - middle))))
    spread = 1.4826 * float(np.median(np.abs(deviation[~mirrored]))) if len(plain) else 180.0
    limit = max(_TURN_DEG, _TURN_DEVIATIONS * spread)
    found = []
    for number in np.flatnonzero((np.abs(deviation) > limit) & ~mirrored):
        angle = -deviation[number]  # of the reading against the others
        what = f"{labelled([read[number]])}: its landmarks are turned by {angle:.0f} degrees against the others"
        advice = "does the image lie in the same way?"
        found.append(warning("turned", what, advice, case=read[number].case.id, value=f"{angle:.0f}"))
    return found
