"""The set of files that belongs to one clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MedLandmarkError
from .clip_curves import CURVES_FIGURE_SUFFIX, write_curves_figure
from .clip_overlay import OVERLAYS, write_overlay
from .clip_tables import CURVES_SUFFIX, SUMMARY_SUFFIX, write_curves_csv, write_summary_json
from .landmarks_json import LANDMARKS_SUFFIX, write_landmarks_json
from .mrk_json import MARKUPS_SUFFIX, write_mrk_json
from .outputs import write_all
from .table import write_csv

if TYPE_CHECKING:
    from ..detection.cine import ClipDetection

_ALWAYS = {MARKUPS_SUFFIX: write_mrk_json, ".csv": write_csv, LANDMARKS_SUFFIX: write_landmarks_json}
_MEASURED = {CURVES_SUFFIX: write_curves_csv, SUMMARY_SUFFIX: write_summary_json}


def clip_output_paths(folder: Path, stem: str, with_figure: bool, overlay: str | None, is_measured: bool) -> list[Path]:
    """Where `write_clip_outputs` writes."""
    return [folder / f"{stem}{suffix}" for suffix in _writers(with_figure, overlay, is_measured)]


def write_clip_outputs(
    detection: ClipDetection, folder: Path, stem: str, with_figure: bool = False, overlay: str | None = None
) -> list[Path]:
    """Write all files of one clip into `folder`, which must be there, and return their paths.

    Curves and summary are written where the scheme says what is measured through a clip; with_figure adds the curves
    as PNG, overlay ("gif" or "mp4") the moving picture. All are made in a folder beside and moved in when complete.
    Raises OSError, MedLandmarkError.
    """
    return write_all(_writers(with_figure, overlay, detection.scheme.cine is not None), detection, folder, stem)


def _writers(with_figure: bool, overlay: str | None, is_measured: bool) -> dict:
    if overlay is not None and overlay not in OVERLAYS:
        raise MedLandmarkError(f"An overlay is {' or '.join(OVERLAYS)}, not '{overlay}'.")
    return {
        **_ALWAYS,
        **(_MEASURED if is_measured else {}),
        **({CURVES_FIGURE_SUFFIX: write_curves_figure} if is_measured and with_figure else {}),
        **({f".overlay.{overlay}": write_overlay} if overlay else {}),
    }
