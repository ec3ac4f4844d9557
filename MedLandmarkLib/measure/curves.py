"""Measurements frame by frame: the curves of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..landmark import LandmarkSet, Status
from ..scheme import MeasurementDefinition, Scheme
from . import geometry
from .geometry import DegenerateGeometry
from .measurement import Measurement, measure, point_of

_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, eq=False)
class Curve:
    """One measurement through all frames.

    values: (F,) float64, NaN where there is none. unit: "mm", "px", "deg", "ratio" or "%". statuses, reasons: of each
    frame. noise: standard deviation of single frames around the smooth course, as the model found them.
    """

    name: str
    title: str
    unit: str
    values: np.ndarray
    statuses: tuple[Status, ...]
    reasons: tuple[str, ...]
    noise: float = 0.0


def curves_of(frames: Sequence[LandmarkSet], detected: Sequence[LandmarkSet], scheme: Scheme) -> tuple[Curve, ...]:
    """The curves that `scheme.cine` names, of smoothed frames; their noise from those that were `detected`."""
    measured = [{item.name: item for item in measure(landmarks, scheme)} for landmarks in frames]
    raw = [{item.name: item for item in measure(landmarks, scheme)} for landmarks in detected]
    bends = [_bends(landmarks, scheme) for landmarks in frames]
    curves = []
    for definition in scheme.cine.curves:
        items = [by_name[definition.measurement] for by_name in measured]
        values = _values(items)
        away = values - _values([by_name[definition.measurement] for by_name in raw])
        away = away[np.isfinite(away)]
        judged = [_judged(item, bend.get(definition.measurement, "")) for item, bend in zip(items, bends, strict=True)]
        curves.append(
            Curve(
                definition.name,
                definition.title,
                next((item.unit for item in items if item.value is not None), items[0].unit),
                values,
                tuple(status for status, _ in judged),
                tuple(reason for _, reason in judged),
                float(_MAD_TO_SIGMA * np.median(np.abs(away))) if len(away) else 0.0,
            )
        )
    return tuple(curves)


def _values(items: Sequence[Measurement]) -> np.ndarray:
    return np.array([np.nan if item.value is None else item.value for item in items])


def _judged(item: Measurement, bend: str) -> tuple[Status, str]:
    if not bend or not item.status.is_usable:
        return item.status, item.reason
    return Status.DOUBTFUL, "; ".join(part for part in (bend, item.reason) if part)


def _bends(landmarks: LandmarkSet, scheme: Scheme) -> dict[str, str]:
    """For each measured line that does not continue the one before it or behind it, by how much it bends."""
    rule, points, found = scheme.cine.alignment, landmarks.points(), {}
    if rule is None:
        return {}
    definitions = [scheme.measurement(name) for name in rule.measurements]
    for first, second in pairwise(definitions):
        try:
            degrees = geometry.angle(_direction(first, points), _direction(second, points))
        except (KeyError, DegenerateGeometry):
            continue  # a point is missing, or two coincide: the measurement itself says so
        if degrees > rule.at_most_deg:
            text = f"the wall is not crossed nearly at right angles: lines bend by {degrees:.0f}°"
            found |= {first.name: text, second.name: text}
    return found


def _direction(definition: MeasurementDefinition, points: dict[str, np.ndarray]) -> np.ndarray:
    start, end = (point_of(point, points) for point in definition.points)
    return geometry.direction((start, end))
