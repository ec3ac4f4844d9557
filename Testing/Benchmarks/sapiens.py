"""Seconds per image, share of the machine's matrix-product rate, and memory of a full-size Sapiens.

    python Testing/Benchmarks/sapiens.py [--size 0.3b] [--threads N] [--repeats 3] [--device auto]

Weights are random: speed does not depend on them. Each row runs in a process of its own, through the same calls as
`medlandmark detect`, on a radiograph of 1935 × 2400 px; the rate is measured before and after every image of that row.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import typer
from machine import MatrixProduct, machine_name, peak_gigabytes, print_table, seconds_of, software, threads

PICTURE_WH = (1935, 2400)


def flop_per_pass(architecture) -> float:
    """Of the products of one pass, two for each multiplication: linear layers, attention, head."""
    rows, columns = architecture.grid_hw
    tokens, embed, head = rows * columns, architecture.embed, architecture.head_channels
    linear = tokens * (4 * embed**2 + 2 * embed * architecture.mlp)
    attention = 2 * tokens**2 * embed
    upsampling = 16 * tokens * embed * head + 16 * 4 * tokens * head**2
    mixing = 16 * tokens * 2 * head**2
    return 2.0 * (architecture.layers * (linear + attention) + upsampling + mixing)


def measure(device_name: str, precision: str, batch: int, flip: bool, repeats: int) -> dict[str, float]:
    """One row: loads the model and detects. Only this runs in the process."""
    from random_sapiens import MODEL_ID

    from MedLandmarkLib.detection.detector import Detector
    from MedLandmarkLib.models.device import PRECISIONS, exact_float32
    from MedLandmarkLib.models.store import load_model

    device = torch.device(device_name)
    loaded, detector = [], []
    load_s = seconds_of(lambda: loaded.append(load_model(MODEL_ID)), torch.device("cpu"))
    network, card = loaded[0].network, loaded[0].card
    place_s = seconds_of(
        lambda: detector.append(
            Detector(network, card.input, slice(0, 19), device=device, precision=precision, flip=flip)
        ),
        device,
    )
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (PICTURE_WH[1], PICTURE_WH[0], 1), dtype=np.uint8).repeat(3, axis=2)
    seconds, rates = [], []
    first_s = seconds_of(lambda: detector[0].detect([picture] * batch, batch_size=batch), device)
    peak_gb = peak_gigabytes(device)  # before the product takes its own memory
    product = MatrixProduct(device, PRECISIONS[precision])
    with exact_float32(device):
        rates.append(product.flop_per_second())
        for _ in range(repeats):
            seconds.append(seconds_of(lambda: detector[0].detect([picture] * batch, batch_size=batch), device) / batch)
            rates.append(product.flop_per_second())
    # each image against the two rates measured beside it
    flop = flop_per_pass(network.architecture) * (2 if flip else 1)
    shares = [2.0 * flop / s / (rates[i] + rates[i + 1]) for i, s in enumerate(seconds)]
    return {
        "load_s": load_s + place_s,
        "first_s": first_s,
        "seconds": statistics.median(seconds),
        "rate": statistics.median(rates),
        "share": statistics.median(shares),
        "peak_gb": peak_gb,
        "ok": float(detector[0].device == device and not detector[0].notes),
    }


def rows_to_measure(device: torch.device) -> list[tuple[str, int, bool]]:
    """(precision, batch, flip) of each row."""
    if device.type != "cuda":
        return [("fp32", 1, False), ("fp32", 1, True)]
    return [
        (precision, batch, flip) for precision in ("fp32", "bf16") for batch in (1, 8, 32) for flip in (False, True)
    ]


def main(
    size: str = typer.Option("0.3b", help="0.3b, 0.6b, 1b or 2b."),
    thread_count: int = typer.Option(0, "--threads", help="CPU threads; 0: as torch chooses."),
    repeats: int = typer.Option(3, help="Images (or batches) timed per row, after one to warm up."),
    device: str = typer.Option("auto", help="auto (the CPU, and CUDA where there is one), cpu or cuda."),
    row: str = typer.Option("", hidden=True),
) -> None:
    """Print the table of a full-size Sapiens with random weights on this machine."""
    with threads(thread_count or None):
        if row:
            print(json.dumps(measure(**json.loads(row), repeats=repeats)))
            return
        from MedLandmarkLib.models.sapiens import sapiens_architecture

        flop = flop_per_pass(sapiens_architecture(size, 19))
        names = {"auto": ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]}.get(device, [device])
        with tempfile.TemporaryDirectory(prefix="medlandmark-benchmark-") as folder:
            os.environ["MEDLANDMARK_HOME"] = folder
            from random_sapiens import install_random_model

            install_random_model(Path(folder), size)
            for name in names:
                print_rows(torch.device(name), size, flop, thread_count, repeats)


def print_rows(device: torch.device, size: str, flop: float, thread_count: int, repeats: int) -> None:
    rows = []
    for precision, batch, flip in rows_to_measure(device):
        wanted = {"device_name": device.type, "precision": precision, "batch": batch, "flip": flip}
        command = [sys.executable, __file__, "--threads", str(thread_count), "--repeats", str(repeats)]
        done = subprocess.run([*command, "--row", json.dumps(wanted)], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            rows.append([f"{precision}, batch {batch}, flip {'on' if flip else 'off'}", *["failed"] * 6])
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(
            [
                f"{precision}, batch {batch}, flip {'on' if flip else 'off'}" + ("" if found["ok"] else " (fell back)"),
                f"{found['seconds']:.3g}",
                f"{found['rate'] / 1e9:,.0f}",
                f"{100 * found['share']:.0f} %",
                f"{found['peak_gb']:.2f}",
                f"{found['load_s']:.2f}",
                f"{found['first_s']:.3g}",
            ]
        )
    title = (
        f"Sapiens-{size}, 19 channels, {flop / 1e12:.2f} TFLOP a pass, image {PICTURE_WH[0]} × {PICTURE_WH[1]} px. "
        f"{machine_name(device)}. {software()}."
    )
    columns = ["", "s per image", "product, GFLOP/s", "share", "peak memory, GB", "load, s", "first call, s"]
    print_table(title, columns, rows)


if __name__ == "__main__":
    typer.run(main)
