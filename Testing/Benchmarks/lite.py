"""Seconds per image and memory of the embedded model.

python Testing/Benchmarks/lite.py [--threads N] [--repeats 20] [--device auto]
"""

from __future__ import annotations

import statistics

import numpy as np
import torch
import typer
from machine import machine_name, peak_gigabytes, print_table, seconds_of, software, threads

PICTURE_WH = (1935, 2400)


def rows_of(device: torch.device, scheme: str, repeats: int) -> list[list[str]]:
    from MedLandmarkLib.detection import LandmarkDetector

    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (PICTURE_WH[1], PICTURE_WH[0], 1), dtype=np.uint8).repeat(3, axis=2)
    batches = (1, 8, 32) if device.type == "cuda" else (1,)
    precisions = ("fp32", "bf16") if device.type == "cuda" else ("fp32",)
    rows = []
    for precision in precisions:
        for batch in batches:
            for flip in (False, True):
                detector = LandmarkDetector(scheme, "lite", device=str(device), precision=precision, flip=flip).detector
                work = [picture] * batch

                def detect(detector=detector, work=work) -> None:
                    detector.detect(work, batch_size=len(work))

                first = seconds_of(detect, device)
                seconds = statistics.median(seconds_of(detect, device) / batch for _ in range(repeats))
                name = f"{precision}, batch {batch}, flip {'on' if flip else 'off'}"
                rows.append([name, f"{seconds:.3g}", f"{first:.3g}", f"{peak_gigabytes(device):.2f}"])
    return rows


def main(
    thread_count: int = typer.Option(0, "--threads", help="CPU threads; 0: as torch chooses."),
    repeats: int = typer.Option(20, help="Images (or batches) timed per row, after one to warm up."),
    device: str = typer.Option("auto", help="auto (the CPU, and CUDA where there is one), cpu or cuda."),
    scheme: str = typer.Option("head-19", help="Landmark scheme."),
) -> None:
    """Print the table of the embedded model on this machine."""
    names = {"auto": ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]}.get(device, [device])
    with threads(thread_count or None):
        for name in names:
            chosen = torch.device(name)
            title = (
                f"Embedded model, {scheme}, image {PICTURE_WH[0]} × {PICTURE_WH[1]} px. "
                f"{machine_name(chosen)}. {software()}."
            )
            columns = ["", "s per image", "first call, s", "peak memory so far, GB"]
            print_table(title, columns, rows_of(chosen, scheme, repeats))


if __name__ == "__main__":
    typer.run(main)
