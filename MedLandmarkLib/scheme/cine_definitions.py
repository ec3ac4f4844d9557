"""What is measured through a clip: curves, and values at the ends of diastole and systole, as a scheme defines them."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[str, ...]  # as in definitions.py: one landmark, or several for their middle


@dataclass(frozen=True)
class CineRule:
    """What a kind of value is made from: so many curves, or so many values further up, or a point's path."""

    curves: int = 0
    values: int = 0
    path: bool = False
    units: tuple[str, ...] = ("mm", "deg", "ratio", "%")
    needs_mm: bool = False  # the formula holds constants of a length, so that px do not do


CINE_KINDS: dict[str, CineRule] = {
    "at_end_diastole": CineRule(curves=1),
    "at_end_systole": CineRule(curves=1),
    "relative_change": CineRule(values=2, units=("%",)),
    "difference": CineRule(values=2, units=("mm", "ml", "g", "deg", "ratio", "%")),
    "relative_wall_thickness": CineRule(values=2, units=("ratio",)),
    "teichholz_volume": CineRule(values=1, units=("ml",), needs_mm=True),
    "cube_mass": CineRule(values=3, units=("g",), needs_mm=True),
    "excursion": CineRule(path=True, units=("mm",)),
}


@dataclass(frozen=True)
class CurveDefinition:
    """A measurement of the scheme in every frame. `name` is what it is called there, where no phase is meant."""

    name: str
    title: str
    measurement: str


@dataclass(frozen=True)
class CineValueDefinition:
    """One number of a beat; `kind` names the rule (CINE_KINDS), `inputs` the curves or values it is made from.

    Of an excursion, `point` is what moves and `toward` the line, at end-diastole, along which it counts.
    `unit` is "mm", "ml", "g", "deg", "ratio" or "%"; a length comes out in px where the clip has no calibration.
    """

    name: str
    title: str
    kind: str
    unit: str
    formula: str
    source: str
    inputs: tuple[str, ...] = ()
    point: Point = ()
    toward: tuple[Point, Point] | None = None
    notes: str = ""


@dataclass(frozen=True)
class Alignment:
    """Measured lines that should continue each other: where two of them bend by more, the frame is doubtful."""

    measurements: tuple[str, ...]
    at_most_deg: float
    source: str


@dataclass(frozen=True)
class CineDefinition:
    """What a scheme measures through a clip.

    `beat_curve` names the curve that is longest at end-diastole and shortest at end-systole: beats are found on it.
    """

    curves: tuple[CurveDefinition, ...]
    beat_curve: str
    values: tuple[CineValueDefinition, ...]
    alignment: Alignment | None = None
