"""`medlandmark schemes`: which landmarks there are to ask for."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..scheme import MeasurementDefinition, Scheme, list_schemes, load_scheme
from . import options
from .console import out, plain_errors

schemes_app = typer.Typer(
    no_args_is_help=True, help="List landmark schemes, and show what each landmark and measurement is."
)


@schemes_app.command("list")
def list_command(as_json: options.JsonOption = False) -> None:
    """All schemes that come along or with an installed model: id, title, how many landmarks and measurements."""
    with plain_errors():
        schemes = list_schemes()
        if as_json:
            keys = ("id", "title", "anatomy", "modality", "description")
            records = [
                {key: getattr(scheme, key) for key in keys}
                | {"landmarks": len(scheme), "measurements": len(scheme.measurements)}
                for scheme in schemes
            ]
            print(json.dumps(records, indent=1, ensure_ascii=False))
            return
        table = Table("scheme", "title", "landmarks", "measurements", "modality")
        for scheme in schemes:
            count = str(len(scheme)), str(len(scheme.measurements))
            table.add_row(scheme.id, escape(scheme.title), *count, escape(scheme.modality))
        out().print(table)


@schemes_app.command("show")
def show_command(
    scheme_id: Annotated[str, typer.Argument(metavar="SCHEME", help="An id, or a scheme file.")],
    as_json: options.JsonOption = False,
) -> None:
    """One scheme: definitions, measurements with their formulas, sources."""
    with plain_errors():
        scheme = load_scheme(scheme_id)
        if as_json:
            print(scheme.path.read_text(encoding="utf-8-sig").rstrip())
            return
        _show(scheme)


def _show(scheme: Scheme) -> None:
    console = out()
    console.print(f"[bold]{escape(scheme.id)}[/] {escape(scheme.title)} ({escape(scheme.modality)})")
    for text in (scheme.description, scheme.names_note, *scheme.notes):
        if text:
            console.print(escape(text))
    landmarks = Table("#", "code", "landmark", "definition")
    for number, landmark in enumerate(scheme.landmarks, start=1):
        landmarks.add_row(str(number), escape(landmark.code), escape(landmark.name), escape(landmark.definition))
    console.print(landmarks)
    if scheme.measurements:
        measurements = Table("measurement", "unit", "formula", "normal", "source")
        for item in scheme.measurements:
            cells = (item.name, item.unit, item.formula, _norm(item), item.source)
            measurements.add_row(*(escape(cell) for cell in cells))
        console.print(measurements)
    radii = ", ".join(f"{radius:g}" for radius in scheme.sdr_radii)
    console.print(f"Success is counted within {radii} {scheme.sdr_unit}. {escape(scheme.sdr_reason)}")
    for source in scheme.sources:
        console.print(f"Source: {source}", markup=False)


def _norm(item: MeasurementDefinition) -> str:
    if item.normal_range:
        return "{:g} to {:g}".format(*item.normal_range)
    return ", ".join(entry.label for entry in item.classes)
