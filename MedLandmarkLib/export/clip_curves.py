"""`STEM.curves.png`: the curves of a clip with the ends of diastole and systole, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..landmark import Status
from .clip_tables import phase_of_frames
from .figure import COLOURS, matplotlib_classes
from .files import written_whole

if TYPE_CHECKING:
    from ..detection.cine import ClipDetection
    from ..measure.curves import Curve

CURVES_FIGURE_SUFFIX = ".curves.png"

_DPI = 120
_WIDTH_INCHES, _ROW_INCHES, _TABLE_INCHES = 11.0, 1.9, 4.3
_ED_COLOUR, _ES_COLOUR = "#0072B2", "#D55E00"  # Okabe and Ito, 2008


def write_curves_figure(detection: ClipDetection, path: Path | str) -> None:
    """Draw the curves and write them as PNG, whole or not at all. Raises MedLandmarkError without matplotlib, OSError.

    Single frames, as the model found them, are grey dots; the smooth course is the line, orange where it is doubtful
    and absent where it is missing.
    """
    figure_class, canvas_class = matplotlib_classes()
    measured = detection.measurement
    rows = len(measured.curves)
    lines = _lines(detection)
    height = max(0.9 + _ROW_INCHES * rows, 0.9 + 0.19 * len(lines))
    figure = figure_class(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor="white")
    right = 1 - _TABLE_INCHES / _WIDTH_INCHES
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.07, right=right, top=1 - 0.5 / height, bottom=0.5 / height, hspace=0.12)
    x, label = _abscissa(detection)
    raw = _single_frames(detection)
    for plot, curve in zip(axes, measured.curves, strict=True):
        _draw(plot, curve, x, raw[curve.name], phase_of_frames(measured.beats))
    axes[-1].set_xlabel(label)
    name = detection.clip.path.name if detection.clip.path is not None else "clip"
    figure.text(0.07, 1 - 0.3 / height, f"{name}: {detection.scheme.title}", fontsize=11, weight="bold")
    figure.text(
        right + 0.02, 1 - 0.5 / height, "\n".join(lines), fontsize=8, va="top", family="monospace", linespacing=1.35
    )
    with written_whole(path) as temporary:
        canvas_class(figure).print_png(str(temporary))


def _abscissa(detection: ClipDetection) -> tuple[np.ndarray, str]:
    if detection.track.times_s is None:
        return np.arange(len(detection.track)), "frame (the file states no times)"
    return np.asarray(detection.track.times_s), "time, s"


def _single_frames(detection: ClipDetection) -> dict[str, np.ndarray]:
    from ..measure.curves import curves_of

    detected = detection.track.detected
    return {curve.name: curve.values for curve in curves_of(detected, detected, detection.scheme)}


def _draw(plot: Any, curve: Curve, x: np.ndarray, raw: np.ndarray, phases: dict[int, str]) -> None:
    plot.plot(x, raw, ".", color="0.7", markersize=4, zorder=1)
    plot.plot(x, curve.values, "-", color="0.15", linewidth=1.6, zorder=2)
    doubtful = np.array([status is Status.DOUBTFUL for status in curve.statuses])
    if doubtful.any():
        plot.plot(x[doubtful], curve.values[doubtful], "o", color=COLOURS[Status.DOUBTFUL], markersize=3.5, zorder=3)
    for frame, phase in phases.items():
        colour = _ED_COLOUR if phase == "ED" else _ES_COLOUR
        plot.axvline(x[frame], color=colour, linewidth=0.8, linestyle="-" if phase == "ED" else "--", zorder=0)
        if np.isfinite(curve.values[frame]):
            plot.plot(x[frame], curve.values[frame], "o", color=colour, markersize=6, zorder=4)
        plot.annotate(
            phase, (x[frame], 1), xycoords=("data", "axes fraction"), xytext=(2, -2), textcoords="offset points",
            fontsize=7, color=colour, va="top",
        )  # fmt: skip
    known = np.concatenate((curve.values[np.isfinite(curve.values)], raw[np.isfinite(raw)]))
    if len(known):
        low, high = np.percentile(known, (1, 99))
        margin = max(0.15 * (high - low), 0.02 * abs(high), 1e-6)
        plot.set_ylim(low - margin, high + margin)
    plot.set_ylabel(f"{curve.name}\n{curve.unit}", fontsize=8)
    plot.tick_params(labelsize=8)
    plot.grid(alpha=0.25)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)


def _lines(detection: ClipDetection) -> list[str]:
    """The table beside the curves."""
    measured, clip = detection.measurement, detection.clip
    rate = f"{clip.frame_rate_hz:.1f} frames/s" if clip.frame_rate_hz else "no frame times"
    lines = [
        f"{clip.frame_count} frames, {rate}",
        f"{len(measured.beats)} beat{'' if len(measured.beats) == 1 else 's'}",
    ]
    if measured.heart_rate.bpm is not None:
        lines.append(f"{measured.heart_rate.bpm:.0f} beats/min, {measured.heart_rate.source}")
    if clip.calibration.kind == "none":
        lines.append("no calibration: lengths are in px")
    lines.append("")
    for value in measured.values:
        if value.mean is None:
            lines.append(f"{value.name:<24}   -")
            continue
        spread = f" ± {value.sd:.1f}" if value.sd is not None else ""
        mark = " ?" if value.status is Status.DOUBTFUL else ""
        digits = 2 if value.unit == "ratio" else 1
        lines.append(f"{value.name:<24} {value.mean:6.{digits}f}{spread} {value.unit}{mark}")
    if any(value.status is Status.DOUBTFUL for value in measured.values):
        lines.append("? doubtful: see the summary")
    return lines
