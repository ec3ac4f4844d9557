"""Landmarks that were exchanged, mirrored, turned or misplaced, found by the shape that the other readings have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .cases import LandmarkDataset, listed
from .finding import Finding, error, warning
from .pose_checks import pose_findings
from .readings import Reading, by_case, labelled, own_readings
from .shape import MeanShape, mean_shape, swapped

FEWEST_READINGS = 10  # fewer have no shape to speak of
FEWEST_LANDMARKS = 3  # in a reading; two always have the same shape
# An outlier is farther from its mean place than this many spreads, and than this many times what one reading in ten has
# at that landmark. On eight public datasets this calls less than 1 reading in 100, and the worst of them.
_FAR, _FAR_OF_USUAL = 7.0, 3.0
# An exchange must put both landmarks where they belong, though not closer than readings vary, and be worth it.
_FITS, _APART, _WORTH = 5.0, 4.0, 4.0
_MOST_EXCHANGES = 8  # in one reading; more and it is something else
# What is found in a larger share of the readings is the way in which the dataset was made, and is said once.
_USUAL_SHARE = 0.15


@dataclass(frozen=True)
class Exchange:
    """Two landmarks of a reading that fit when they change places."""

    reading: int
    one: int
    other: int


def check_shapes(
    dataset: LandmarkDataset, interchangeable: Sequence[tuple[str, str]] = ()
) -> tuple[list[Finding], list[str]]:
    """Findings on exchanged, mirrored, turned, misplaced and wrongly scaled landmarks; and notes on what was not done.

    interchangeable: pairs of landmarks that only their place tells apart (of the scheme).
    """
    read, points = own_readings(dataset)
    usable = np.isfinite(points).all(axis=-1).sum(axis=1) >= FEWEST_LANDMARKS
    read, points = [reading for reading, is_usable in zip(read, usable, strict=True) if is_usable], points[usable]
    if len(read) < FEWEST_READINGS:
        note = (
            f"Shapes were not compared (exchanged, mirrored and misplaced landmarks): that takes {FEWEST_READINGS} "
            f"readings with {FEWEST_LANDMARKS} landmarks or more, and there are {len(read)}."
        )
        return [], [note]
    names = dataset.landmark_names
    pairs = [(names.index(one), names.index(other)) for one, other in interchangeable if {one, other} <= set(names)]
    shape, points = mean_shape(points, pairs)
    mirrored = _mirrored(shape, points)
    exchanges = [] if mirrored.mean() > _USUAL_SHARE else list(_exchanges(shape, points, mirrored, pairs))
    corrected = points.copy()
    for exchange in exchanges:
        row = corrected[exchange.reading : exchange.reading + 1]
        row[:] = swapped(row, exchange.one, exchange.other)
    found = _mirror_findings(read, mirrored)
    found += _exchange_findings(read, names, exchanges)
    found += pose_findings(read, shape.fit(corrected), shape.fit(corrected, mirrored=True), mirrored)
    if mirrored.mean() <= _USUAL_SHARE:
        found += _outliers(read, names, shape, corrected, mirrored)
    return found, []


def _mirrored(shape: MeanShape, points: np.ndarray) -> np.ndarray:
    """(N,): which readings are like the others once they are reflected, and are not as they stand."""
    plain, reflected = shape.fit(points).score, shape.fit(points, mirrored=True).score
    return (reflected < 0.6 * plain) & (reflected < 2.0 * np.quantile(plain, 0.9))


def _exchanges(
    shape: MeanShape, points: np.ndarray, mirrored: np.ndarray, allowed: Sequence[tuple[int, int]]
) -> Iterator[Exchange]:
    """Exchanges that bring the readings into shape, the best first within each reading."""
    distance = np.linalg.norm(shape.mean[:, None] - shape.mean[None], axis=-1)
    apart = distance / np.hypot(shape.spread[:, None], shape.spread[None])
    candidates = [pair for pair in combinations(range(len(shape.mean)), 2) if apart[pair] > _APART]
    candidates = [pair for pair in candidates if pair not in allowed and pair[::-1] not in allowed]
    for number in np.flatnonzero(~mirrored):
        row = points[number : number + 1]
        for _ in range(_MOST_EXCHANGES):
            best = _best_exchange(shape, row, candidates)
            if best is None:
                break
            yield Exchange(int(number), *best)
            row = swapped(row, *best)


def _best_exchange(shape: MeanShape, row: np.ndarray, candidates: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The exchange of two landmarks in one reading (1, K, D) that is worth most; None where none is."""
    plain = shape.fit(row)
    count = int(np.isfinite(plain.residual).sum())
    residual = np.nan_to_num(plain.residual[0])
    is_few = count <= 8  # where a wrong pair turns the whole fit, no landmark can be said to be right
    pairs = [
        (one, other)
        for one, other in candidates
        if np.isfinite(row[0, [one, other]]).all() and (is_few or min(residual[one], residual[other]) > 2.0)
    ]
    if not pairs or residual.max() < _APART:
        return None
    fit = shape.fit(np.concatenate([swapped(row, *pair) for pair in pairs]))
    worth = count * (plain.score[0] - fit.score)
    best = int(worth.argmax())
    if worth[best] < _WORTH or fit.residual[best, list(pairs[best])].max() > _FITS:
        return None
    return pairs[best]


