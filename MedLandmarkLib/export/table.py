"""`STEM.csv`: one row per frame and landmark; the header names every unit."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from ..landmark import Landmark
from .files import written_whole

if TYPE_CHECKING:
    from ..detection import Detection

COLUMNS = (
    "frame", "landmark", "i_px", "j_px", "k_px", "r_mm", "a_mm", "s_mm", "status", "confidence", "score", "reason",
)  # fmt: skip


def write_csv(detection: Detection, path: Path | str) -> None:
    """Write the file, whole or not at all; what is not known stays empty. Raises OSError."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for result in detection.frames:
            writer.writerows([result.landmarks.frame, *_cells(landmark)] for landmark in result.landmarks)


def _cells(landmark: Landmark) -> list[object]:
    ijk = landmark.ijk if landmark.ijk is not None else ("", "", "")
    ras = landmark.ras if landmark.ras is not None else ("", "", "")
    numbers = [*ijk, *ras]
    return [
        landmark.name,
        *(float(number) if number != "" else "" for number in numbers),
        landmark.status.value,
        "" if landmark.confidence is None else float(landmark.confidence),
        "" if landmark.score is None else float(landmark.score),
        landmark.reason,
    ]
