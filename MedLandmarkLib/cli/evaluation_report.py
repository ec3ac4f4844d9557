"""An evaluation as tables for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..evaluation import ErrorStatistics, Evaluation, EvaluationReport, mean_and_sd
from ..evaluation.measurements import REFERENCE_POINTS
from ..evaluation.record import classification_rate, cobb_smape


def print_report(console: Console, report: EvaluationReport) -> None:
    """The main rater's table, one line for each other comparison, and the measurements."""
    print_evaluation(console, report.main.evaluation, report.split, report.model)
    first = report.main.evaluation
    others = [item.evaluation for item in report.raters.values() if item is not report.main]
    if others or report.readers:
        table = _error_table("Against each rater, and between readers", "comparison", first)
        for evaluation in [first, *others]:
            same = f" (= {report.repeats[evaluation.rater]})" if evaluation.rater in report.repeats else ""
            table.add_row(escape(f"{evaluation.rater}{same}"), *_cells(evaluation.overall))
        table.add_section()
        for pair, evaluation in report.readers.items():
            table.add_row(escape(" – ".join(pair)), *_cells(evaluation.overall), style="dim")
        console.print(table)
    if report.main.measurements:
        _print_measurements(console, report)


def _print_measurements(console: Console, report: EvaluationReport) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title="Measurements", title_justify="left")
    table.add_column("measurement", overflow="fold")
    for heading in ("unit", "n", "mean |error|", "bias", "SD", "r", "same class, %"):
        table.add_column(heading, justify="right")
    for item in report.main.measurements:
        digits = 3 if item.unit == "ratio" else 2
        numbers = ((item.mae, digits), (item.bias, digits), (item.sd, digits), (item.correlation, 2))
        texts = ["" if number is None else f"{number:.{places}f}" for number, places in numbers]
        same = "" if item.classes is None else f"{100 * item.classes.rate:.1f}"
        against = "" if item.against == REFERENCE_POINTS else f" against {item.against}"
        table.add_row(escape(item.name + against), item.unit, str(item.compared), *texts, same)
    console.print(table)
    rate = classification_rate(report.main.measurements)
    if rate is not None:
        console.print(f"Mean success classification rate: {100 * rate:.1f} %", markup=False)
    percent = cobb_smape(report)
    if percent is not None:
        console.print(f"SMAPE of the three Cobb angles: {percent:.1f} %", markup=False)
    calibration = report.main.calibration
    if calibration is not None and calibration.expected_calibration_error is not None:
        console.print(
            f"Expected calibration error: {calibration.expected_calibration_error:.3f} (a perfect model with as many "
            f"points: {calibration.least_calibration_error:.3f}; without what chance adds: "
            f"{calibration.debiased_calibration_error:.3f}); called doubtful {100 * calibration.doubtful:.1f} %, "
            f"missing {100 * calibration.missing:.1f} %",
            markup=False,
        )


def print_evaluation(console: Console, evaluation: Evaluation, split: str | None, model_id: str | None) -> None:
    """The table: every landmark, the excluded ones below the total, and the conditions of the comparison."""
    table = _error_table("Radial error", "landmark", evaluation)
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


def _error_table(title: str, first: str, evaluation: Evaluation) -> Table:
    """A table for the cells of `_cells`, still without rows."""
    shares = f"; points within a radius ({evaluation.unit}), %" if evaluation.radii else ""
    title = f"{title}, {evaluation.unit}{shares}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for heading in ("n", "mean", "SD", "median", "p95", *(f"≤{radius:g}" for radius in evaluation.radii)):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _summary(evaluation: Evaluation, split: str | None, model_id: str | None) -> str:
    where = f"{evaluation.dataset}{f' {split}' if split else ''}"
    overall = evaluation.overall
    texts = [
        f"{where}: {len(evaluation.image_means)} images, {overall.points} points, rater {evaluation.rater}",
        f"scheme {evaluation.scheme_id}{f', model {model_id}' if model_id else ''}",
    ]
    if overall.mean is not None:
        sd = f" ± {overall.sd:.3f}" if overall.sd is not None else ""
        interval = overall.mean_interval
        sure = f" (95 % CI {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        texts.append(f"mean error {overall.mean:.3f}{sd} {evaluation.unit} over points{sure}")
    mean, sd = mean_and_sd(evaluation.image_means.values())
    if sd == sd:  # not NaN
        texts.append(f"{mean:.3f} ± {sd:.3f} over images")
    if evaluation.relative is not None and evaluation.relative.mean is not None:
        texts.append(f"{evaluation.relative.mean:.2f} % of the reference length")
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
