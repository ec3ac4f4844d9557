"""The command `medlandmark teach` and what it is given: points in a file, a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doubles import write_pictures_with_one_broken
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.scheme import own_scheme

POINTS = {"beak": (10.0, 20.5), "eye": (30.25, 12.0), "tail": (50.0, 70.0)}
BIRD, _ = own_scheme(tuple(POINTS), "bird")


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    """Six pictures, one of them broken, and a text."""
    folder = write_pictures_with_one_broken(tmp_path / "pictures", 6, "p3.png")
    (folder / "notes.txt").write_text("a note", encoding="utf-8")
    return folder


@pytest.fixture
def a_markups_file(tmp_path: Path) -> Path:
    return write_markups(tmp_path / "p0.mrk.json", POINTS)


def write_markups(path: Path, points: dict[str, tuple[float, float] | None], description: str = "") -> Path:
    """As Slicer saves points that were set on a picture without calibration: LPS, pixels of 1 mm."""
    control_points = [
        {"label": name, "position": [0, 0, 0] if xy is None else [xy[0], xy[1], 0.0], "description": description}
        | {"positionStatus": "missing" if xy is None else "defined"}
        for name, xy in points.items()
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": control_points}
    path.write_text(json.dumps({"markups": [markup]}), encoding="utf-8")
    return path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["teach", *(str(argument) for argument in arguments)])


def refused(*arguments: object) -> str:
    """The one line on stderr of a command that does nothing."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())
