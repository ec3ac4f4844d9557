"""The geometry of measurements, in vectors only.

Points are arrays (3,) in one frame with equal units along its axes: RAS in mm, or ijk in square pixels. No function
looks at an axis: signs come from other landmarks, so that turning, shifting or mirroring all points changes no result.
Lines are pairs of points, directed from the first to the second.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import MedLandmarkError

Segment = tuple[np.ndarray, np.ndarray]

# Below this length (mm or px) two points are taken as one: nobody places a landmark to a millionth of a pixel, and the
# direction of such a line is rounding noise.
SMALLEST_LENGTH = 1e-6
# Sine of the angle below which a direction is taken as parallel to a line, so that it shows no side of it.
SMALLEST_SINE = 1e-9


class DegenerateGeometry(MedLandmarkError):
    """The points lie so that the quantity does not exist, such as the direction of a line of no length."""


def direction(line: Segment) -> np.ndarray:
    """The unit vector (3,) along a line. Raises DegenerateGeometry where its ends coincide."""
    vector = line[1] - line[0]
    length = math.sqrt(vector.dot(vector))
    if not length > SMALLEST_LENGTH:
        raise DegenerateGeometry("two points that span a line coincide")
    return vector / length


def across(along: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """The unit vector (3,) perpendicular to the unit vector `along`, in the plane of both, on the side of `toward`.

    `toward` is a unit vector too. Raises DegenerateGeometry where the two are parallel.
    """
    perpendicular = toward - along * along.dot(toward)
    sine = math.sqrt(perpendicular.dot(perpendicular))
    if sine < SMALLEST_SINE:
        raise DegenerateGeometry("the line that decides the sign is parallel to the line that is measured from")
    return perpendicular / sine


def distance(start: np.ndarray, end: np.ndarray) -> float:
    """The length from point to point. Raises DegenerateGeometry where they coincide."""
    vector = end - start
    length = math.sqrt(vector.dot(vector))
    if not length > SMALLEST_LENGTH:
        raise DegenerateGeometry("the two points coincide")
    return length


def signed_distance(start: np.ndarray, end: np.ndarray, positive: Segment) -> float:
    """The full length from `start` to `end`, positive where `end` lies further along `positive`, 0 where level."""
    vector = end - start
    ahead = vector.dot(direction(positive))
    return math.copysign(math.sqrt(vector.dot(vector)), ahead) if ahead else 0.0


def distance_along(start: np.ndarray, end: np.ndarray, line: Segment) -> float:
    """How far `end` lies beyond `start` in the direction of `line`."""
    return float((end - start).dot(direction(line)))


def distance_across(start: np.ndarray, end: np.ndarray, line: Segment, positive: Segment) -> float:
    """How far `end` lies beyond `start` perpendicular to `line`, positive on the side to which `positive` points."""
    return float((end - start).dot(across(direction(line), direction(positive))))


def point_to_line(point: np.ndarray, line: Segment, positive_side: np.ndarray | None) -> float:
    """The perpendicular distance of a point from an endless line.

    With `positive_side` it is positive where the point lies on the same side as that point, negative on the other.
    """
    along = direction(line)
    offset = point - line[0]
    offset = offset - along * along.dot(offset)
    length = math.sqrt(offset.dot(offset))
    if positive_side is None or length == 0:
        return length
    return float(offset.dot(across(along, direction((line[0], positive_side)))))


def angle(first: np.ndarray, second: np.ndarray) -> float:
    """The angle between two unit vectors (3,), 0 to 180 degrees.

    By the half-angle formula (Kahan, "How futile are mindless assessments of roundoff", section 12): unlike the arc
    cosine of the dot product it loses no digits near 0 and 180 degrees.
    """
    difference, total = first - second, first + second
    return math.degrees(2 * math.atan2(math.sqrt(difference.dot(difference)), math.sqrt(total.dot(total))))


def angle_at_vertex(start: np.ndarray, vertex: np.ndarray, end: np.ndarray) -> float:
    """The angle in which `start` and `end` are seen from `vertex`, 0 to 180 degrees."""
    return angle(direction((vertex, start)), direction((vertex, end)))


def angle_between_lines(first: Segment, second: Segment, positive: Segment | None) -> float:
    """The angle from the direction of one line to that of another.

    Without `positive` 0 to 180 degrees; with it -180 to 180, positive where the second line is turned away from the
    first to the side to which `positive` points.
    """
    along, turned = direction(first), direction(second)
    degrees = angle(along, turned)
    if positive is None or degrees == 0:
        return degrees
    return math.copysign(degrees, turned.dot(across(along, direction(positive))))


def ellipse_circumference(long_axis: Segment, short_axis: Segment) -> float:
    """The circumference of the ellipse with the given full axes; only their lengths count.

    Ramanujan's second approximation, pi (a + b) (1 + 3h / (10 + sqrt(4 - 3h))) with h = ((a - b) / (a + b))^2 and a, b
    the half axes (S. Ramanujan, Quarterly Journal of Mathematics 45, 1914, pages 350-372). Its relative error is below
    1e-9 for the axis ratios of heads.
    """
    a, b = distance(*long_axis) / 2, distance(*short_axis) / 2
    h = ((a - b) / (a + b)) ** 2
    return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))
