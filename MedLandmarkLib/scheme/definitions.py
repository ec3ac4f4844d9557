"""What a scheme says: its landmarks, its measurements, and how close a prediction must come to count as right."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import SchemeError
from .cine_definitions import CineDefinition

# A point is the mean of one or more landmarks: ("Nasion",), or both hinge points for the middle of a valve.
Point = tuple[str, ...]
# A directed line, from its first point to its second.
Line = tuple[Point, Point]


@dataclass(frozen=True)
class KindRule:
    """What a kind of measurement is made from. `terms` is (fewest, most); `quantity` fixes the units allowed."""

    points: int = 0
    lines: int = 0
    direction: str = "no"  # whether `positive_direction` is given: "no", "may", "must"
    side: str = "no"  # likewise `positive_side`
    terms: tuple[int, int] = (0, 0)
    quantity: str = "length"  # "length", "angle", "ratio", or "terms": that of the measurements it is made from


KINDS: dict[str, KindRule] = {
    "distance": KindRule(points=2),
    "signed_distance": KindRule(points=2, direction="must"),
    "distance_along": KindRule(points=2, lines=1),
    "distance_across": KindRule(points=2, lines=1, direction="must"),
    "point_to_line": KindRule(points=1, lines=1, side="may"),
    "ellipse_circumference": KindRule(lines=2),
    "angle_at_vertex": KindRule(points=3, quantity="angle"),
    "angle_between_lines": KindRule(lines=2, direction="may", quantity="angle"),
    "ratio": KindRule(terms=(2, 2), quantity="ratio"),
    "sum": KindRule(terms=(2, 16), quantity="terms"),
}

UNITS: dict[str, tuple[str, ...]] = {
    "length": ("mm",),
    "angle": ("deg",),
    "ratio": ("ratio", "%"),
    "terms": ("mm", "deg", "ratio", "%"),
}


@dataclass(frozen=True)
class LandmarkDefinition:
    """One point of a scheme. `named` is False where its source publishes no anatomical name for it.

    `scored_along` is "x" or "y" where an error counts along that axis of the image alone, because the point is loose
    along the other; empty where it counts in all directions. `midsagittal`: the point lies on the plane of left-right
    symmetry, which tells its depth in a lateral projection.
    """

    name: str
    definition: str
    code: str = ""
    named: bool = True
    source: str = ""
    scored_along: str = ""
    midsagittal: bool = False

    @property
    def label(self) -> str:
        """What to write beside the point in a picture: the short code where there is one."""
        return self.code or self.name


@dataclass(frozen=True)
class MeasurementClass:
    """A named interval of values, as a source publishes it. A bound that is None is open."""

    label: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    normal: bool = False

    def holds(self, value: float) -> bool:
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


@dataclass(frozen=True)
class Term:
    """Another measurement of the same scheme, times a factor."""

    measurement: str
    factor: float = 1.0


@dataclass(frozen=True)
class MeasurementDefinition:
    """How one number is made from landmarks; `kind` names the rule (KINDS), the other fields are what it is made of.

    `positive_direction` and `positive_side` say by anatomy which sign is which, so that a mirrored image, or another
    handedness of the axes, does not change a value. `unit` is "mm", "deg", "ratio" or "%"; a length comes out in
    px where the landmarks are in px. `normal_range` and `classes` are there only where `normal_source` publishes them.
    """

    name: str
    title: str
    kind: str
    unit: str
    formula: str
    source: str
    points: tuple[Point, ...] = ()
    lines: tuple[Line, ...] = ()
    positive_direction: Line | None = None
    positive_side: Point | None = None
    terms: tuple[Term, ...] = ()
    sign: str = ""
    normal_range: tuple[float, float] | None = None
    normal_source: str = ""
    classes: tuple[MeasurementClass, ...] = ()
    notes: str = ""

    @property
    def own_landmarks(self) -> tuple[str, ...]:
        """The landmarks that this definition names itself, each once, in order of mention."""
        lines = self.lines + ((self.positive_direction,) if self.positive_direction else ())
        points = self.points + tuple(point for line in lines for point in line)
        points += (self.positive_side,) if self.positive_side else ()
        return tuple(dict.fromkeys(name for point in points for name in point))


@dataclass(frozen=True)
class ReferenceLength:
    """A length of the anatomy, the mean over `lines`, by which errors without mm can be compared across images."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Scheme:
    """A set of landmarks in a fixed order, with what is measured from them.

    `sdr_radii` are the radii of the success detection rate, smallest first, and `tolerance` the one radius within which
    a point counts as right, all in `sdr_unit`. Where that is "px" and `sdr_reference_size_wh` is given, errors are
    counted after the image was resized to that (width, height), as the source does. `reference_length` is what errors
    can be given in parts of where there are no mm.
    `names_kind` is "published" (names from the source), "derived" (points computed by a stated rule, named after it) or
    "neutral" (the source publishes no names; `names_note` says so).
    `interchangeable` lists pairs of landmarks that nothing but their place in the picture tells apart, such as the two
    ends of an axis: the first of a pair is the one with the smaller x, then the smaller y.
    `cine` says what is measured through a clip of this view; None where that means nothing.
    """

    id: str
    version: str
    title: str
    anatomy: str
    modality: str
    description: str
    names_kind: str
    names_note: str
    landmarks: tuple[LandmarkDefinition, ...]
    measurements: tuple[MeasurementDefinition, ...]
    sdr_radii: tuple[float, ...]
    sdr_unit: str
    tolerance: float
    sdr_reason: str
    sources: tuple[str, ...]
    sdr_reference_size_wh: tuple[int, int] | None = None
    reference_length: ReferenceLength | None = None
    interchangeable: tuple[tuple[str, str], ...] = ()
    cine: CineDefinition | None = None
    licence_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(landmark.name for landmark in self.landmarks)

    def index(self, name: str) -> int:
        """The place of a landmark in the scheme's order, from 0. Raises SchemeError where there is none."""
        names = self.names
        if name not in names:
            raise SchemeError(f"Scheme {self.id} has no landmark '{name}'{suggestion(name, names)}.")
        return names.index(name)

    def measurement(self, name: str) -> MeasurementDefinition:
        """The definition of one measurement. Raises SchemeError where there is none."""
        for definition in self.measurements:
            if definition.name == name:
                return definition
        known = [definition.name for definition in self.measurements]
        raise SchemeError(f"Scheme {self.id} has no measurement '{name}'{suggestion(name, known)}.")

    @cached_property
    def measurement_inputs(self) -> dict[str, tuple[str, ...]]:
        """For each measurement the landmarks that it depends on, also through the measurements it is made from."""
        inputs: dict[str, tuple[str, ...]] = {}
        for definition in self.measurements:
            names = list(definition.own_landmarks)
            for term in definition.terms:
                names.extend(inputs[term.measurement])
            inputs[definition.name] = tuple(dict.fromkeys(names))
        return inputs


def suggestion(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    """A clause that offers the nearest of `known`, to be put behind the wrong word; empty where nothing is near."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), lowered, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(lowered[name]) for name in near)}?" if near else ""
