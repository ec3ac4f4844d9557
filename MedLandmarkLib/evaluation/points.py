"""Each reference point with the prediction that belongs to it, and the distance between the two.

Two rules of a scheme decide what "the distance" is: ends of an axis that only their place tells apart may be exchanged
(`Scheme.interchangeable`), and a point that is loose along one axis counts along the other only
(`LandmarkDefinition.scored_along`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..dataset import Case, Point
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Line, Scheme

_AXIS_INDEX = {"x": 0, "y": 1}


@dataclass(frozen=True)
class PointResult:
    """One reference point against its prediction.

    error: in the evaluation's unit, None where there was no prediction. relative: the error in parts of the scheme's
    reference length in this image, None where there is none. status, confidence: those of the prediction.
    """

    case: str
    subject: str
    landmark: str
    error: float | None
    relative: float | None = None
    status: Status = Status.UNDEFINED
    confidence: float | None = None


def radial_errors(
    predicted: Mapping[str, Sequence[float]],
    reference: Mapping[str, Sequence[float]],
    scale: Sequence[float],
    scored_along: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """The distance of each landmark that both have; `scale` is the length of a pixel along each axis.

    `scored_along` names the one axis, "x" or "y", along which a landmark counts.
    """
    lengths, errors = np.asarray(scale, float), {}
    for name, point in reference.items():
        if name in predicted:
            offset = (np.asarray(predicted[name], float)[: len(lengths)] - point) * lengths
            axis = (scored_along or {}).get(name)
            errors[name] = float(np.linalg.norm(offset) if not axis else abs(offset[_AXIS_INDEX[axis]]))
    return errors


def in_order(
    predicted: Mapping[str, Landmark],
    reference: Mapping[str, Point],
    scale: Sequence[float],
    pairs: Iterable[tuple[str, str]],
) -> tuple[dict[str, Landmark], int]:
    """The predictions with the ends of each pair in the order that lies nearer to the reference; how many changed.

    Datasets name such ends by their place, the smaller image x first. On an axis that stands nearly upright that rule
    turns round at a fraction of a degree, and an error would be the axis' length; the nearer of the two orders is the
    same rule wherever it is stable.
    """
    ordered, exchanged = dict(predicted), 0
    for one, other in pairs:
        if not all(name in reference and name in ordered for name in (one, other)):
            continue
        apart = {
            (p, r): float(np.linalg.norm((np.subtract(ordered[p].ijk[: len(scale)], reference[r])) * scale))
            for p in (one, other)
            for r in (one, other)
        }
        if apart[one, other] + apart[other, one] < apart[one, one] + apart[other, other]:
            ordered[one], ordered[other] = ordered[other], ordered[one]
            exchanged += 1
    return ordered, exchanged


def point_results(
    case: Case, reference: Mapping[str, Point], prediction: LandmarkSet, scheme: Scheme, scale: Sequence[float]
) -> tuple[list[PointResult], int]:
    """A result for each of the reference points, and how many interchangeable pairs were exchanged."""
    positioned = {item.name: item for item in prediction if item.ijk is not None}
    positioned, exchanged = in_order(positioned, reference, scale, scheme.interchangeable)
    along = {item.name: item.scored_along for item in scheme.landmarks if item.scored_along}
    errors = radial_errors({name: item.ijk for name, item in positioned.items()}, reference, scale, along)
    length = reference_length(reference, scheme, scale)
    results = []
    for name in reference:
        own = positioned.get(name, Landmark(name))
        error = errors.get(name)
        relative = error / length if error is not None and length else None
        results.append(PointResult(case.id, case.subject, name, error, relative, own.status, own.confidence))
    return results, exchanged


def reference_length(reference: Mapping[str, Point], scheme: Scheme, scale: Sequence[float]) -> float | None:
    """The mean of the lines of the scheme's reference length, as far as they were read; None without any."""
    if scheme.reference_length is None:
        return None
    lengths = [_length(line, reference, scale) for line in scheme.reference_length.lines]
    known = [length for length in lengths if length]
    return float(np.mean(known)) if known else None


def _length(line: Line, reference: Mapping[str, Point], scale: Sequence[float]) -> float | None:
    if not all(name in reference for end in line for name in end):
        return None
    start, end = (np.mean([reference[name] for name in names], axis=0) for names in line)
    return float(np.linalg.norm((end - start) * scale))
