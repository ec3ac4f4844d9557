"""The set of files that belongs to one image."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .figure import write_figure
from .landmarks_json import LANDMARKS_SUFFIX, write_landmarks_json
from .mrk_json import MARKUPS_SUFFIX, write_mrk_json
from .table import write_csv
from .volume_sheet import is_of_a_volume, write_volume_sheet

if TYPE_CHECKING:
    from ..detection import Detection

FIGURE_SUFFIX = ".png"
SUFFIXES = (MARKUPS_SUFFIX, ".csv", LANDMARKS_SUFFIX)


def output_paths(folder: Path, stem: str, with_figure: bool) -> list[Path]:
    """Where `write_outputs` writes."""
    return [folder / f"{stem}{suffix}" for suffix in (*SUFFIXES, *([FIGURE_SUFFIX] if with_figure else []))]


def write_outputs(detection: Detection, folder: Path, stem: str, with_figure: bool = False) -> list[Path]:
    """Write all files of one detection into `folder`, which must be there, and return their paths.

    They are made in a folder beside and moved in when all of them are complete. Raises OSError, MedLandmarkError.
    """
    writers = {MARKUPS_SUFFIX: write_mrk_json, ".csv": write_csv, LANDMARKS_SUFFIX: write_landmarks_json}
    if with_figure:
        writers[FIGURE_SUFFIX] = write_volume_sheet if is_of_a_volume(detection) else write_figure
    return write_all(writers, detection, folder, stem)


def write_all(writers: Mapping[str, Callable], detection: Any, folder: Path, stem: str) -> list[Path]:
    """Write folder/STEM + suffix with each writer (detection, path); all of them are moved in when all are complete."""
    paths = [folder / f"{stem}{suffix}" for suffix in writers]
    with tempfile.TemporaryDirectory(prefix=".medlandmark-", dir=folder) as name:
        made = [Path(name, path.name) for path in paths]
        for path, write in zip(made, writers.values(), strict=True):
            write(detection, path)
        for path, target in zip(made, paths, strict=True):
            os.replace(path, target)
    return paths
