"""`STEM.png`: the image as a reader sees it, with its landmarks, and a legend that says what is known of each.

The picture is drawn at a fixed size of page, so that marks and letters are legible on a thumbnail and on a full-length
radiograph alike. Matplotlib is loaded when the first figure is drawn; nothing else in the library needs it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, Status
from .files import written_whole
from .pictured import as_drawn

if TYPE_CHECKING:
    from ..detection import Detection
    from ..detection.result import FrameResult
    from ..image import Image

# Colours that stay apart for readers with red-green weakness (Okabe and Ito, 2008).
COLOURS = {
    Status.PREDICTED: "#56B4E9",
    Status.ACCEPTED: "#56B4E9",
    Status.EDITED: "#CC79A7",
    Status.DOUBTFUL: "#E69F00",
    Status.MISSING: "#666666",
    Status.UNDEFINED: "#666666",
}

# What stands before a line of the legend: a filled dot, an empty ring, a cross.
SIGNS = {Status.DOUBTFUL: "\u25cb", Status.MISSING: "\u00d7", Status.UNDEFINED: "\u00d7"}

_DPI = 150
_PICTURE_INCHES = 8.0  # the longer side of the picture on the page
_LEGEND_INCHES = 3.5
_MARGIN_INCHES = 0.35  # around the picture, for the numbers of landmarks at its edge
_TITLE_INCHES = 0.55
_LINE_INCHES = 0.17
_THINNEST = 0.18  # of the longer side: a picture thinner than this gets margins instead of a page like a ribbon
_LONGEST_SIDE_PX = 4096  # more pixels than the page can show only cost memory


def write_figure(detection: Detection, path: Path | str, frame: int | None = None) -> None:
    """Draw one frame (the first detected one where `frame` is None) and write it as PNG, whole or not at all.

    Doubtful landmarks are drawn as hollow orange rings with a question mark; missing ones are only listed. A scale bar
    is drawn where the image is calibrated. Raises MedLandmarkError without matplotlib or without that frame; OSError.
    """
    figure_class, canvas_class = matplotlib_classes()
    result = _result(detection, frame)
    listed = [*_legend_lines(result), *_measurement_lines(result)]
    image, drawn = as_drawn(detection.image, detection.settings, result)
    width, height = _picture_inches(image)
    page = (
        _MARGIN_INCHES + width + _LEGEND_INCHES,
        _TITLE_INCHES + max(height + _MARGIN_INCHES, len(listed) * _LINE_INCHES + 0.4),
    )
    figure = figure_class(figsize=page, dpi=_DPI, facecolor="white")
    picture = figure.add_axes(
        (_MARGIN_INCHES / page[0], (page[1] - _TITLE_INCHES - height) / page[1], width / page[0], height / page[1])
    )
    _draw_picture(picture, image, drawn)
    _draw_landmarks(picture, drawn)
    _draw_scale_bar(picture, image)
    _write_title(figure, page, detection, result)
    _write_lines(figure, page, width, listed)
    with written_whole(path) as temporary:
        canvas_class(figure).print_png(str(temporary))


def matplotlib_classes() -> tuple[Any, Any]:
    """Matplotlib's Figure and Agg canvas. Raises MedLandmarkError where it is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MedLandmarkError("A figure needs matplotlib: pip install 'MedLandmark[cli]'.") from error
    return Figure, FigureCanvasAgg


def _result(detection: Detection, frame: int | None) -> FrameResult:
    for result in detection.frames:
        if frame is None or result.landmarks.frame == frame:
            return result
    raise MedLandmarkError(f"Frame {frame} was not detected, so it cannot be drawn.")


def _pixel_aspect(image: Image) -> float:
    """Height of a pixel over its width."""
    spacing_mm = image.calibration.spacing_mm
    return spacing_mm[1] / spacing_mm[0] if spacing_mm else 1.0


def _picture_inches(image: Image) -> tuple[float, float]:
    columns, rows = image.size[0], image.size[1] * _pixel_aspect(image)
    scale = _PICTURE_INCHES / max(columns, rows)
    return tuple(max(side * scale, _THINNEST * _PICTURE_INCHES) for side in (columns, rows))


def _draw_picture(axes: Any, image: Image, result: FrameResult) -> None:
    depths = [landmark.ijk[2] for landmark in result.landmarks if landmark.ijk is not None]
    slice_index = min(max(round(float(np.median(depths))) if depths else 0, 0), image.size[2] - 1)
    pixels = image.display_rgb(result.landmarks.frame, slice_index)
    step = math.ceil(max(pixels.shape[:2]) / _LONGEST_SIDE_PX)
    rows, columns = pixels.shape[:2]
    axes.imshow(
        pixels[::step, ::step],
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),  # continuous pixel coordinates, pixel centre at the integer
        aspect=_pixel_aspect(image),
        interpolation="antialiased",
    )
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=(), yticks=())
    axes.set_facecolor("black")


