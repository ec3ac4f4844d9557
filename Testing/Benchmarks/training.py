"""Training: images a second, and the share of time in which the network waits for images.

    python Testing/Benchmarks/training.py [--threads N] [--steps 6] [--device auto]

Each row is a process of its own, which trains on pictures of noise, laid out as a dataset is; on a CPU once with the
memory kept from step to step, as `medlandmark train` does, and once given back to the system.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import typer
from machine import machine_name, peak_gigabytes, print_table, seconds_of, software, threads

LITE_WH, SAPIENS_WH = (417, 513), (384, 512)
# Sapiens-0.3b with a quarter of its layers on a quarter of its canvas: a step takes seconds, not minutes
SAPIENS_SHAPED = {"embed": 1024, "layers": 6, "heads": 16, "mlp": 4096}
KEYPOINTS = 19
WAYS = {
    "lite, full": ("lite", "full", 8),
    "lite, norms": ("lite", "norms", 8),
    "Sapiens-shaped, 6 layers, LoRA": ("sapiens", "lora", 2),
    "Sapiens-shaped, 6 layers, LoRA, gradients checkpointed": ("sapiens", "lora, checkpointed", 2),
}


def recipe_of(backbone: str, adapt: str, batch_size: int):
    from MedLandmarkLib.training.recipe import Recipe

    repeated = adapt.endswith("checkpointed")
    start = "lite" if backbone == "lite" else "a-model"  # its weights do not matter here
    return Recipe.usual(
        backbone, adapt=adapt.partition(",")[0], batch_size=batch_size, start=start, checkpoint_gradients=repeated,
        augmentation="mild" if backbone == "lite" else "reference",
    )  # fmt: skip


def network_of(recipe, task):
    """(network, layers_from_end), with random weights where it is Sapiens."""
    from MedLandmarkLib.models.sapiens import SapiensArchitecture
    from MedLandmarkLib.training.backbones import choose_backbone
    from MedLandmarkLib.training.lora import insert_lora
    from MedLandmarkLib.training.sapiens_backbone import TrainableSapiens, learn_only

    if recipe.is_lite:
        backbone = choose_backbone(recipe)
        return backbone.network([task]), backbone.layers_from_end
    network = TrainableSapiens(SapiensArchitecture(**SAPIENS_SHAPED, input_size_wh=SAPIENS_WH, keypoints=KEYPOINTS))
    insert_lora(network, recipe, {}, "")
    network.backbone.checkpoint_gradients = recipe.checkpoint_gradients
    learn_only(network, recipe.adapt)
    return network, lambda name: None


def measure(way: str, is_kept: bool, steps: int, device: str, thread_count: int) -> dict[str, float]:
    """Images a second, waiting share and peak memory of `steps` steps after one to warm up, in this process."""
    from lightning.fabric import Fabric

    from MedLandmarkLib.training.canvases import Canvases, Task
    from MedLandmarkLib.training.fitting import Fitting
    from MedLandmarkLib.training.memory import keep_freed_memory
    from MedLandmarkLib.training.pace import Pace

    torch.manual_seed(1)
    recipe = recipe_of(*WAYS[way])
    width, height = LITE_WH if recipe.is_lite else SAPIENS_WH
    count = recipe.batch_size * (steps + 1)
    task = Task(
        "head-19", ("",) * KEYPOINTS, (), "", slice(0, KEYPOINTS), (width, height), 1.05, tuple(range(KEYPOINTS))
    )
    pictures = torch.randint(0, 256, (count, 1, height, width), dtype=torch.uint8)
    canvas_xy = torch.rand(count, KEYPOINTS, 2) * torch.tensor((width - 1.0, height - 1.0))
    canvases = Canvases(task, pictures, canvas_xy, torch.ones(count))
    if is_kept:
        keep_freed_memory()
    with threads(thread_count or None), tempfile.TemporaryDirectory() as folder:
        network, layers_from_end = network_of(recipe, task)
        fabric = Fabric(accelerator="gpu" if device == "cuda" else "cpu", devices=1, precision="32-true")
        fitting = Fitting(
            network, [canvases], recipe, Path(folder), mean=(124, 116, 104), std=(58, 57, 57), fabric=fabric,
            layers_from_end=layers_from_end,
        )  # fmt: skip
        work = list(fitting.batches.steps(0))
        for step in work[:1]:
            fitting._train_on(*step, Pace())
        pace = Pace()

        def train() -> None:
            for step in work[1:]:
                fitting._train_on(*step, pace)

        seconds = seconds_of(train, torch.device(device))
        peak = peak_gigabytes(torch.device(device))
    return {"rate": pace.images / seconds, "waiting": pace.waited / seconds, "peak": peak}


def rows_of(device: str, steps: int, thread_count: int) -> list[list[str]]:
    rows = []
    for way in WAYS:
        for is_kept in (True, False) if device == "cpu" else (True,):
            arguments = [way, str(int(is_kept)), str(steps), device, str(thread_count)]
            command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            memory = ("kept" if is_kept else "given back") if device == "cpu" else "PyTorch's"
            waiting = f"{100 * found['waiting']:.1f} %"
            rows.append([way, str(WAYS[way][2]), memory, f"{found['rate']:.3g}", waiting, f"{found['peak']:.2f}"])
    return rows


def main(
    thread_count: int = typer.Option(0, "--threads", help="CPU threads; 0: as torch chooses."),
    steps: int = typer.Option(6, help="Steps timed per row, after one to warm up."),
    device: str = typer.Option("auto", help="auto (the CPU, and CUDA where there is one), cpu or cuda."),
    one: str = typer.Option("", "--measure", hidden=True),
) -> None:
    """Print the table of training on this machine."""
    if one:
        way, is_kept, count, name, own_threads = json.loads(one)
        print(json.dumps(measure(way, is_kept == "1", int(count), name, int(own_threads))))
        return
    names = {"auto": ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]}.get(device, [device])
    with threads(thread_count or None):
        for name in names:
            title = (
                f"Training, float32; lite on {LITE_WH[0]} × {LITE_WH[1]} px, Sapiens on {SAPIENS_WH[0]} × "
                f"{SAPIENS_WH[1]} px. {machine_name(torch.device(name))}. {software()}."
            )
            columns = ["", "batch", "memory", "images per s", "waiting for data", "peak memory, GB"]
            print_table(title, columns, rows_of(name, steps, thread_count))


if __name__ == "__main__":
    typer.run(main)
