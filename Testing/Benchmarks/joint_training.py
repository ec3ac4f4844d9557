"""MedSapiens' claim on the small network: all datasets together and then a light adaptation, against each alone.

python Testing/Benchmarks/joint_training.py runs/joint [--data ../shared/data] [--epochs 12] [--more 3]

Every dataset is seen for the same number of epochs on each way: `epochs` together and `more` of adaptation (the
normalisations and the last layer), or `epochs + more` together, or `epochs + more` alone; all from ImageNet weights, on
half-size canvases. A finished model in the folder is taken as it is, so that a run that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from table import datasets_folder, print_table

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.dataset.reading import with_names_of
from MedLandmarkLib.detection import LandmarkDetector
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.training.observations import errors_of
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest

# dataset: scheme, canvas
TASKS = {
    "ceph_isbi": ("head-19", (321, 401)),
    "camus": ("a4c-4", (257, 193)),
    "hc18": ("fetal-head-4", (257, 193)),
    "chest_jsrt": ("heart-lung-6", (225, 225)),
    "spine_aasce": ("spine-68", (161, 321)),
}
ADAPTED = {"adapt": "norms", "learning_rate": 5e-4, "trunk_learning_rate": 5e-4}
LONGER = {"learning_rate": 5e-4, "trunk_learning_rate": 2e-4}


def main(
    output: Path,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the datasets; else $MEDLANDMARK_DATA or ../shared/data.")
    ] = None,
    epochs: int = typer.Option(12, help="Of the joint training."),
    more: int = typer.Option(3, help="Of the adaptation, and what the other ways have more."),
    split: str = "val",
) -> None:
    """Train what is not trained yet, and print the mean errors."""
    data = data or datasets_folder()
    requests = {name: TaskRequest(data / name, *task) for name, task in TASKS.items()}
    joint = trained(output / "joint", list(requests.values()), recipe(epochs, "imagenet"))
    ways = {"alone": {}, "together, then adapted": {}, "together": {}}
    for name, request in requests.items():
        ways["alone"][name] = trained(output / f"alone-{name}", [request], recipe(epochs + more, "imagenet"))
        ways["together, then adapted"][name] = trained(
            output / f"adapted-{name}", [request], recipe(more, str(joint), **ADAPTED)
        )
    longer = trained(output / "together", list(requests.values()), recipe(more, str(joint), **LONGER))
    ways["together"] = dict.fromkeys(requests, longer)
    rows = []
    for name, request in requests.items():
        figures = {way: error_of(models[name], request, split) for way, models in ways.items()}
        best = min(figures.values())
        rows.append(
            [f"{request.scheme_id}, {name}", load_scheme(request.scheme_id).sdr_unit]
            + [f"**{value:.2f}**" if value == best else f"{value:.2f}" for value in figures.values()]
        )
    title = f"Mean error on split {split}; {epochs} + {more} epochs, half-size canvases."
    print_table(title, ["", "unit", *ways], rows)


def recipe(epochs: int, start: str, **rates: Any) -> Recipe:
    return Recipe.usual(
        epochs=epochs, start=start, ema_decay=0.99, warmup_steps=60 if start == "imagenet" else 5, cases_per_epoch=150,
        validate_every=3, precision="bf16-mixed", **rates,
    )  # fmt: skip


def trained(folder: Path, requests: list[TaskRequest], settings: Recipe) -> Path:
    """The model's folder."""
    if (folder / "model" / "card.json").is_file():
        return folder / "model"
    print(f"training {folder.name}", flush=True)
    return train(requests, folder, settings, model_id=folder.name.replace("_", "-"))


def error_of(model: Path, request: TaskRequest, split: str) -> float:
    """Mean over the landmarks of a split, in the unit of the scheme's tolerance."""
    scheme = load_scheme(request.scheme_id)
    dataset = with_names_of(read_dataset(request.folder), scheme)
    detector = LandmarkDetector(scheme, load_model(f"{model}/"))
    errors = []
    for case in dataset.split(split):
        (peaks,) = detector.peaks([read_image(case.image_path).display_rgb()])
        errors.append(errors_of(peaks.picture_xy, case, dataset.reference_rater(), scheme))
    return float(np.nanmean(errors))


if __name__ == "__main__":
    typer.run(main)
