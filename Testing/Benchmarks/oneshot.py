"""Teaching from one annotated image or a few: errors of every method, and what the fusion saves.

python Testing/Benchmarks/oneshot.py accuracy DATASET runs/one --scheme head-19 --templates 126
python Testing/Benchmarks/oneshot.py accuracy DATASET runs/few --scheme head-19 --count 25 --methods fusion
python Testing/Benchmarks/oneshot.py cost runs/one/specialists runs/one/fusion PICTURE

Readings of other images of split "train" are not used; those of the tested split only to score. A run that was stopped
goes on when it is called again.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import typer
from machine import held_gigabytes, machine_name, print_table, software, threads

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.dataset.reading import with_names_of
from MedLandmarkLib.detection.pipeline import LandmarkDetector
from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.oneshot.choice import propose_template
from MedLandmarkLib.oneshot.examples import choose_cases, templates_from_dataset
from MedLandmarkLib.oneshot.request import METHODS, TeachRequest, TeachSettings
from MedLandmarkLib.oneshot.teaching import teach
from MedLandmarkLib.scheme import Scheme, load_scheme
from MedLandmarkLib.training.observations import errors_of

app = typer.Typer(add_completion=False)


@app.command()
def accuracy(
    folder: Path,
    output: Path,
    scheme: str = typer.Option("head-19"),
    templates: str = typer.Option("", help="Ids of the annotated cases, with commas; empty: as --count says."),
    count: int = typer.Option(1, help="Annotated cases: the most central one, or so many drawn with --seed."),
    methods: str = typer.Option(",".join(METHODS)),
    split: str = typer.Option("val"),
    exclude: str = typer.Option("", help="Landmarks left out of the mean, with commas; they stay in the table."),
    effort: float = 1.0,
    seed: int = 0,
) -> None:
    """Mean radial error by landmark and method: the seesaw, and what specialists and fusion make of it.

    output: the run's folder; each method's model is kept below it by its name.
    """
    definition = load_scheme(scheme)
    paths = tuple(case.image_path for case in with_names_of(read_dataset(folder), definition).split("train"))
    chosen = _chosen(folder, paths, templates, count, seed)
    errors, hours, remarks = {}, {}, []
    for method in methods.split(","):
        request = TeachRequest(
            definition, templates_from_dataset(folder, chosen, definition), paths, f"taught-{method}",
            TeachSettings(method=method, effort=effort, seed=seed),
        )  # fmt: skip
        began = time.perf_counter()
        result = teach(request, output, device="auto", progress=_told)
        hours[method] = (time.perf_counter() - began) / 3600
        kept = output / method
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(result.model, kept)
        errors[method] = scored(kept, folder, definition, split)
        remarks.append(f"{method}: {hours[method]:.2f} h in this call, set aside {len(result.set_aside)}")
    _print(errors, definition, exclude.split(",") if exclude else [], f"{folder.name}, templates {', '.join(chosen)}")
    print("\n" + "; ".join(remarks))


@app.command()
def score(model: Path, folder: Path, scheme: str = "head-19", split: str = "val", exclude: str = "") -> None:
    """The table of one taught model alone."""
    definition = load_scheme(scheme)
    _print({model.name: scored(model, folder, definition, split)}, definition, exclude.split(","), folder.name)


@app.command()
def cost(specialists: Path, fusion: Path, picture: Path, thread_count: int = typer.Option(2, "--threads")) -> None:
    """Seconds an image and memory, of the specialists and of their fusion, each in a process of its own."""
    rows = []
    for model in (specialists, fusion):
        command = [sys.executable, __file__, "once", str(model), str(picture), "--threads", str(thread_count)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds, weights, activations = (float(value) for value in told[-3:])
        rows.append((model.name, seconds, weights, activations, weights + activations))
    (_, *dear), (_, *cheap) = rows
    table = [[name, *(f"{value:.3f}" for value in values)] for name, *values in rows]
    saved = [f"{1 - less / more:.0%}" for less, more in zip(cheap[1:], dear[1:], strict=True)]
    table.append(["saved", f"{dear[0] / cheap[0]:.1f} times", *saved])
    title = f"One image. {machine_name(torch.device('cpu'))}. {software()}; {thread_count} threads in each."
    print_table(title, ["", "s", "weights, GB", "activations, GB", "together, GB"], table)


@app.command(hidden=True)
def once(model: Path, picture: Path, thread_count: int = typer.Option(2, "--threads")) -> None:
    """Prints the median seconds an image, and GB of weights and of what a detection holds beyond them."""
    image = read_image(picture)
    with threads(thread_count):
        loaded = load_model(f"{model}/")
        weights = sum(tensor.numel() * tensor.element_size() for tensor in loaded.network.state_dict().values())
        touched = sum(float(tensor.double().sum()) for tensor in loaded.network.state_dict().values())
        detector = LandmarkDetector(next(iter(loaded.card.schemes)), loaded, device="cpu")
        assert np.isfinite(touched)  # the weights are in memory now
        held = held_gigabytes(lambda: detector.detect(image))
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            detector.detect(image)
            seconds.append(time.perf_counter() - began)
    print(statistics.median(seconds), weights / 1e9, held)


def scored(model: Path, folder: Path, scheme: Scheme, split: str) -> np.ndarray:
    """(N, K) radial errors in the unit of the scheme's tolerance, NaN where there is no reference."""
    dataset = with_names_of(read_dataset(folder), scheme)
    rater, detector = dataset.reference_rater(), LandmarkDetector(scheme, load_model(f"{model}/"), device="auto")
    rows = []
    for case in dataset.split(split):
        try:
            picture = read_image(case.image_path).display_rgb()
        except ImageError as error:
            print(f"{case.id}: {error}", file=sys.stderr)
            continue
        rows.append(errors_of(detector.peaks([picture])[0].picture_xy, case, rater, scheme))
    return np.array(rows)


