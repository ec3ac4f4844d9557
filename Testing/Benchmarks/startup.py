"""How long a user waits before any work begins: imports, the command's help, and a first detection.

    python Testing/Benchmarks/startup.py [--repeats 5]

Every figure is a fresh process. "First" is the first run here, with whatever the system had cached; the others follow.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import typer
from machine import machine_name, print_table, software

COMMAND = [sys.executable, "-m", "MedLandmarkLib"]


def write_picture(path: Path) -> None:
    """A noisy radiograph-sized PNG."""
    import numpy as np
    import SimpleITK as sitk

    picture = np.random.default_rng(1).integers(0, 256, (2400, 1935), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture), str(path))


def seconds_of_process(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(repeats: int = typer.Option(5, help="Runs per row, after the first.")) -> None:
    """Print the table of start-up times on this machine."""
    with tempfile.TemporaryDirectory(prefix="medlandmark-benchmark-") as folder:
        picture = Path(folder, "picture.png")
        write_picture(picture)
        works = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import torch": [sys.executable, "-c", "import torch"],
            "import MedLandmarkLib": [sys.executable, "-c", "import MedLandmarkLib"],
            "import MedLandmarkLib.detection": [sys.executable, "-c", "import MedLandmarkLib.detection"],
            "medlandmark --help": [*COMMAND, "--help"],
            "medlandmark schemes list": [*COMMAND, "schemes", "list"],
            "medlandmark models list": [*COMMAND, "models", "list"],
            "medlandmark detect, embedded model, one radiograph": [
                *[*COMMAND, "detect", str(picture), "--scheme", "head-19", "--device", "cpu"],
                *["--output", str(Path(folder, "out"))],
            ],
        }
        rows = []
        for name, command in works.items():
            first = seconds_of_process(command)
            warm = statistics.median(seconds_of_process(command) for _ in range(repeats))
            rows.append([f"`{name}`" if "," not in name else name, f"{first:.2f}", f"{warm:.2f}"])
    print_table(
        f"Start-up. {machine_name(torch.device('cpu'))}. {software()}.", ["", "first, s", "then, s (median)"], rows
    )


if __name__ == "__main__":
    typer.run(main)
