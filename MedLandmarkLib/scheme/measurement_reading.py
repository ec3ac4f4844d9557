"""From the JSON of one measurement to its definition: the rules of each kind, and that all it names exists."""

from __future__ import annotations

from .definitions import KINDS, UNITS, KindRule, Line, MeasurementClass, MeasurementDefinition, Point, Term, suggestion
from .field import Field

BOUNDS = ("above", "at_least", "below", "at_most")


def measurement_from_json(
    field: Field, landmark_names: tuple[str, ...], earlier: dict[str, MeasurementDefinition]
) -> MeasurementDefinition:
    """The definition in `field`. `earlier` holds the measurements above it in the file: terms may name only those.

    Raises SchemeError.
    """
    field.allow(
        "name", "title", "kind", "unit", "formula", "source", "points", "lines", "positive_direction", "positive_side",
        "terms", "sign", "normal", "classes", "notes",
    )  # fmt: skip
    name = field["name"].text()
    if name in earlier:
        raise field["name"].error("stands twice; each measurement needs a name of its own")
    kind = field["kind"].choice(tuple(KINDS))
    rule = KINDS[kind]
    _check_operands(field, kind, rule)
    terms = tuple(_term(item, earlier) for item in field.optional("terms").items())
    direction, side = field.optional("positive_direction"), field.optional("positive_side")
    if (direction.given or side.given) and not field.optional("sign").given:
        raise field.optional("sign").error("must say in words which way is positive")
    normal_range, normal_source = _normal(field)
    return MeasurementDefinition(
        name=name,
        title=field["title"].text(),
        kind=kind,
        unit=_unit(field["unit"], kind, rule, [earlier[term.measurement].unit for term in terms]),
        formula=field["formula"].text(),
        source=field["source"].text(),
        points=tuple(point_from_json(item, landmark_names) for item in field.optional("points").items()),
        lines=tuple(line_from_json(item, landmark_names) for item in field.optional("lines").items()),
        positive_direction=line_from_json(direction, landmark_names) if direction.given else None,
        positive_side=point_from_json(side, landmark_names) if side.given else None,
        terms=terms,
        sign=field.optional("sign").text(default=""),
        normal_range=normal_range,
        normal_source=normal_source,
        classes=tuple(_class(item) for item in field.optional("classes").items()),
        notes=field.optional("notes").text(default=""),
    )


def _check_operands(field: Field, kind: str, rule: KindRule) -> None:
    """Raise unless the measurement is made from what its kind is made from, no less and no more."""
    for key, fewest, most in (
        ("points", rule.points, rule.points), ("lines", rule.lines, rule.lines), ("terms", *rule.terms),
    ):  # fmt: skip
        operands = field.optional(key)
        count = sum(1 for _ in operands.items())
        if not fewest <= count <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise operands.error(f"must have {wanted} entries for kind '{kind}'")
    for key, need in (("positive_direction", rule.direction), ("positive_side", rule.side)):
        if need == "must" and not field.optional(key).given:
            raise field.optional(key).error(f"must be given for kind '{kind}', whose sign it decides")
        if need == "no" and field.optional(key).given:
            raise field.optional(key).error(f"has no meaning for kind '{kind}'")


def _unit(field: Field, kind: str, rule: KindRule, term_units: list[str]) -> str:
    unit = field.choice(UNITS[rule.quantity])
    if rule.quantity == "terms" and set(term_units) != {unit}:
        raise field.error(f"must be that of the terms, which are in {' and '.join(sorted(set(term_units)))}")
    if kind == "ratio" and len(set(term_units)) != 1:
        raise field.error(f"belongs to a ratio of unlike things: {' and '.join(term_units)}")
    return unit


def point_from_json(field: Field, landmark_names: tuple[str, ...]) -> Point:
    """A landmark's name, or {"midpoint": [name, name, ...]}."""
    if isinstance(field.value, dict):
        field.allow("midpoint")
        members = list(field["midpoint"].items(at_least=2))
    else:
        members = [field]
    for member in members:
        if member.text() not in landmark_names:
            raise member.error(f"must be a landmark of this scheme{suggestion(member.text(), landmark_names)}")
    return tuple(member.text() for member in members)


def line_from_json(field: Field, landmark_names: tuple[str, ...]) -> Line:
    ends = [point_from_json(item, landmark_names) for item in field.items(at_least=2)]
    if len(ends) != 2:
        raise field.error("must be a line, given by two points")
    if ends[0] == ends[1]:
        raise field.error("must join two different points")
    return ends[0], ends[1]


def _term(field: Field, earlier: dict[str, MeasurementDefinition]) -> Term:
    field.allow("measurement", "factor")
    name = field["measurement"].text()
    if name not in earlier:
        raise field["measurement"].error(
            f"must be a measurement that stands above this one{suggestion(name, list(earlier))}"
        )
    factor = field.optional("factor")
    number = factor.number() if factor.given else 1.0
    if number == 0:
        raise factor.error("must not be 0")
    return Term(name, number)


def _normal(field: Field) -> tuple[tuple[float, float] | None, str]:
    normal = field.optional("normal")
    if not normal.given:
        if field.optional("classes").given:
            raise normal.error("must name the source of the classes")
        return None, ""
    normal.allow("range", "source")
    limits = [item.number() for item in normal.optional("range").items()]
    if normal.optional("range").given and (len(limits) != 2 or limits[0] >= limits[1]):
        raise normal["range"].error("must be [lowest, highest]")
    return ((limits[0], limits[1]) if limits else None), normal["source"].text()


def _class(field: Field) -> MeasurementClass:
    field.allow("label", "normal", *BOUNDS)
    bounds = {key: field[key].number() for key in BOUNDS if field.optional(key).given}
    lower = [bounds[key] for key in ("above", "at_least") if key in bounds]
    upper = [bounds[key] for key in ("below", "at_most") if key in bounds]
    if not bounds or len(lower) > 1 or len(upper) > 1 or (lower and upper and lower[0] > upper[0]):
        raise field.error("must have one lower bound (above, at_least), one upper (below, at_most), or both, in order")
    return MeasurementClass(label=field["label"].text(), normal=field.optional("normal").flag(), **bounds)
