"""Landmarks carried over from one annotated volume: errors after each step, seconds, and how many are doubtful.

python Testing/Benchmarks/oneshot_volumes.py mouse DATASETS/mouse_ct [--template C57BL_6NJ_] [--count 4] [--output FILE]
python Testing/Benchmarks/oneshot_volumes.py brain DATASETS/brain_afids

The labels of every volume but the template are opened after all volumes are done, to score what was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import SimpleITK as sitk
import torch
import typer
from machine import machine_name, print_table, software

from MedLandmarkLib.dataset import Case, read_dataset
from MedLandmarkLib.detection.atlas.judging import error_covariance, expected_error_mm, judge
from MedLandmarkLib.detection.atlas.template import PreparedTemplate
from MedLandmarkLib.detection.atlas.transfer import Transfer, transfer
from MedLandmarkLib.image import Image, read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.oneshot.volume import most_central
from MedLandmarkLib.scheme import Scheme, load_scheme

app = typer.Typer(add_completion=False)
STEPS = ("pose alone", "affine", "affine + B-splines", "with matching (ours)")


@dataclass(frozen=True, eq=False)
class Carried:
    """What came out of one volume, before any label is known. points: (4, K, 3) RAS after each of STEPS."""

    case_id: str
    points: np.ndarray
    expected_mm: np.ndarray
    statuses: tuple[Status, ...]
    seconds: float


@app.command()
def mouse(
    folder: Path,
    template: str = typer.Option("C57BL_6NJ_", help="A case, or 'central' for that which the others resemble most."),
    scheme: str = "mouse-skull-45",
    count: int = typer.Option(0, help="How many targets, evenly taken; 0 for all."),
    thread_count: int = typer.Option(1, "--threads"),
    output: Annotated[Path | None, typer.Option(help="File to write the table to, row by row.")] = None,
) -> None:
    """One template, the other volumes of the dataset."""
    _threads(thread_count)
    dataset = read_dataset(folder)
    cases = {case.id: case for case in dataset.cases}
    if template == "central":
        template = list(cases)[most_central([read_image(case.image_path) for case in cases.values()])[0]]
    others = [case for case in cases.values() if case.id != template]
    if count:
        others = [others[number] for number in np.linspace(0, len(others) - 1, count).astype(int)]
    _measure(cases[template], others, dataset.reference_rater(None), load_scheme(scheme), output)


@app.command()
def brain(
    folder: Path, template: str = "MNI152NLin2009cAsym", target: str = "MNIColin27", thread_count: int = 1
) -> None:
    """One brain onto another; by landmark as well, and beside one constant offset between image and labels."""
    _threads(thread_count)
    dataset = read_dataset(folder)
    cases = {case.id: case for case in dataset.cases}
    scheme, rater = load_scheme("afids-32"), dataset.reference_rater(None)
    carried = _measure(cases[template], [cases[target]], rater, scheme, None)[0]
    offset = carried.points[-1] - _labels(cases[target], rater, scheme)
    rows = [
        [name, f"{np.linalg.norm(one):.1f}", f"{expected:.1f}", status.value]
        for name, one, expected, status in zip(scheme.names, offset, carried.expected_mm, carried.statuses, strict=True)
    ]
    print_table("By landmark, mm.", ["", "error", "expected", "status"], rows)
    common = np.median(offset, axis=0)
    rest = np.linalg.norm(offset - common, axis=1)
    print(f"\nMedian offset (R, A, S): {np.round(common, 2).tolist()} mm; without it mean {rest.mean():.2f} mm.")


def carried_over(
    template: PreparedTemplate, image: Image, case_id: str, tolerance_mm: float, done: Callable[[], float]
) -> Carried:
    """The landmarks of the template in an image, of which nothing is known but its voxels. done: seconds now."""
    start = done()
    found = transfer(template, image)
    seconds = done() - start
    ijk_from_ras = np.linalg.inv(image.ijk_to_ras)
    statuses, expected = [], []
    for k, point in enumerate(found.found or (None,) * len(template.points)):
        inside = False
        if point is not None:
            ijk = ijk_from_ras[:3, :3] @ point.point_ras + ijk_from_ras[:3, 3]
            inside = bool(np.all((ijk >= -0.5) & (ijk <= np.array(image.size) - 0.5)))
        is_annotated = bool(np.isfinite(template.points[k]).all())
        statuses.append(judge(point, inside, tolerance_mm, found.pose, is_annotated).status)
        expected.append(np.nan if point is None else expected_error_mm(error_covariance(point)))
    return Carried(case_id, _steps(found, len(template.points)), np.array(expected), tuple(statuses), seconds)


def _steps(found: Transfer, count: int) -> np.ndarray:
    nothing = np.full((count, 3), np.nan)
    ours = nothing.copy()
    for k, point in enumerate(found.found):
        if point is not None:
            ours[k] = point.point_ras
    later = [nothing if one is None else one for one in (found.by_affine, found.by_spline)]
    return np.stack((found.by_pose, *later, ours))


def _measure(template: Case, others: list[Case], rater: str, scheme: Scheme, output: Path | None) -> list[Carried]:
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)
        if output:
            output.write_text("\n".join(lines) + "\n", encoding="utf-8")

    say(f"{scheme.id}: template {template.id}, {len(others)} targets. {_machine()}.")
    prepared = PreparedTemplate.of(read_image(template.image_path), _labels(template, rater, scheme))
    carried = []
    for case in others:  # nobody has opened their labels yet
        one = carried_over(prepared, read_image(case.image_path), case.id, scheme.tolerance, time.process_time)
        carried.append(one)
        say(f"{case.id}: {one.seconds:.1f} s of processor time")
    errors = np.stack(
        [
            np.linalg.norm(one.points - _labels(case, rater, scheme), axis=-1)
            for one, case in zip(carried, others, strict=True)
        ]
    )  # (n, steps, K)
    for line in _table(errors, carried, others, scheme):
        say(line)
    return carried


def _table(errors: np.ndarray, carried: list[Carried], others: list[Case], scheme: Scheme) -> list[str]:
    lines = ["", f"| mm | mean ± SD | median | P95 | within {scheme.tolerance:g} |", "|---|---:|---:|---:|---:|"]
    for name, values in zip(STEPS, errors.transpose(1, 0, 2), strict=True):
        known = values[np.isfinite(values)]
        within = f"{np.mean(known <= scheme.tolerance):.0%}"
        numbers = f"{known.mean():.3f} ± {known.std():.3f} | {np.median(known):.3f} | {np.percentile(known, 95):.3f}"
        lines.append(f"| {name} | {numbers} | {within} |")
    lines += ["", "| target | ours, mean | seconds | doubtful or missing |", "|---|---:|---:|---:|"]
    for case, one, values in zip(others, carried, errors[:, -1], strict=True):
        unsure = np.mean([status is not Status.PREDICTED for status in one.statuses])
        lines.append(f"| {case.id} | {np.nanmean(values):.3f} | {one.seconds:.1f} | {unsure:.0%} |")
    ours = errors[:, -1]
    sure = np.array([[status is Status.PREDICTED for status in one.statuses] for one in carried])
    expected = np.stack([one.expected_mm for one in carried])
    lines += [
        "",
        f"Doubtful or missing: {1 - sure.mean():.1%}, of which {np.mean(ours[~sure] > scheme.tolerance):.0%} are "
        f"beyond the tolerance; of the others {np.mean(ours[sure] > scheme.tolerance):.0%}.",
        f"Expected error, mean: {np.nanmean(expected):.3f} mm; correlation with the error: "
        f"{np.corrcoef(expected[np.isfinite(ours)], ours[np.isfinite(ours)])[0, 1]:.2f}.",
    ]
    return lines


def _labels(case: Case, rater: str, scheme: Scheme) -> np.ndarray:
    """(K, 3) RAS."""
    reference = case.reference(rater)
    image = read_image(case.image_path)
    return image.ras_from_ijk(np.array([reference.get(name, (np.nan,) * 3) for name in scheme.names], float))


def _machine() -> str:
    return f"{machine_name(torch.device('cpu'))}. {software()}"


def _threads(count: int) -> None:
    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)


if __name__ == "__main__":
    app()
