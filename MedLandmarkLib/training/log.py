"""The record of a training run: one CSV row an epoch, readable while it runs."""

from __future__ import annotations

import csv
import time
from pathlib import Path


class TrainingLog:
    """Appends rows of epoch, step, seconds since the start, mean loss and the validation error of each scheme."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.monotonic()

    def write(self, epoch: int, step: int, loss: float, errors: dict[str, float]) -> None:
        is_new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(("epoch", "step", "seconds", "loss", "validation errors"))
            listed = "; ".join(f"{scheme} {error:.3f}" for scheme, error in errors.items())
            writer.writerow((epoch, step, f"{time.monotonic() - self.started:.0f}", f"{loss:.4f}", listed))
