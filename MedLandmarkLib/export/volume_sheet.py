"""`STEM.png` of a whole volume: three crossing planes through each landmark, as the slice views would show it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..image.display import robust_window
from ..landmark import Landmark, Status
from ..plane import DIRECTIONS, plane_values
from ..plane.placing import ANATOMICAL_AXES, box_ras, finest_spacing, plane_about
from ..plane.sweep import VOLUME_SETTING
from .figure import COLOURS, SIGNS, matplotlib_classes, plain_text, round_length
from .files import written_whole

if TYPE_CHECKING:
    from ..detection import Detection
    from ..image import Image

_SHARE_OF_VOLUME = 0.25  # of its longest side: what a picture shows
_LEAST_PX, _MOST_PX = 48, 240
_DPI = 130
_COLUMNS = 4  # landmarks side by side
_PICTURE_INCHES, _CAPTION_INCHES, _GAP_INCHES, _TITLE_INCHES = 1.0, 0.34, 0.12, 0.5
_OPEN_SHARE = 0.1  # of a picture about the landmark: the cross-hair leaves it open


def write_volume_sheet(detection: Detection, path: Path | str) -> None:
    """Draw each landmark of a volume in a sagittal, a coronal and an axial plane through it, and write it as PNG.

    Above each stand its name, RAS coordinates and, where they are known, confidence and expected error. Missing
    landmarks are listed without pictures. Raises MedLandmarkError without matplotlib; OSError.
    """
    figure_class, canvas_class = matplotlib_classes()
    image, result = detection.image, detection.frames[0]
    low, high = box_ras(image)
    side_mm = round_length(_SHARE_OF_VOLUME * float((high - low).max()))
    landmarks = list(result.landmarks)
    rows = math.ceil(len(landmarks) / _COLUMNS)
    cell = (3 * _PICTURE_INCHES + _GAP_INCHES, _PICTURE_INCHES + _CAPTION_INCHES)
    page = (min(_COLUMNS, len(landmarks)) * cell[0] + _GAP_INCHES, _TITLE_INCHES + rows * cell[1] + _GAP_INCHES)
    figure = figure_class(figsize=page, dpi=_DPI, facecolor="white")
    _write_title(figure, page, detection, side_mm)
    frame = min(result.landmarks.frame, image.frame_count - 1)
    for number, landmark in enumerate(landmarks):
        row, column = divmod(number, _COLUMNS)
        left, top = _GAP_INCHES + column * cell[0], page[1] - _TITLE_INCHES - row * cell[1]
        _write_caption(figure, page, (left, top), number + 1, landmark, detection.settings)
        box = (left / page[0], (top - cell[1]) / page[1], 3 * _PICTURE_INCHES / page[0], _PICTURE_INCHES / page[1])
        if landmark.ras is not None:
            _draw_planes(figure.add_axes(box), _planes_through(image, landmark.ras, side_mm, frame), landmark)
    with written_whole(path) as temporary:
        canvas_class(figure).print_png(str(temporary))


def is_of_a_volume(detection: Detection) -> bool:
    """Whether a whole volume was searched, so that no single picture shows all landmarks where they are."""
    return detection.settings.get(VOLUME_SETTING) is not None


def _planes_through(image: Image, ras: tuple[float, ...], side_mm: float, frame: int) -> np.ndarray:
    """uint8 (rows, 3 × rows, 3): the three planes side by side, the point in the middle of each, in one grey window."""
    size = int(np.clip(round(side_mm / finest_spacing(image)), _LEAST_PX, _MOST_PX))
    planes = [plane_about(ras, *ANATOMICAL_AXES[name], side_mm / size, (size, size)) for name in DIRECTIONS]
    sampled = [plane_values(image, plane, frame)[:2] for plane in planes]
    values, is_inside = (np.stack(part) for part in zip(*sampled, strict=True))
    grey = robust_window(values[is_inside] if is_inside.any() else values)
    shown = np.where(is_inside[..., None], grey.to_uint8(values), np.uint8(0))
    return np.concatenate([np.broadcast_to(one, (size, size, 3)) for one in shown], axis=1)


def _draw_planes(axes: Any, pictures: np.ndarray, landmark: Landmark) -> None:
    side = len(pictures)
    axes.imshow(pictures, extent=(0, 3 * side, side, 0), aspect="auto", interpolation="antialiased")
    axes.set(xlim=(0, 3 * side), ylim=(side, 0), xticks=(), yticks=())
    middle, reach = side / 2, _OPEN_SHARE * side
    line = {"color": COLOURS[landmark.status], "linewidth": 0.7, "solid_capstyle": "butt"}
    for left in (0, side, 2 * side):
        for start, stop in ((0, middle - reach), (middle + reach, side)):
            axes.plot([left + start, left + stop], [middle, middle], **line)
            axes.plot([left + middle, left + middle], [start, stop], **line)
        if left:
            axes.axvline(left, color="white", linewidth=1.5)
    for spine in axes.spines.values():
        spine.set(color=COLOURS[landmark.status], linewidth=1.5 if landmark.status is Status.DOUBTFUL else 0.5)


def _write_title(figure: Any, page: tuple[float, float], detection: Detection, side_mm: float) -> None:
    image = detection.image
    left = _GAP_INCHES / page[0]
    name = image.path.name if image.path is not None else "volume"
    frame = f", frame {detection.frames[0].landmarks.frame}" if image.frame_count > 1 else ""
    figure.text(left, 1 - 0.16 / page[1], plain_text(f"{name}{frame}"), fontsize=9, weight="bold", va="center")
    model = f"{detection.scheme.id}, model {detection.model.id} {detection.model.version}"
    told = f"{model}; sagittal, coronal and axial through each landmark, {side_mm:g} mm wide"
    figure.text(left, 1 - 0.34 / page[1], told, fontsize=7, color="#333333", va="center")


def _write_caption(
    figure: Any, page: tuple[float, float], place: tuple[float, float], number: int, landmark: Landmark, settings: Any
) -> None:
    left, top = place
    sign = SIGNS.get(landmark.status, "\u25cf")
    level, title = (top - 0.09) / page[1], plain_text(f"{number} {landmark.name}")
    figure.text(left / page[0], level, sign, fontsize=7, color=COLOURS[landmark.status], va="center")
    figure.text((left + 0.12) / page[0], level, title, fontsize=6.5, weight="bold", va="center")
    told = [] if landmark.status is Status.PREDICTED else [landmark.status.value]
    if landmark.ras is not None:
        told.append("R {:.1f}  A {:.1f}  S {:.1f} mm".format(*landmark.ras))
    if landmark.confidence is not None and landmark.status.is_usable:
        told.append(f"{landmark.confidence:.0%}")
    expected = settings[VOLUME_SETTING].get("expected_error_mm", {}).get(landmark.name)
    if expected is not None:
        told.append(f"\u00b1 {expected:.1f} mm")
    place = (left + 0.12) / page[0], (top - 0.24) / page[1]
    figure.text(*place, ", ".join(told), fontsize=5.5, color="#333333", va="center")
