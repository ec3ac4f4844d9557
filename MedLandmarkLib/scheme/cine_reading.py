"""From the "cine" block of a scheme file to its definition, every complaint naming file and field."""

from __future__ import annotations

from .cine_definitions import CINE_KINDS, Alignment, CineDefinition, CineValueDefinition, CurveDefinition
from .definitions import suggestion
from .field import Field
from .measurement_reading import line_from_json, point_from_json


def cine_from_json(field: Field, landmark_names: tuple[str, ...], measurements: dict) -> CineDefinition | None:
    """The definition in `field`; None where the scheme has none. Raises SchemeError."""
    if not field.given:
        return None
    field.allow("curves", "beat_curve", "values", "alignment")
    curves: dict[str, CurveDefinition] = {}
    for item in field["curves"].items(at_least=1):
        item.allow("name", "title", "measurement")
        name = _new(item["name"], curves)
        measurement = _known(item["measurement"], measurements, "a measurement of this scheme")
        curves[name] = CurveDefinition(name, item["title"].text(), measurement)
    values: dict[str, CineValueDefinition] = {}
    for item in field.optional("values").items():
        value = _value(item, landmark_names, curves, values)
        values[value.name] = value
    beat_curve = _known(field["beat_curve"], curves, "a curve of this scheme")
    return CineDefinition(
        tuple(curves.values()),
        beat_curve,
        tuple(values.values()),
        _alignment(field.optional("alignment"), measurements),
    )


def _value(
    field: Field,
    landmark_names: tuple[str, ...],
    curves: dict[str, CurveDefinition],
    earlier: dict[str, CineValueDefinition],
) -> CineValueDefinition:
    field.allow("name", "title", "kind", "unit", "formula", "source", "inputs", "point", "toward", "notes")
    kind = field["kind"].choice(tuple(CINE_KINDS))
    rule = CINE_KINDS[kind]
    known, what = (curves, "a curve of this scheme") if rule.curves else (earlier, "a value that stands above this one")
    inputs = tuple(_known(item, known, what) for item in field.optional("inputs").items())
    if len(inputs) != rule.curves + rule.values:
        raise field.optional("inputs").error(f"must have {rule.curves + rule.values} entries for kind '{kind}'")
    for key in ("point", "toward"):
        if field.optional(key).given != rule.path:
            raise field.optional(key).error(f"{'must be given' if rule.path else 'has no meaning'} for kind '{kind}'")
    unit = field["unit"].choice(rule.units)
    if kind == "difference" and {earlier[name].unit for name in inputs} != {unit}:
        raise field["unit"].error("must be that of both inputs")
    return CineValueDefinition(
        name=_new(field["name"], earlier),
        title=field["title"].text(),
        kind=kind,
        unit=unit,
        formula=field["formula"].text(),
        source=field["source"].text(),
        inputs=inputs,
        point=point_from_json(field["point"], landmark_names) if rule.path else (),
        toward=line_from_json(field["toward"], landmark_names) if rule.path else None,
        notes=field.optional("notes").text(default=""),
    )


def _alignment(field: Field, measurements: dict) -> Alignment | None:
    if not field.given:
        return None
    field.allow("measurements", "at_most_deg", "source")
    names = tuple(
        _known(item, measurements, "a measurement of this scheme") for item in field["measurements"].items(at_least=2)
    )
    for name, item in zip(names, field["measurements"].items(), strict=True):
        if measurements[name].kind != "distance":
            raise item.error("must be a distance: two lines bend, other measurements do not")
    return Alignment(names, field["at_most_deg"].number(above=0), field["source"].text())


def _new(field: Field, taken: dict) -> str:
    name = field.text()
    if name in taken:
        raise field.error("stands twice; each needs a name of its own")
    return name


def _known(field: Field, known: dict, what: str) -> str:
    name = field.text()
    if name not in known:
        raise field.error(f"must be {what}{suggestion(name, list(known))}")
    return name
