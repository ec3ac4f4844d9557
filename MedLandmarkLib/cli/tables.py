"""Landmarks and measurements as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ..landmark import LandmarkSet, Status
from ..measure import Measurement

_STYLES = {Status.DOUBTFUL: "yellow", Status.MISSING: "red", Status.UNDEFINED: "red"}


def landmark_table(landmarks: LandmarkSet) -> Table:
    """One row per landmark: number as in the figure, position in pixels, confidence, status with its reason."""
    table = Table(box=SIMPLE_HEAD, title=f"{landmarks.scheme_id}, frame {landmarks.frame}", title_justify="left")
    for heading in ("#", "landmark", "x px", "y px", "confidence", "status"):
        table.add_column(heading, justify="left" if heading in ("landmark", "status") else "right")
    for number, landmark in enumerate(landmarks, start=1):
        x, y = ("", "") if landmark.ijk is None else (f"{value:.1f}" for value in landmark.ijk[:2])
        confidence = "" if landmark.confidence is None else f"{landmark.confidence:.0%}"
        status = landmark.status.value + (f": {landmark.reason}" if landmark.reason else "")
        style = _STYLES.get(landmark.status)
        table.add_row(str(number), escape(landmark.name), x, y, confidence, escape(status), style=style)
    return table


def measurement_table(measurements: Iterable[Measurement]) -> Table:
    """One row per measurement: value, normal range where a source gives one, and what is to be said of it."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("measurement", "value", "unit", "normal", "remark"):
        table.add_column(heading, justify="right" if heading in ("value", "normal") else "left")
    for item in measurements:
        value = "" if item.value is None else f"{item.value:.2f}"
        normal = "{:g} to {:g}".format(*item.normal_range) if item.normal_range else ""
        status = "" if item.status.is_usable and item.status is not Status.DOUBTFUL else item.status.value
        remark = "; ".join(part for part in (status, item.reason, item.verdict) if part)
        style = _STYLES.get(item.status)
        table.add_row(escape(item.name), value, item.unit, normal, escape(remark), style=style)
    return table


def counted(landmarks: LandmarkSet) -> str:
    """ "19 landmarks, 2 doubtful, 1 missing"."""
    words = [f"{len(landmarks)} landmarks"]
    for status in (Status.DOUBTFUL, Status.MISSING):
        count = sum(landmark.status is status for landmark in landmarks)
        words += [f"{count} {status.value}"] if count else []
    return ", ".join(words)
