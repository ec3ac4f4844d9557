"""An evaluation as one HTML page: figures, charts and the worst images, in one file that needs no other."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ..evaluation import Calibration, EvaluationReport, MeasurementAgreement, mean_and_sd
from ..evaluation.record import classification_rate, cobb_smape, error_curve
from ..evaluation.report import including_all
from ..evaluation.statistics import RESAMPLES
from . import evaluation_parts as parts
from .evaluation_sheet import contact_sheet
from .files import written_whole

WORST_IMAGES = 12

_STYLE = """
 body { font: 13px/1.45 sans-serif; color: #222; max-width: 1150px; margin: 1.5em auto; padding: 0 1em; }
 h1 { font-size: 1.5em; margin: 0 0 .2em; } h2 { font-size: 1.15em; margin: 1.6em 0 .4em; }
 table { border-collapse: collapse; } td, th { text-align: left; padding: .15em .9em .15em 0; }
 tr { border-bottom: 1px solid #ddd; } .number { text-align: right; font-variant-numeric: tabular-nums; }
 tr.total { font-weight: bold; border-top: 2px solid #888; } tr.apart { color: #777; }
 .note { color: #666; max-width: 75em; } .tiles { display: flex; gap: 1em; flex-wrap: wrap; margin: 1em 0; }
 .tile { border: 1px solid #ccc; border-radius: 6px; padding: .5em 1em; } .tile b { font-size: 1.5em; display: block; }
 .side { display: flex; gap: 2em; flex-wrap: wrap; align-items: flex-start; }
 .sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 1em; }
 figure { margin: 0; } .pair { display: flex; gap: 4px; align-items: flex-start; background: #111; }
 .pair svg { width: 50%; max-height: 300px; } figcaption { font-size: 12px; }
 .reference { color: #2b7fb0; } .predicted { color: #a86f00; } summary { cursor: pointer; color: #555; }
 @media print { body { margin: 0; max-width: none; font-size: 10px; } figure { break-inside: avoid; } }
"""


def write_evaluation_page(report: EvaluationReport, path: Path | str, worst: int = WORST_IMAGES) -> None:
    """Write the page, whole or not at all; the folder must be there. Raises OSError."""
    text = evaluation_html(report, worst)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def evaluation_html(report: EvaluationReport, worst: int = WORST_IMAGES) -> str:
    """The page as text; `worst` is how many of the worst images it shows (none of volumes)."""
    sections = [
        _tiles(report),
        _raters(report),
        _readers(report),
        _landmarks(report),
        _measurements(report),
        _classes(report),
        _calibration(report),
        _worst(report, worst),
        _images(report),
        _method(report),
    ]
    title = f"{report.dataset.name}{f', {report.split}' if report.split else ''}: {report.scheme.title}"
    evaluation = report.main.evaluation
    model = f"Model {report.model}. " if report.model else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="note">{escape(model)}Scheme {escape(report.scheme.id)}, {len(evaluation.image_means)} images, '
        f"{evaluation.overall.points} points, main reference: rater {escape(evaluation.rater)}"
        f"{escape(_apart(report))}. For research; not for diagnosis.</p>\n" + "\n".join(filter(None, sections)) + "\n"
        "</body></html>\n"
    )


def _apart(report: EvaluationReport) -> str:
    excluded = report.main.evaluation.excluded
    return f"; {', '.join(excluded)} apart" if excluded else ""


def _tiles(report: EvaluationReport) -> str:
    evaluation, unit = report.main.evaluation, report.main.evaluation.unit
    overall = evaluation.overall
    sd = f" ± {overall.sd:.2f}" if overall.sd is not None else ""
    tiles = [("mean radial error", f"{parts.number_text(overall.mean)}{sd} {unit}", overall.mean_interval, 1.0, 2)]
    for radius, share in overall.sdr.items():
        interval = overall.sdr_intervals.get(radius)
        tiles.append((f"within {radius:g} {unit}", parts.percent_text(share), interval, 100.0, 1))
    if evaluation.relative is not None and evaluation.relative.mean is not None:
        label, relative = f"of the {report.scheme.reference_length.title}", evaluation.relative
        tiles.append((label, f"{relative.mean:.2f} %", relative.mean_interval, 1.0, 2))
    texts = []
    for label, value, interval, factor, digits in tiles:
        below = f"95 % CI {parts.interval_text(interval, factor, digits)}" if interval else "&nbsp;"
        texts.append(f'<div class="tile">{escape(label)}<b>{value}</b>{below}</div>')
    return f'<div class="tiles">{"".join(texts)}</div>'


def _raters(report: EvaluationReport) -> str:
    first = report.main.evaluation
    headings = ["against", *parts.error_headings(first.radii, first.unit), "over images"]
    rows, classes = [], []
    for evaluations, style in (
        ({name: item.evaluation for name, item in report.raters.items()}, ""),
        (including_all(report) if first.excluded else {}, "apart"),
    ):
        for name, evaluation in evaluations.items():
            label = (
                f"{name}, all landmarks"
                if style
                else f"{name}{f' (= {report.repeats[name]})' if name in report.repeats else ''}"
            )
            mean, sd = mean_and_sd(evaluation.image_means.values())
            rows.append([label, *parts.error_cells(evaluation.overall), f"{mean:.2f} ± {sd:.2f}"])
            classes.append(style)
    curves = {name: error_curve(item.evaluation) for name, item in report.raters.items() if name not in report.repeats}
    chart = parts.curve_chart(curves, first.unit, first.radii)
    return f"<h2>Radial error</h2>{parts.table(headings, rows, classes)}<h2>Cumulative error</h2>{chart}"


def _readers(report: EvaluationReport) -> str:
    if not report.readers:
        return ""
    first = report.main.evaluation
    rows = [[" – ".join(pair), *parts.error_cells(item.overall)] for pair, item in report.readers.items()]
    table = parts.table(["readers", *parts.error_headings(first.radii, first.unit)], rows)
    return f"<h2>Between readers</h2>{table}"


def _landmarks(report: EvaluationReport) -> str:
    evaluation = report.main.evaluation
    between = ["between readers"] if report.readers else []
    names = [name for name in evaluation.per_landmark if name not in evaluation.excluded] + list(evaluation.excluded)
    rows = [
        [name, *parts.error_cells(evaluation.per_landmark[name]), *([_between(report, name)] if between else [])]
        for name in names
    ]
    classes = ["apart" if name in evaluation.excluded else "" for name in names]
    table = parts.table(["landmark", *parts.error_headings(evaluation.radii, evaluation.unit), *between], rows, classes)
    return f"<h2>Per landmark, against {escape(evaluation.rater)}</h2>{table}"


def _between(report: EvaluationReport, name: str) -> str:
    means = [item.per_landmark[name].mean for item in report.readers.values()]
    known = [mean for mean in means if mean is not None]
    return parts.number_text(sum(known) / len(known)) if known else ""


def _measurements(report: EvaluationReport) -> str:
    if not report.main.measurements:
        return ""
    headings = [
        "measurement",
        "unit",
        "against",
        "n",
        "not given",
        "doubtful",
        "mean |error|",
        "bias",
        "SD",
        "largest",
        "r",
    ]
    rows = [_measurement_row(item) for item in report.main.measurements]
    percent = cobb_smape(report)
    note = f'<p class="note">SMAPE of the three Cobb angles: {percent:.1f} %.</p>' if percent is not None else ""
    return f"<h2>Measurements, predicted minus reference</h2>{parts.table(headings, rows)}{note}"


def _measurement_row(item: MeasurementAgreement) -> list[str]:
    digits = 3 if item.unit == "ratio" else 2
    figures = [parts.number_text(value, digits) for value in (item.mae, item.bias, item.sd, item.largest)]
    counts = [str(item.compared), str(item.not_given), str(item.doubtful)]
    return [item.name, item.unit, item.against, *counts, *figures, parts.number_text(item.correlation)]


def _classes(report: EvaluationReport) -> str:
    raters = {name: item for name, item in report.raters.items() if classification_rate(item.measurements) is not None}
    if not raters:
        return ""
    by_name: dict[str, list[str]] = {}
    for rater in raters.values():
        for item in rater.measurements:
            if item.classes is not None:
                by_name.setdefault(item.name, []).append(parts.percent_text(item.classes.rate))
    means = [parts.percent_text(classification_rate(item.measurements)) for item in raters.values()]
    rows = [[name, *rates] for name, rates in by_name.items()] + [["mean", *means]]
    table = parts.table(["measurement", *raters], rows, [""] * len(by_name) + ["total"])
    sources = sorted({item.classes.source for item in report.main.measurements if item.classes is not None})
    return (
        f'<h2>Success classification rate</h2>{table}<p class="note">Share of images whose predicted measurement falls '
        f"into the class of the reference measurement. Classes: {escape('; '.join(sources))}. A value for which the "
        "source publishes no class counts as a class of its own.</p>"
    )


def _calibration(report: EvaluationReport) -> str:
    calibration = report.main.calibration
    if calibration is None or not calibration.points:
        return ""
    rows = [
        [f"{item.low:.1f} – {item.high:.1f}", str(item.points), *map(parts.percent_text, (item.confidence, item.right))]
        for item in calibration.bins
    ]
    within = f"within {calibration.tolerance:g} {calibration.unit}"
    table = parts.table(["confidence", "points", "mean confidence", within], rows)
    return (
        f'<h2>Confidence</h2><div class="side">{parts.reliability_chart(calibration)}<div>{table}</div></div>'
        f'<p class="note">{escape(_calibration_text(calibration))}</p>'
    )


def _calibration_text(calibration: Calibration) -> str:
    shares = {"plain": calibration.right_if_plain, "doubtful": calibration.right_if_doubtful}
    within = ", ".join(
        f"{parts.percent_text(share)} of the {name} ones" for name, share in shares.items() if share is not None
    )
    return (
        f"Expected calibration error {calibration.expected_calibration_error:.3f} over {len(calibration.bins)} bins "
        f"(Guo et al., ICML 2017); a perfect model would show {calibration.least_calibration_error:.3f} on average "
        "with as many points. Without what chance adds (Kumar et al., NeurIPS 2019): "
        f"{calibration.debiased_calibration_error:.3f}. "
        f"Called doubtful: {parts.percent_text(calibration.doubtful)}, missing: "
        f"{parts.percent_text(calibration.missing)}. Within the tolerance: {within or 'none'}."
    )


def _worst(report: EvaluationReport, count: int) -> str:
    if report.dataset.dimension != 2 or count < 1 or not report.main.evaluation.image_means:
        return ""
    return (
        '<h2>Worst images</h2><p class="note"><span class="reference">Ring: reference.</span> '
        f'<span class="predicted">Dot: prediction.</span></p>{contact_sheet(report, count)}'
    )


def _images(report: EvaluationReport) -> str:
    evaluation = report.main.evaluation
    by_case: dict[str, list] = {}
    for item in evaluation.counted:
        by_case.setdefault(item.case, []).append(item)
    others = {name: item.evaluation for name, item in report.raters.items() if item is not report.main}
    means = evaluation.image_means
    rows = []
    for case in sorted(by_case, key=lambda case: -means.get(case, float("inf"))):
        known = [item for item in by_case[case] if item.error is not None]
        worst = max(known, key=lambda item: item.error, default=None)
        rows.append([
            case, str(len(by_case[case])), parts.number_text(means.get(case)),
            *(parts.number_text(other.image_means.get(case)) for other in others.values()),
            "" if worst is None else f"{worst.error:.2f} {worst.landmark}",
        ])  # fmt: skip
    headings = ["image", "n", f"mean, {evaluation.unit}", *(f"against {name}" for name in others), "worst landmark"]
    return f"<h2>Per image</h2><details><summary>{len(rows)} images</summary>{parts.table(headings, rows)}</details>"


def _method(report: EvaluationReport) -> str:
    evaluation = report.main.evaluation
    notes = [
        "Mean and SD over points; SDR counts points without a prediction as failures (Wang et al., IEEE TMI 34(9), "
        f"2015). CI: percentile bootstrap over subjects, {RESAMPLES} resamples. Errors hold the position that the "
        "model gave, whatever status it set; measurements leave out what it called missing.",
        f"Radii: {report.scheme.sdr_reason}",
        *evaluation.notes,
        *report.scheme.notes,
    ]
    return "<h2>How it was counted</h2>" + "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