def _outliers(
    read: Sequence[Reading], names: Sequence[str], shape: MeanShape, points: np.ndarray, mirrored: np.ndarray
) -> list[Finding]:
    residual = np.nan_to_num(shape.fit(points).residual)
    usual = np.quantile(residual, 0.9, axis=0)
    is_far = (residual > np.maximum(_FAR, _FAR_OF_USUAL * usual)) & ~mirrored[:, None]
    found = []
    for number in np.flatnonzero(is_far.any(axis=1)):
        worst_first = [index for index in np.argsort(-residual[number]) if is_far[number, index]]
        far = [names[index] for index in worst_first]
        shown = listed(far[:4]) + (f" and {len(far) - 4} more" if len(far) > 4 else "")
        times = residual[number, worst_first[0]]
        verb = "are" if len(far) > 1 else "is"
        what = f"{labelled([read[number]])}: {shown} {verb} up to {times:.0f} usual deviations from the usual place"
        case, landmark = read[number].case.id, ", ".join(far)
        found.append(warning("outlier", what, "look at the image", case=case, landmark=landmark, value=f"{times:.1f}"))
    return found


def _exchange_findings(read: Sequence[Reading], names: Sequence[str], exchanges: Sequence[Exchange]) -> list[Finding]:
    found = []
    for one, other in dict.fromkeys((exchange.one, exchange.other) for exchange in exchanges):
        where = [read[item.reading] for item in exchanges if (item.one, item.other) == (one, other)]
        both = f"'{names[one]}' and '{names[other]}'"
        landmark = f"{names[one]}, {names[other]}"
        if len(where) > max(3, _USUAL_SHARE * len(read)):
            share = f"{len(where)} of {len(read)}"
            advice = "if nothing but their place tells them apart, say so in the scheme ('interchangeable')"
            found.append(warning("swap", f"{both} change places in {share} readings", advice, landmark=landmark))
            continue
        for group in by_case(where):
            what = f"{labelled(group)}: {both} are exchanged, by the shape of the other readings"
            found.append(error("swap", what, "exchange their names", case=group[0].case.id, landmark=landmark))
    return found


def _mirror_findings(read: Sequence[Reading], mirrored: np.ndarray) -> list[Finding]:
    where = [reading for reading, is_so in zip(read, mirrored, strict=True) if is_so]
    if len(where) > max(3, _USUAL_SHARE * len(read)):
        what = f"{len(where)} of {len(read)} readings are mirror images of the others"
        advice = (
            "if images face both ways all is well; else left and right, or landmarks that only their place tells "
            "apart, are named in two ways"
        )
        return [warning("mirrored", what, advice)]
    advice = (
        "if the image itself is mirrored (the patient faces the other way) all is well; else its left and right "
        "landmarks are exchanged"
    )
    return [
        warning("mirrored", f"{labelled(group)}: is a mirror image of the others", advice, case=group[0].case.id)
        for group in by_case(where)
    ]
