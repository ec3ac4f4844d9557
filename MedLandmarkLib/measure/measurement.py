"""Every measurement of a scheme, from the landmarks at hand, with its status, its reason and its verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import SchemeError
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import MeasurementDefinition, Scheme
from ..scheme import Point as PointDefinition
from . import geometry
from .geometry import DegenerateGeometry, Segment

# From the least certain: a measurement is as certain as the least certain landmark that it is made from.
CERTAINTY = (Status.DOUBTFUL, Status.PREDICTED, Status.ACCEPTED, Status.EDITED)
_RANK = {status: rank for rank, status in enumerate(CERTAINTY)}

NO_CALIBRATION = "no calibration: the length is in px, and norms in mm do not apply"


@dataclass(frozen=True)
class Measurement:
    """One number made from landmarks.

    `value` is None where it does not exist: a landmark is missing, or points coincide. `unit` is "mm", "px", "deg",
    "ratio" or "%". `reason` says why a value is absent, doubtful, or not compared with its norm. `verdict` is the
    published class that holds the value, or its place against the normal range; empty where there is neither.
    """

    name: str
    value: float | None
    unit: str
    status: Status
    reason: str = ""
    normal_range: tuple[float, float] | None = None
    verdict: str = ""


def measure(landmarks: LandmarkSet, scheme: Scheme) -> list[Measurement]:
    """All measurements of `scheme`, in its order.

    Computed in RAS mm where the landmarks are calibrated, otherwise in ijk, whose pixels are taken as square. The
    landmarks are found by name, so a scheme of the user's own may measure what another scheme's model has found.
    Status: MISSING where an input is missing or undefined; DOUBTFUL where one is doubtful or the points are degenerate;
    otherwise that of the least certain input. Raises SchemeError where the two share no landmark at all.
    """
    by_name = {landmark.name: landmark for landmark in landmarks}
    if by_name and not any(name in by_name for name in scheme.names):
        raise SchemeError(
            f"The landmarks are of scheme {landmarks.scheme_id} ({', '.join(landmarks.names[:3])}, ...) and share no "
            f"name with scheme {scheme.id} ({', '.join(scheme.names[:3])}, ...): measure them with their own scheme."
        )
    points, length_unit = landmarks.points(), landmarks.unit
    values: dict[str, float | None] = {}
    measurements = []
    for definition in scheme.measurements:
        inputs = [by_name.get(name) or Landmark(name) for name in scheme.measurement_inputs[definition.name]]
        status, reason = _certainty(inputs, points)
        value = None
        if status is not Status.MISSING:
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # _finite answers for what overflows
                    value = _finite(_RULES[definition.kind](definition, points, values))
            except DegenerateGeometry as error:
                status, reason = Status.DOUBTFUL, _joined(reason, str(error))
        values[definition.name] = value
        measurements.append(_judged(definition, value, length_unit, status, reason))
    return measurements


def _certainty(inputs: list[Landmark], points: dict[str, np.ndarray]) -> tuple[Status, str]:
    """The status that the inputs allow, with the reason where it is no plain one."""
    absent = [item for item in inputs if item.name not in points]
    if absent:
        return Status.MISSING, "; ".join(f"{item.name} is {_absence(item)}" for item in absent)
    status = min((landmark.status for landmark in inputs), key=_RANK.__getitem__)
    if status is Status.DOUBTFUL:
        doubtful = [item for item in inputs if item.status is Status.DOUBTFUL]
        return status, "; ".join(
            f"{item.name} is doubtful" + (f" ({item.reason})" if item.reason else "") for item in doubtful
        )
    return status, ""


def _absence(landmark: Landmark) -> str:
    """Why a landmark has no point to measure with."""
    return "not placed in the frame of the others" if landmark.status.is_usable else landmark.status.value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise DegenerateGeometry("the value exceeds what a number can hold")
    return float(value)


def _joined(*clauses: str) -> str:
    return "; ".join(clause for clause in clauses if clause)


def _judged(
    definition: MeasurementDefinition, value: float | None, length_unit: str, status: Status, reason: str
) -> Measurement:
    """The measurement with its verdict; a norm in mm is left out where the value is in px."""
    unit = length_unit if definition.unit == "mm" else definition.unit
    if unit == "px":
        reason = _joined(reason, NO_CALIBRATION) if value is not None else reason
        return Measurement(definition.name, value, unit, status, reason)
    verdict = ""
    if value is not None and definition.classes:
        verdict = next((item.label for item in definition.classes if item.holds(value)), "")
        reason = reason if verdict else _joined(reason, "the source defines no class for this value")
    elif value is not None and definition.normal_range:
        low, high = definition.normal_range
        verdict = "below normal range" if value < low else "above normal range" if value > high else "normal"
    return Measurement(definition.name, value, unit, status, reason, definition.normal_range, verdict)


def point_of(point: PointDefinition, points: dict[str, np.ndarray]) -> np.ndarray:
    """A landmark's place, or the middle of several, (3,)."""
    if len(point) == 1:
        return points[point[0]]
    return np.mean([points[name] for name in point], axis=0)


