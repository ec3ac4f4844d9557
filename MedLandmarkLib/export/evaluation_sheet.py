"""The worst images of an evaluation, each whole and enlarged about its worst landmark, as SVG over pictures."""

from __future__ import annotations

import base64
from html import escape

import numpy as np

from ..dataset import Case, Point
from ..errors import MedLandmarkError
from ..evaluation import EvaluationReport, PointResult
from ..evaluation.landmarks import reference_points
from ..evaluation.points import in_order
from ..image import read_image
from ..landmark import Landmark
from .report import png_bytes

_WHOLE_PX = 420  # of the longer side of an embedded whole picture
_ENLARGED_PX = 360  # likewise of an enlarged part
_SMALLEST_PART = 0.16  # of the longer side of the image: what an enlarged part shows at least
_PREDICTED, _REFERENCE, _EXCLUDED = "#E69F00", "#56B4E9", "#999999"


def contact_sheet(report: EvaluationReport, count: int) -> str:
    """The `count` images with the largest mean error, worst first. Images that cannot be read any more are named."""
    means = report.main.evaluation.image_means
    worst = sorted(means, key=lambda case: -means[case])[:count]
    return '<div class="sheet">' + "".join(_entry(report, report.dataset[case_id]) for case_id in worst) + "</div>"


def _entry(report: EvaluationReport, case: Case) -> str:
    evaluation = report.main.evaluation
    own = [item for item in evaluation.counted if item.case == case.id and item.error is not None]
    worst = max(own, key=lambda item: item.error)
    caption = (
        f"<b>{escape(case.id)}</b> mean {evaluation.image_means[case.id]:.2f} {evaluation.unit}; worst: "
        f"{escape(worst.landmark)}, {worst.error:.2f} {evaluation.unit}{_remark(worst)}"
    )
    try:
        rgb = read_image(case.image_path).display_rgb()
    except (MedLandmarkError, OSError) as error:
        return f'<figure><figcaption>{caption}<br><span class="note">{escape(str(error))}</span></figcaption></figure>'
    reference = reference_points(case, evaluation.rater, report.scheme.names)
    predicted = {item.name: item for item in report.predictions[case.id] if item.ijk is not None}
    predicted, _ = in_order(predicted, reference, (1.0, 1.0), report.scheme.interchangeable)
    marks = _Marks(reference, predicted, evaluation.excluded)
    return (
        f'<figure><div class="pair">{_picture(rgb, (0, 0, rgb.shape[1], rgb.shape[0]), _WHOLE_PX, marks)}'
        f"{_picture(rgb, _part(rgb, marks, worst), _ENLARGED_PX, marks)}</div>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _remark(result: PointResult) -> str:
    confidence = "" if result.confidence is None else f", confidence {100 * result.confidence:.0f} %"
    return f" ({result.status.value}{confidence})"


class _Marks:
    """Reference rings, prediction dots, and a line between the two of each landmark."""

    def __init__(self, reference: dict[str, Point], predicted: dict[str, Landmark], excluded: tuple[str, ...]) -> None:
        self.reference, self.predicted, self.excluded = reference, predicted, excluded

    def svg(self, size: float) -> str:
        """The marks with radius `size`, in pixels of the image."""
        parts = []
        for name, (x, y) in self.reference.items():
            is_excluded = name in self.excluded
            ring, dot = (_EXCLUDED, _EXCLUDED) if is_excluded else (_REFERENCE, _PREDICTED)
            title = f"<title>{escape(name)}</title>"
            parts.append(
                f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{size:.2f}" fill="none" stroke="{ring}" '
                f'stroke-width="{0.4 * size:.2f}">{title}</circle>'
            )
            if name in self.predicted:
                i, j = self.predicted[name].ijk[:2]
                parts.append(
                    f'<line x1="{x:.2f}" y1="{y:.2f}" x2="{i:.2f}" y2="{j:.2f}" stroke="{dot}" '
                    f'stroke-width="{0.35 * size:.2f}"/>'
                    f'<circle cx="{i:.2f}" cy="{j:.2f}" r="{0.6 * size:.2f}" fill="{dot}">{title}</circle>'
                )
        return "".join(parts)


def _part(rgb: np.ndarray, marks: _Marks, worst: PointResult) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a square about a landmark's reference and prediction, within the image."""
    rows, columns = rgb.shape[:2]
    ends = np.array([marks.reference[worst.landmark][:2], marks.predicted[worst.landmark].ijk[:2]])
    side = max(2.5 * float(np.ptp(ends, axis=0).max()), _SMALLEST_PART * max(rows, columns), 16.0)
    low = ends.mean(axis=0) - side / 2
    left, top = (int(np.clip(value, 0, limit)) for value, limit in zip(low, (columns - 2, rows - 2), strict=True))
    right, bottom = min(columns, int(low[0] + side) + 1), min(rows, int(low[1] + side) + 1)
    return left, top, max(right, left + 2), max(bottom, top + 2)


def _picture(rgb: np.ndarray, part: tuple[int, int, int, int], longest_px: int, marks: _Marks) -> str:
    """The part of the image with the marks. A pixel's centre is at its integer, and SVG counts from its corner."""
    left, top, right, bottom = part
    width, height = right - left, bottom - top
    step = max(1, max(width, height) // longest_px)
    # Blocks are averaged, so that a small picture does not flicker with noise.
    columns, rows = width // step * step, height // step * step
    cut = rgb[top : top + rows, left : left + columns].astype(np.float32)
    small = cut.reshape(rows // step, step, columns // step, step, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    data = base64.b64encode(png_bytes(small)).decode("ascii")
    return (
        f'<svg viewBox="{left - 0.5} {top - 0.5} {columns} {rows}" xmlns="http://www.w3.org/2000/svg">'
        f'<image x="{left - 0.5}" y="{top - 0.5}" width="{columns}" height="{rows}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>{marks.svg(max(width, height) / 55)}</svg>'
    )
