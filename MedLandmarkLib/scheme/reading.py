"""From the JSON of a scheme file to a Scheme, with every rule checked and every complaint naming file and field.

The same rules stand in Resources/Scheme-schema.json for editors and tests. They are checked here as well because
schemes of users are read where no JSON schema library is installed, and because a JSON schema cannot say that a
measurement's landmark must exist.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .cine_reading import cine_from_json
from .definitions import LandmarkDefinition, ReferenceLength, Scheme
from .field import Field
from .measurement_reading import line_from_json, measurement_from_json

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9.-]*")
NAMES_KINDS = ("published", "derived", "neutral")
SDR_UNITS = ("mm", "px")
IMAGE_AXES = ("x", "y")
SCHEMA_VERSION = "1.0"


def scheme_from_json(content: Any, path: Path) -> Scheme:
    """The scheme in `content`, the parsed JSON of the file at `path`. Raises SchemeError."""
    root = Field(content, path)
    root.allow(
        "$schema", "schema_version", "id", "version", "title", "anatomy", "modality", "description", "names",
        "landmarks", "interchangeable", "measurements", "cine", "evaluation", "sources", "licence", "notes",
    )  # fmt: skip
    root["schema_version"].choice((SCHEMA_VERSION,))
    names_field = root["names"]
    names_field.allow("kind", "note")
    names_kind = names_field["kind"].choice(NAMES_KINDS)
    landmarks = _landmarks(root["landmarks"], named=names_kind != "neutral")
    measurements: dict[str, Any] = {}
    for field in root.optional("measurements").items():
        measurement = measurement_from_json(field, tuple(item.name for item in landmarks), measurements)
        measurements[measurement.name] = measurement
    return Scheme(
        id=_id(root["id"]),
        version=root["version"].text(),
        title=root["title"].text(),
        anatomy=root["anatomy"].text(),
        modality=root["modality"].text(),
        description=root["description"].text(),
        names_kind=names_kind,
        names_note=names_field["note"].text(),
        landmarks=landmarks,
        measurements=tuple(measurements.values()),
        interchangeable=_pairs(root.optional("interchangeable"), tuple(item.name for item in landmarks)),
        cine=cine_from_json(root.optional("cine"), tuple(item.name for item in landmarks), measurements),
        sources=tuple(field.text() for field in root["sources"].items(at_least=1)),
        licence_notes=tuple(field.text() for field in root.optional("licence").items()),
        notes=tuple(field.text() for field in root.optional("notes").items()),
        path=path,
        **_evaluation(root["evaluation"], tuple(item.name for item in landmarks)),
    )


def _id(field: Field) -> str:
    scheme_id = field.text()
    if not ID_PATTERN.fullmatch(scheme_id):
        raise field.error("must be small letters, digits, '-' and '.', such as 'head-19'")
    return scheme_id


def _landmarks(field: Field, named: bool) -> tuple[LandmarkDefinition, ...]:
    landmarks: dict[str, LandmarkDefinition] = {}
    for item in field.items(at_least=1):
        item.allow("name", "code", "definition", "source", "scored_along", "midsagittal")
        name = item["name"].text()
        if name in landmarks:
            raise item["name"].error("stands twice; each landmark needs a name of its own")
        landmarks[name] = LandmarkDefinition(
            name=name,
            definition=item["definition"].text(),
            code=item.optional("code").text(default=""),
            named=named,
            source=item.optional("source").text(default=""),
            scored_along=_axis(item.optional("scored_along")),
            midsagittal=item.optional("midsagittal").flag(),
        )
    return tuple(landmarks.values())


def _axis(field: Field) -> str:
    return field.choice(IMAGE_AXES) if field.given else ""


def _pairs(field: Field, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in field.items():
        pair = tuple(entry.choice(names) for entry in item.items())
        if len(set(pair)) != 2:
            raise item.error("must name two different landmarks")
        pairs.append(pair)
    used = [name for pair in pairs for name in pair]
    if len(used) != len(set(used)):
        raise field.error("must name each landmark once")
    return tuple(pairs)


def _evaluation(field: Field, names: tuple[str, ...]) -> dict[str, Any]:
    field.allow("radii", "unit", "tolerance", "reason", "reference_size_wh", "reference_length")
    radii = tuple(item.number(above=0) for item in field["radii"].items(at_least=1))
    if list(radii) != sorted(set(radii)):
        raise field["radii"].error("must rise from the smallest radius to the largest, each once")
    unit = field["unit"].choice(SDR_UNITS)
    reference = field.optional("reference_size_wh")
    size = tuple(item.whole(at_least=1) for item in reference.items())
    if reference.given and len(size) != 2:
        raise reference.error("must be [width, height] in px")
    if reference.given and unit != "px":
        raise reference.error("has a meaning only where the unit is 'px'")
    return {
        "sdr_radii": radii,
        "sdr_unit": unit,
        "tolerance": field["tolerance"].number(above=0),
        "sdr_reason": field["reason"].text(),
        "sdr_reference_size_wh": size or None,
        "reference_length": _reference_length(field.optional("reference_length"), names),
    }


def _reference_length(field: Field, names: tuple[str, ...]) -> ReferenceLength | None:
    if not field.given:
        return None
    field.allow("title", "lines")
    lines = tuple(line_from_json(item, names) for item in field["lines"].items(at_least=1))
    return ReferenceLength(field["title"].text(), lines)
