"""Detections as files: Slicer markups, CSV, JSON for other programs, and a figure."""

from __future__ import annotations

from .figure import write_figure
from .landmarks_json import LANDMARKS_SUFFIX, read_landmarks_json, write_landmarks_json
from .mrk_json import MARKUPS_SUFFIX, read_mrk_json, write_mrk_json
from .outputs import output_paths, write_outputs
from .table import write_csv

__all__ = [
    "LANDMARKS_SUFFIX",
    "MARKUPS_SUFFIX",
    "output_paths",
    "read_landmarks_json",
    "read_mrk_json",
    "write_csv",
    "write_figure",
    "write_landmarks_json",
    "write_mrk_json",
    "write_outputs",
]
