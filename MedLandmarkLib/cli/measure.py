"""`medlandmark measure`: measurements from landmarks that are already there, such as corrected ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import SchemeError
from ..export.files import written_whole
from ..export.landmarks_json import measurement_record, read_landmarks_json
from ..export.mrk_json import MARKUPS_SUFFIX, read_mrk_json
from ..landmark import LandmarkSet
from ..measure import Measurement, measure
from ..scheme import Scheme, load_scheme
from . import options
from .console import SOME_FAILED, complain_of, out, plain_errors, shown
from .tables import counted, measurement_table

HELP = """Measure again from landmark files, for example after points were moved in 3D Slicer.

    medlandmark measure results/ceph.landmarks.json

    medlandmark measure corrected/*.mrk.json --scheme head-19 --csv measurements.csv
"""

COLUMNS = ("file", "frame", "measurement", "value", "unit", "status", "reason", "verdict")

Measured = tuple[LandmarkSet, list[Measurement]]


def measure_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="STEM.landmarks.json, or STEM.mrk.json with --scheme.")
    ],
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", "-s", help="The scheme to measure by; else that of the file.", show_default=False),
    ] = None,
    px: Annotated[
        bool, typer.Option("--px", help="The markups lie on an image without calibration: lengths are px.")
    ] = False,
    as_json: options.JsonOption = False,
    csv_path: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write one row per file, frame and measurement.")
    ] = None,
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    with plain_errors(verbose):
        definition = load_scheme(scheme) if scheme is not None else None
        measured: dict[Path, list[Measured]] = {}
        for path in files:
            try:
                measured[path] = measure_file(path, definition, px)
            except Exception as error:  # one file must not stop the others
                complain_of(error, path, verbose)
        if as_json:
            print(json.dumps([_record(path, sets) for path, sets in measured.items()], indent=1, ensure_ascii=False))
        if csv_path is not None:
            _write_csv(csv_path, measured)
        if not as_json and csv_path is None:
            _print(measured)
        if len(measured) < len(set(files)):
            raise typer.Exit(SOME_FAILED)


def measure_file(path: Path, scheme: Scheme | None, in_pixels: bool = False) -> list[Measured]:
    """The landmarks of each frame of a file with their measurements. Raises MedLandmarkError, SchemeError."""
    if path.name.lower().endswith(MARKUPS_SUFFIX):
        if scheme is None:
            raise SchemeError("a markups file does not name its scheme: add --scheme, for example --scheme head-19.")
        sets = read_mrk_json(path, scheme, in_pixels)
    else:
        scheme_id, sets = read_landmarks_json(path)
        scheme = scheme or load_scheme(scheme_id)
    return [(landmarks, measure(landmarks, scheme)) for landmarks in sets]


def _record(path: Path, sets: list[Measured]) -> dict[str, Any]:
    return {
        "file": shown(path),
        "frames": [
            {"frame": landmarks.frame, "measurements": [measurement_record(item) for item in measurements]}
            for landmarks, measurements in sets
        ],
    }


def _write_csv(path: Path, measured: dict[Path, list[Measured]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for source, sets in measured.items():
            for landmarks, measurements in sets:
                for item in measurements:
                    value = "" if item.value is None else item.value
                    texts = (item.unit, item.status.value, item.reason, item.verdict)
                    writer.writerow((shown(source), landmarks.frame, item.name, value, *texts))


def _print(measured: dict[Path, list[Measured]]) -> None:
    console = out()
    for path, sets in measured.items():
        for landmarks, measurements in sets:
            frame = f", frame {landmarks.frame}" if len(sets) > 1 else ""
            print(f"{shown(path)}{frame}: {counted(landmarks)}")
            console.print(measurement_table(measurements))
