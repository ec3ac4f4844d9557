"""The record of a training run: one CSV row an epoch, readable while it runs."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path

from .files import replacing
from .pace import Pace

COLUMNS = (
    "epoch",
    "step",
    "seconds",
    "loss",
    "learning rate",
    "images per s",
    "waiting for data",
    "validation errors",
    "best epoch",
)


class TrainingLog:
    """Rows of COLUMNS. "best epoch" is the one whose weights would be used if the run ended now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.monotonic()

    def write(
        self,
        epoch: int,
        step: int,
        loss: float,
        errors: Mapping[str, float],
        *,
        seconds: float | None = None,
        pace: Pace | None = None,
        learning_rate: float | None = None,
        best_epoch: int | None = None,
    ) -> None:
        """Append one row. seconds: of training so far, over all sittings (default: since this object was made)."""
        row = [
            str(epoch),
            str(step),
            f"{time.monotonic() - self.started if seconds is None else seconds:.0f}",
            f"{loss:.4f}",
            "" if learning_rate is None else f"{learning_rate:.3g}",
            "" if pace is None else f"{pace.images_per_second:.3g}",
            "" if pace is None else f"{pace.waiting_share:.3f}",
            "; ".join(f"{scheme} {error:.3f}" for scheme, error in errors.items()),
            str(best_epoch or epoch),
        ]
        self._replace([*self._rows(), row])

    def resume_at(self, step: int) -> None:
        """Take out the rows of steps that will be gone through again."""
        rows = self._rows()
        kept = [row for row in rows if int(row[1]) <= step]
        if len(kept) < len(rows):
            self._replace(kept)

    def _rows(self) -> list[list[str]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        # a run that an earlier version began has fewer columns, in another order
        return [row if len(row) == len(COLUMNS) else [*row[:4], "", "", "", *row[4:], ""] for row in rows]

    def _replace(self, rows: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([COLUMNS, *rows])
        with replacing(self.path) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8", newline="")