def _operands(definition: MeasurementDefinition, points: dict[str, np.ndarray]) -> tuple[list, list[Segment]]:
    """The points and lines that a definition is made from, in its order."""
    return (
        [point_of(point, points) for point in definition.points],
        [(point_of(start, points), point_of(end, points)) for start, end in definition.lines],
    )


def _positive(definition: MeasurementDefinition, points: dict[str, np.ndarray]) -> Segment | None:
    if definition.positive_direction is None:
        return None
    start, end = definition.positive_direction
    return point_of(start, points), point_of(end, points)


def _terms(definition: MeasurementDefinition, values: dict[str, float | None]) -> list[float]:
    """The terms, each times its factor. Raises DegenerateGeometry where one of them has no value."""
    terms = []
    for term in definition.terms:
        value = values[term.measurement]
        if value is None:
            raise DegenerateGeometry(f"{term.measurement} has no value")
        terms.append(value * term.factor)
    return terms


def _from_points(function: Callable[..., float]) -> Callable[..., float]:
    """A rule that needs the points and lines of a definition and nothing else."""

    def rule(definition: MeasurementDefinition, points: dict, values: dict) -> float:
        own_points, own_lines = _operands(definition, points)
        return function(*own_points, *own_lines)

    return rule


def _from_points_signed(function: Callable[..., float]) -> Callable[..., float]:
    """A rule that needs the positive direction as well."""

    def rule(definition: MeasurementDefinition, points: dict, values: dict) -> float:
        own_points, own_lines = _operands(definition, points)
        return function(*own_points, *own_lines, _positive(definition, points))

    return rule


def _point_to_line(definition: MeasurementDefinition, points: dict, values: dict) -> float:
    (point,), (line,) = _operands(definition, points)
    side = point_of(definition.positive_side, points) if definition.positive_side else None
    return geometry.point_to_line(point, line, side)


def _ratio(definition: MeasurementDefinition, points: dict, values: dict) -> float:
    numerator, denominator = _terms(definition, values)
    if abs(denominator) < geometry.SMALLEST_LENGTH:
        raise DegenerateGeometry(f"{definition.terms[1].measurement} is 0, which nothing can be divided by")
    return numerator / denominator * (100.0 if definition.unit == "%" else 1.0)


def _sum(definition: MeasurementDefinition, points: dict, values: dict) -> float:
    return sum(_terms(definition, values))


_RULES: dict[str, Callable[..., float]] = {
    "distance": _from_points(geometry.distance),
    "signed_distance": _from_points_signed(geometry.signed_distance),
    "distance_along": _from_points(geometry.distance_along),
    "distance_across": _from_points_signed(geometry.distance_across),
    "point_to_line": _point_to_line,
    "ellipse_circumference": _from_points(geometry.ellipse_circumference),
    "angle_at_vertex": _from_points(geometry.angle_at_vertex),
    "angle_between_lines": _from_points_signed(geometry.angle_between_lines),
    "ratio": _ratio,
    "sum": _sum,
}