def _chosen(folder: Path, paths: tuple[Path, ...], templates: str, count: int, seed: int) -> tuple[str, ...]:
    if templates:
        return choose_cases(folder, templates.split(","), None, seed)
    if count > 1:
        return choose_cases(folder, None, count, seed)
    best = propose_template(paths)[0]
    by_path = {case.image_path: case.id for case in read_dataset(folder)}
    print(f"annotated: {by_path[best.path]}, {best.reason}")
    return (by_path[best.path],)


def _print(errors: dict[str, np.ndarray], scheme: Scheme, excluded: list[str], title: str) -> None:
    kept = [name not in excluded for name in scheme.names]
    unknown = [name for name in excluded if name and name not in scheme.names]
    if unknown:
        raise typer.BadParameter(f"scheme {scheme.id} has no landmark '{unknown[0]}'")
    rows = [
        [name, *(f"{np.nanmean(values[:, number]):.2f}" for values in errors.values())]
        for number, name in enumerate(scheme.names)
    ]
    within = [1.0, 2.0] if scheme.tolerance is None else [scheme.tolerance, 2.0 * scheme.tolerance]
    all_kept = {method: values[:, kept] for method, values in errors.items()}
    rows.append(["mean", *(f"**{np.nanmean(values):.3f}**" for values in all_kept.values())])
    rows.append(["SD over images", *(f"{np.nanstd(np.nanmean(values, axis=1)):.3f}" for values in all_kept.values())])
    rows.append(["median", *(f"{np.nanmedian(values):.2f}" for values in all_kept.values())])
    for radius in within:
        share = (np.mean(values[np.isfinite(values)] <= radius) for values in all_kept.values())
        rows.append([f"within {radius:g}", *(f"{100 * value:.1f} %" for value in share)])
    counts = next(iter(errors.values())).shape[0]
    without = f", mean without {', '.join(excluded)}" if any(excluded) else ""
    print_table(f"{title}: mean radial error, {counts} images{without}. {software()}.", ["", *errors], rows)


def _told(progress) -> None:
    estimate = "" if progress.estimate is None else f" (views differ by {progress.estimate:.2f} {progress.unit})"
    print(f"\r{100 * progress.fraction:5.1f} % {progress.text}{estimate}\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
