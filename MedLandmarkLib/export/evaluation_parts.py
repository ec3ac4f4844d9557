"""The tables and charts of an evaluation's page, as HTML and SVG text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ..evaluation import Calibration, ErrorStatistics

# Colours that stay apart for readers with red-green weakness (Okabe and Ito, 2008).
SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

_WIDTH, _HEIGHT, _MARGIN = 420, 260, 44


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table whose first column is text and whose others are numbers; `classes` are the classes of the rows."""
    first, *others = (escape(heading) for heading in headings)
    head = f"<th>{first}</th>" + "".join(f'<th class="number">{heading}</th>' for heading in others)
    body = []
    for number, row in enumerate(rows):
        cells = [f"<td>{escape(row[0])}</td>", *(f'<td class="number">{escape(cell)}</td>' for cell in row[1:])]
        style = f' class="{classes[number]}"' if number < len(classes) and classes[number] else ""
        body.append(f"<tr{style}>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"


def error_headings(radii: Sequence[float], unit: str) -> list[str]:
    return ["n", f"mean, {unit}", "95 % CI", "SD", "median", "p95", *(f"≤ {radius:g} {unit}" for radius in radii)]


def error_cells(statistics: ErrorStatistics) -> list[str]:
    """The figures under `error_headings`; shares in per cent, their intervals beneath the overall ones only."""
    numbers = [number_text(item) for item in (statistics.sd, statistics.median, statistics.p95)]
    shares = [f"{100 * share:.1f} %" for share in statistics.sdr.values()]
    interval = interval_text(statistics.mean_interval)
    return [str(statistics.points), number_text(statistics.mean), interval, *numbers, *shares]


def number_text(value: float | None, digits: int = 2) -> str:
    if value is None:
        return ""
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0 takes the minus from a zero


def percent_text(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def interval_text(interval: tuple[float, float] | None, factor: float = 1.0, digits: int = 2) -> str:
    return "" if interval is None else f"{factor * interval[0]:.{digits}f} – {factor * interval[1]:.{digits}f}"


def curve_chart(curves: dict[str, Sequence[tuple[float, float]]], unit: str, radii: Sequence[float]) -> str:
    """The share of points (up) with at most an error (right), a line for each name."""
    reach = max((points[-1][0] for points in curves.values() if points), default=1.0) or 1.0
    marks = [(radius, f"{radius:g}") for radius in radii] or [
        (reach * part, f"{reach * part:.1f}") for part in (0.5, 1)
    ]
    parts = [_frame(marks, reach, f"radial error, {unit}", "share of points, %")]
    for number, (name, points) in enumerate(curves.items()):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        path = " ".join(f"{_x(error / reach):.1f},{_y(share):.1f}" for error, share in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        level = _HEIGHT - _MARGIN - 10 - 14 * (len(curves) - 1 - number)
        parts.append(_text(_WIDTH - 14, level, name, colour, "end"))
    return _svg(parts)


def reliability_chart(calibration: Calibration) -> str:
    """The share within the tolerance (up) by stated confidence (right); the area of a dot is its number of points."""
    marks = [(value / 10, f"{10 * value}") for value in range(0, 11, 2)]
    parts = [_frame(marks, 1.0, "stated confidence, %", f"within {calibration.tolerance:g} {calibration.unit}, %")]
    parts.append(f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#aaa" stroke-dasharray="4 3"/>')
    most = max((item.points for item in calibration.bins), default=1) or 1
    for item in calibration.bins:
        if item.points:
            radius = 2.5 + 8 * (item.points / most) ** 0.5
            parts.append(
                f'<circle cx="{_x(item.confidence):.1f}" cy="{_y(item.right):.1f}" r="{radius:.1f}" '
                f'fill="{SERIES_COLOURS[0]}" fill-opacity="0.6"><title>{item.points} points</title></circle>'
            )
    return _svg(parts)


def _frame(marks: Sequence[tuple[float, str]], reach: float, below: str, beside: str) -> str:
    parts = [f'<rect x="{_x(0)}" y="{_y(1)}" width="{_x(1) - _x(0)}" height="{_y(0) - _y(1)}" fill="#fafafa"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{_x(0)}" y1="{_y(share)}" x2="{_x(1)}" y2="{_y(share)}" stroke="#ddd"/>')
        parts.append(_text(_x(0) - 6, _y(share) + 4, f"{100 * share:g}", "#444", "end"))
    for value, label in marks:
        x = _x(value / reach)
        parts.append(f'<line x1="{x:.1f}" y1="{_y(0)}" x2="{x:.1f}" y2="{_y(1)}" stroke="#ddd"/>')
        parts.append(_text(x, _y(0) + 15, label, "#444", "middle"))
    parts.append(_text((_x(0) + _x(1)) / 2, _HEIGHT - 8, below, "#222", "middle"))
    middle = (_y(0) + _y(1)) / 2
    parts.append(f'<g transform="translate(11 {middle}) rotate(-90)">{_text(0, 0, beside, "#222", "middle")}</g>')
    return "".join(parts)


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Iterable[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" font-family="sans-serif" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _x(share: float) -> float:
    return _MARGIN + share * (_WIDTH - _MARGIN - 12)


def _y(share: float) -> float:
    return _HEIGHT - _MARGIN - share * (_HEIGHT - _MARGIN - 12)
