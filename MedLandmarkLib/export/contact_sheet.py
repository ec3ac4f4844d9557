"""Many images with their landmarks on one page, to be looked through by eye."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .figure import matplotlib_classes, plain_text

# Colours that stay apart for readers with red-green weakness (Okabe and Ito, 2008).
_PLAIN, _MARKED, _OTHER = "#56B4E9", "#E69F00", "#009E73"
_COLUMNS, _CELL_INCHES, _CAPTION_INCHES, _DPI = 6, 2.4, 0.52, 110
_CAPTION_LINES, _CAPTION_LETTERS = 3, 44
_LONGEST_SIDE_PX = 400


@dataclass(frozen=True)
class SheetCell:
    """One image of the sheet.

    picture: (rows, columns, 3) uint8, which may be smaller than the image, or None where it cannot be read; size_wh: of
    the image, in whose pixels `points` lie, reader -> landmark -> (x, y); marked: the landmarks to point out; caption:
    below the picture; is_suspicious: whether it gets a frame.
    """

    title: str
    caption: str
    picture: np.ndarray | None
    size_wh: tuple[int, int]
    points: Mapping[str, Mapping[str, Sequence[float]]]
    marked: frozenset[str] = frozenset()
    is_suspicious: bool = False


def reduced(picture: np.ndarray) -> np.ndarray:
    """A picture small enough that hundreds of them fit into memory."""
    step = math.ceil(max(picture.shape[:2]) / _LONGEST_SIDE_PX)
    return np.ascontiguousarray(picture[::step, ::step])


def contact_sheet_png(cells: Sequence[SheetCell], title: str) -> bytes:
    """The sheet as PNG. Raises MedLandmarkError without matplotlib."""
    figure_class, canvas_class = matplotlib_classes()
    columns = min(_COLUMNS, max(len(cells), 1))
    rows = max(1, math.ceil(len(cells) / columns))
    cell_height = _CELL_INCHES + _CAPTION_INCHES
    page = (max(columns * _CELL_INCHES, 6.0), rows * cell_height + 0.4)
    figure = figure_class(figsize=page, dpi=_DPI, facecolor="white")
    figure.text(0.1 / page[0], 1 - 0.2 / page[1], plain_text(title), fontsize=9, weight="bold", va="center")
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = column * _CELL_INCHES, page[1] - 0.4 - row * cell_height
        margin = 0.06
        box = (left + margin, top - _CELL_INCHES + margin, _CELL_INCHES - 2 * margin, _CELL_INCHES - 2 * margin)
        axes = figure.add_axes((box[0] / page[0], box[1] / page[1], box[2] / page[0], box[3] / page[1]))
        _draw(axes, cell)
        text = "\n".join([plain_text(cell.title), *_wrapped(cell.caption)])
        colour = "#B03000" if cell.is_suspicious else "#333333"
        place = ((left + margin) / page[0], (top - _CELL_INCHES) / page[1])
        figure.text(*place, text, fontsize=5.5, va="top", color=colour, linespacing=1.1)
    stream = io.BytesIO()
    canvas_class(figure).print_png(stream)
    return stream.getvalue()


def _draw(axes: object, cell: SheetCell) -> None:
    width, height = cell.size_wh
    axes.set(xticks=(), yticks=(), facecolor="black")
    for spine in axes.spines.values():
        spine.set(color=_MARKED if cell.is_suspicious else "#BBBBBB", linewidth=2.0 if cell.is_suspicious else 0.5)
    if cell.picture is None:
        axes.text(0.5, 0.5, "cannot be read", color="white", ha="center", va="center", transform=axes.transAxes)
        return
    axes.imshow(
        cell.picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5), aspect="equal", interpolation="antialiased"
    )
    for number, points in enumerate(cell.points.values()):
        plain = [point[:2] for name, point in points.items() if name not in cell.marked]
        colour = _PLAIN if number == 0 else _OTHER
        if plain:
            axes.plot(*np.transpose(plain), "o", markersize=2.2, color=colour, markeredgewidth=0, clip_on=True)
        for name in cell.marked & set(points):
            x, y = np.clip(points[name][:2], -0.5, np.array(cell.size_wh) - 0.5)  # one outside is marked at the border
            axes.plot(x, y, "o", markersize=7, fillstyle="none", color=_MARKED, markeredgewidth=1.2, clip_on=False)
            if len(cell.marked) <= 6:
                axes.annotate(
                    plain_text(name[:18]), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=5, color=_MARKED
                )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _wrapped(text: str) -> list[str]:
    lines = textwrap.wrap(text, _CAPTION_LETTERS)
    if len(lines) > _CAPTION_LINES:
        lines = [*lines[: _CAPTION_LINES - 1], lines[_CAPTION_LINES - 1][: _CAPTION_LETTERS - 1] + "…"]
    return [plain_text(line) for line in lines]
