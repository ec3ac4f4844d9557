"""An evaluation as a table for a terminal and as JSON for a program."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..evaluation import ErrorStatistics, Evaluation, mean_and_sd


def evaluation_record(evaluation: Evaluation, split: str | None, model_id: str | None) -> dict[str, Any]:
    """All figures as plain data; those that do not exist are null."""
    mean, sd = mean_and_sd(evaluation.image_means.values())
    return {
        "schema_version": "1.0",
        "dataset": evaluation.dataset,
        "split": split,
        "rater": evaluation.rater,
        "scheme": evaluation.scheme_id,
        "model": model_id,
        "unit": evaluation.unit,
        "images": len(evaluation.image_means),
        "excluded": list(evaluation.excluded),
        "overall": {
            **_statistics_record(evaluation.overall),
            "image_mean": _number(mean),
            "image_sd": _number(sd),
        },
        "landmarks": {name: _statistics_record(item) for name, item in evaluation.per_landmark.items()},
        "image_means": dict(evaluation.image_means),
        "called_missing": evaluation.called_missing,
        "absent": evaluation.absent,
        "absent_called_missing": evaluation.absent_called_missing,
        "notes": list(evaluation.notes),
    }


def print_evaluation(console: Console, evaluation: Evaluation, split: str | None, model_id: str | None) -> None:
    """The table: every landmark, the excluded ones below the total, and the conditions of the comparison."""
    shares = f"; points within a radius ({evaluation.unit}), %" if evaluation.radii else ""
    title = f"Radial error, {evaluation.unit}{shares}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title, title_justify="left")
    table.add_column("landmark", overflow="fold")
    for heading in ("n", "mean", "SD", "median", "p95", *(f"≤{radius:g}" for radius in evaluation.radii)):
        table.add_column(heading, justify="right", no_wrap=True)
    apart = set(evaluation.excluded)
    for name, statistics in evaluation.per_landmark.items():
        if name not in apart:
            table.add_row(escape(name), *_cells(statistics))
    table.add_section()
    table.add_row("all" if not apart else f"all but {len(apart)}", *_cells(evaluation.overall), style="bold")
    for name in evaluation.excluded:
        table.add_row(f"{escape(name)} (apart)", *_cells(evaluation.per_landmark[name]), style="dim")
    console.print(table)
    console.print(_summary(evaluation, split, model_id), markup=False)
    for note in _remarks(evaluation):
        console.print(f"Note: {note}", markup=False)


def _summary(evaluation: Evaluation, split: str | None, model_id: str | None) -> str:
    where = f"{evaluation.dataset}{f' {split}' if split else ''}"
    overall = evaluation.overall
    texts = [
        f"{where}: {len(evaluation.image_means)} images, {overall.points} points, rater {evaluation.rater}",
        f"scheme {evaluation.scheme_id}{f', model {model_id}' if model_id else ''}",
    ]
    if overall.mean is not None:
        sd = f" ± {overall.sd:.3f}" if overall.sd is not None else ""
        texts.append(f"mean error {overall.mean:.3f}{sd} {evaluation.unit} over points")
    mean, sd = mean_and_sd(evaluation.image_means.values())
    if sd == sd:  # not NaN
        texts.append(f"{mean:.3f} ± {sd:.3f} over images")
    return "; ".join(texts)


def _remarks(evaluation: Evaluation) -> list[str]:
    remarks = list(evaluation.notes)
    if evaluation.overall.unpredicted:
        unpredicted = evaluation.overall.unpredicted
        remarks.append(f"{unpredicted} reference points had no prediction: they count as failures in SDR")
    if evaluation.called_missing:
        remarks.append(
            f"{evaluation.called_missing} reference points were called missing; their estimated positions are counted"
        )
    if evaluation.absent:
        called = evaluation.absent_called_missing
        remarks.append(f"{evaluation.absent} points have no reference; {called} of them were called missing")
    return remarks


def _cells(statistics: ErrorStatistics) -> list[str]:
    numbers = (statistics.mean, statistics.sd, statistics.median, statistics.p95)
    texts = ["" if number is None else f"{number:.2f}" for number in numbers]
    return [str(statistics.points), *texts, *(f"{100 * share:.1f}" for share in statistics.sdr.values())]


def _statistics_record(statistics: ErrorStatistics) -> dict[str, Any]:
    return {
        "points": statistics.points,
        "unpredicted": statistics.unpredicted,
        "mean": statistics.mean,
        "sd": statistics.sd,
        "median": statistics.median,
        "p95": statistics.p95,
        "largest": statistics.largest,
        "sdr": {f"{radius:g}": share for radius, share in statistics.sdr.items()},
    }


def _number(value: float) -> float | None:
    return value if value == value else None  # NaN is no number in JSON