def _draw_landmarks(axes: Any, result: FrameResult) -> None:
    drawn = [
        (number, landmark)
        for number, landmark in enumerate(result.landmarks, start=1)
        if landmark.ijk is not None and landmark.status.is_usable
    ]
    for number, landmark in drawn:
        is_doubtful = landmark.status is Status.DOUBTFUL
        colour = COLOURS[landmark.status]
        x, y = landmark.ijk[:2]
        for width, edge in ((3.2, "black"), (1.4, colour)):  # a dark rim, to be seen on bone and on air
            axes.plot(
                x, y, "o", markersize=9 if is_doubtful else 5, fillstyle="none" if is_doubtful else "full",
                markerfacecolor=colour, markeredgecolor=edge, markeredgewidth=width if is_doubtful else width / 2,
                clip_on=False,
            )  # fmt: skip
        axes.annotate(
            f"{number}?" if is_doubtful else str(number), (x, y), xytext=_label_offset(landmark, drawn),
            textcoords="offset points", ha="center", va="center", fontsize=8, color="white",
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "black", "edgecolor": colour, "alpha": 0.75, "lw": 0.8},
        )  # fmt: skip


def _label_offset(landmark: Landmark, drawn: list[tuple[int, Landmark]]) -> tuple[float, float]:
    """Where the number stands, points of the page from the mark: away from the nearest other landmark."""
    own = np.asarray(landmark.ijk[:2])
    away = [own - other.ijk[:2] for _, other in drawn if other is not landmark]
    nearest = min(away, key=lambda vector: float(np.hypot(*vector)), default=np.array([1.0, -1.0]))
    length = float(np.hypot(*nearest)) or 1.0
    return 14 * nearest[0] / length, -14 * nearest[1] / length if np.any(nearest) else 14.0


def _draw_scale_bar(axes: Any, image: Image) -> None:
    spacing_mm = image.calibration.spacing_mm
    if spacing_mm is None:
        return
    from matplotlib.patheffects import withStroke

    columns, rows = image.size[:2]
    length_mm = round_length(columns * spacing_mm[0] / 4)
    length_px = length_mm / spacing_mm[0]
    left, level = 0.04 * columns, 0.96 * rows
    outline = [withStroke(linewidth=5, foreground="black")]
    axes.plot([left, left + length_px], [level, level], color="white", linewidth=2.5, path_effects=outline)
    axes.annotate(
        f"{length_mm:g} mm", (left + length_px / 2, level), xytext=(0, 5), textcoords="offset points", ha="center",
        va="bottom", fontsize=8, color="white", path_effects=[withStroke(linewidth=2.5, foreground="black")],
    )  # fmt: skip


def round_length(longest: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... (and their tenths) that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))


def _write_title(figure: Any, page: tuple[float, float], detection: Detection, result: FrameResult) -> None:
    image, calibration = detection.image, detection.image.calibration
    frame = f", frame {result.landmarks.frame}" if image.frame_count > 1 else ""
    scale = "not calibrated: px" if calibration.spacing_mm is None else f"{calibration.kind}: mm"
    left = _MARGIN_INCHES / page[0]
    title = f"{image.path.name if image.path is not None else 'image'}{frame}"
    figure.text(left, 1 - 0.22 / page[1], _shortened(title, 70), fontsize=10, weight="bold", va="center")
    subtitle = f"{detection.scheme.id}, model {detection.model.id} {detection.model.version}, {scale}"
    figure.text(left, 1 - 0.42 / page[1], subtitle, fontsize=7.5, color="#333333", va="center")


def _legend_lines(result: FrameResult) -> list[tuple[str, Status | None]]:
    """The line of each landmark, with what decides its sign and colour."""
    lines = []
    for number, landmark in enumerate(result.landmarks, start=1):
        remark = "" if landmark.status is Status.PREDICTED else f", {landmark.status.value}"
        is_told = landmark.confidence is not None and landmark.status.is_usable
        confidence = f" {landmark.confidence:.0%}" if is_told else ""
        lines.append((f"{number} {_shortened(landmark.name, 34)}{confidence}{remark}", landmark.status))
    return lines


def _measurement_lines(result: FrameResult) -> list[tuple[str, Status | None]]:
    valued = [item for item in result.measurements if item.value is not None]
    if not valued:
        return []
    lines: list[tuple[str, Status | None]] = [("", None)]
    for item in valued:
        unit = "" if item.unit == "ratio" else f" {item.unit}"
        doubt = " ?" if item.status is Status.DOUBTFUL else ""
        lines.append((f"{_shortened(item.name, 34)}  {item.value:.2f}{unit}{doubt}", item.status))
    return lines


def _write_lines(
    figure: Any, page: tuple[float, float], picture_width: float, lines: list[tuple[str, Status | None]]
) -> None:
    left = _MARGIN_INCHES + picture_width + 0.35
    for row, (text, status) in enumerate(lines):
        if status is None:
            continue
        level = 1 - (_TITLE_INCHES + (row + 0.5) * _LINE_INCHES) / page[1]
        sign = SIGNS.get(status, "\u25cf")
        figure.text(left / page[0], level, sign, fontsize=8, color=COLOURS[status], va="center", weight="bold")
        figure.text((left + 0.16) / page[0], level, text, fontsize=7.5, color="black", va="center")


def _shortened(text: str, length: int) -> str:
    return plain_text(text if len(text) <= length else text[: length - 1] + "…")


def plain_text(text: str) -> str:
    """Text for matplotlib as it stands: a dollar sign would begin mathematics."""
    return text.replace("$", r"\$")
