"""Which lines and angles a scheme's measurements are read from: what there is to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..scheme import Point, Scheme

LINE, ANGLE, PERPENDICULAR = "line", "angle", "perpendicular"
ARC_RADIUS, ARC_SEGMENTS = 0.25, 12  # of an angle: as a share of its shorter leg; pieces that look round


@dataclass(frozen=True)
class Drawing:
    """points: the two ends of a line; the three points of an angle, the vertex second; or a point and the two ends of
    the line onto which a perpendicular is dropped. measurements: what is read from it."""

    kind: str
    points: tuple[Point, ...]
    measurements: tuple[str, ...]

    @property
    def name(self) -> str:
        """What to call it: its measurement where it has one of its own, else its points."""
        return self.measurements[0] if self.kind != LINE else " - ".join(point_name(point) for point in self.points)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The landmarks that it follows."""
        return tuple(dict.fromkeys(name for point in self.points for name in point))

    def places(self, ras: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(2 or 3, 3): where its control points belong; None where a landmark is absent or there is nothing to see."""
        if any(name not in ras for name in self.inputs):
            return None
        ends = np.array([sum(ras[name] for name in point) / len(point) for point in self.points])
        if self.kind != PERPENDICULAR:
            return ends
        point, start, end = ends
        along = end - start
        length_squared = float(along @ along)
        if length_squared == 0:
            return None
        return np.array([point, start + along * float((point - start) @ along) / length_squared])

    def segments(self, ras: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, 2, 3): the straight pieces that show it, an angle's legs and arc; none where there is nothing to see."""
        places = self.places(ras)
        if places is None:
            return np.empty((0, 2, 3))
        if self.kind == ANGLE:
            places = np.concatenate([places, _arc(*places)])
        pieces = np.stack([places[:-1], places[1:]], axis=1)
        return np.delete(pieces, 2, axis=0) if self.kind == ANGLE else pieces  # from the last leg's end to the arc


def drawings_of(scheme: Scheme) -> tuple[Drawing, ...]:
    """Every line and angle that the scheme's measurements use, each once, whichever way it runs."""
    found: dict[tuple, tuple[str, tuple[Point, ...], list[str]]] = {}

    def add(kind: str, points: tuple[Point, ...], measurement: str) -> None:
        shape = (kind, *sorted(points)) if kind == LINE else (kind, points[1], *sorted((points[0], points[-1])))
        shape = shape if kind != PERPENDICULAR else (kind, *points)
        names = found.setdefault(shape, (kind, points, []))[2]
        if measurement not in names:
            names.append(measurement)

    for definition in scheme.measurements:
        if definition.kind == "angle_at_vertex":
            add(ANGLE, definition.points, definition.name)
        elif definition.kind == "point_to_line":
            add(PERPENDICULAR, (definition.points[0], *definition.lines[0]), definition.name)
        elif len(definition.points) == 2:
            add(LINE, definition.points, definition.name)
        for line in definition.lines:
            add(LINE, line, definition.name)
    return tuple(Drawing(kind, points, tuple(names)) for kind, points, names in found.values())


def _arc(end: np.ndarray, vertex: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """(ARC_SEGMENTS + 1, 3): places on the arc of an angle from one leg to the other."""
    legs = np.array([end, other_end]) - vertex
    lengths = np.linalg.norm(legs, axis=1)
    along = legs / np.where(lengths > 0, lengths, 1.0)[:, None]
    across = along[1] - (along[1] @ along[0]) * along[0]
    angle = np.arctan2(np.linalg.norm(across), along[1] @ along[0])
    across /= np.linalg.norm(across) or 1.0
    turn = np.linspace(0.0, angle, ARC_SEGMENTS + 1)[:, None]
    return vertex + ARC_RADIUS * lengths.min() * (np.cos(turn) * along[0] + np.sin(turn) * across)


def point_name(point: Point) -> str:
    """One landmark by its name, a midpoint by all of its."""
    return point[0] if len(point) == 1 else f"middle of {', '.join(point)}"
