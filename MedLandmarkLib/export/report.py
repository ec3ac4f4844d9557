"""`STEM.report.html`: one page with the picture, its landmarks and its measurements, in one file that needs no other.

The picture is embedded as PNG and the landmarks are drawn over it as SVG, so that the page prints sharply and nothing
but a browser is needed to read it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..landmark import Landmark, Status
from .figure import COLOURS
from .files import written_whole
from .pictured import as_drawn

if TYPE_CHECKING:
    from ..detection import Detection
    from ..detection.result import FrameResult
    from ..image import Image
    from ..measure import Measurement
    from ..scheme import Scheme

REPORT_SUFFIX = ".report.html"
_LONGEST_SIDE_PX = 1600  # of the embedded picture; a page shows no more
_STYLE = """
 body { font: 13px/1.4 sans-serif; color: #222; max-width: 1100px; margin: 1.5em auto; padding: 0 1em; }
 h1 { font-size: 1.5em; margin: 0 0 .2em; } h2 { font-size: 1.1em; margin: 1em 0 .3em; }
 table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .15em .6em .15em 0; }
 tr { border-bottom: 1px solid #ddd; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
 .page { display: flex; gap: 1.5em; align-items: flex-start; } .page > svg { flex: 1 1 55%; max-width: 58%; }
 .page > div { flex: 1 1 42%; } .note { color: #666; }
 .doubtful { color: #9a6700; } .missing, .undefined { color: #888; }
 @media print { body { margin: 0; max-width: none; font-size: 10px; } }
"""


def write_report(detection: Detection, path: Path | str) -> None:
    """Write the first frame's page, whole or not at all. Raises OSError."""
    text = report_html(detection)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def report_html(detection: Detection) -> str:
    """The page as text."""
    image, scheme, result = detection.image, detection.scheme, detection.frames[0]
    name = image.path.stem if image.path is not None else scheme.title
    model = f"{detection.model.id} {detection.model.version}".strip() or "none: placed by hand"
    calibration = image.calibration
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(name)}: {escape(scheme.title)}'
        f"</title><style>{_STYLE}</style></head><body>\n<h1>{escape(name)}</h1>\n"
        f'<p class="note">{escape(scheme.title)}. Model: {escape(model)}. Calibration: {escape(calibration.kind)}, '
        f"{escape(calibration.source)}. For research; not for diagnosis.</p>\n"
        f'<div class="page">\n{_picture(*as_drawn(image, detection.settings, result), scheme)}\n<div>\n'
        f"<h2>Measurements</h2>\n{_measurements(result.measurements, scheme)}\n"
        f"<h2>Landmarks</h2>\n{_landmarks(result, scheme)}\n</div>\n</div>\n"
        + "".join(f'<p class="note">{escape(note)}</p>\n' for note in detection.notes)
        + "</body></html>\n"
    )


def _picture(image: Image, result: FrameResult, scheme: Scheme) -> str:
    columns, rows, _ = image.size
    slice_index = _slice_of(result, image.size[2])
    rgb = image.display_rgb(min(result.landmarks.frame, image.frame_count - 1), slice_index)
    step = max(1, -(-max(columns, rows) // _LONGEST_SIDE_PX))
    data = base64.b64encode(png_bytes(rgb[::step, ::step])).decode("ascii")
    mark = max(columns, rows) / 130
    marks = [
        _mark(landmark, scheme.landmarks[scheme.index(landmark.name)].label, mark)
        for landmark in result.landmarks
        if landmark.status.is_usable and landmark.ijk is not None
    ]
    # A pixel's centre is at its integer, and SVG counts from its corner.
    return (
        f'<svg viewBox="-0.5 -0.5 {columns} {rows}" xmlns="http://www.w3.org/2000/svg">'
        f'<image x="-0.5" y="-0.5" width="{columns}" height="{rows}" href="data:image/png;base64,{data}"/>'
        + "".join(marks)
        + "</svg>"
    )


def _slice_of(result: FrameResult, count: int) -> int:
    """The slice on which the landmarks lie."""
    k = [landmark.ijk[2] for landmark in result.landmarks if landmark.ijk is not None]
    return min(max(round(float(np.median(k))), 0), count - 1) if k else 0


def _mark(landmark: Landmark, label: str, size: float) -> str:
    i, j, _ = landmark.ijk
    colour = COLOURS[landmark.status]
    is_doubtful = landmark.status is Status.DOUBTFUL
    shape = f'fill="none" stroke="{colour}"' if is_doubtful else f'fill="{colour}" stroke="white"'
    return (
        f'<circle cx="{i:.2f}" cy="{j:.2f}" r="{size * 0.55:.2f}" stroke-width="{size * 0.18:.2f}" {shape}/>'
        f'<text x="{i + size:.2f}" y="{j - size * 0.5:.2f}" font-size="{size * 1.9:.2f}" font-family="sans-serif" '
        f'fill="{colour}" stroke="black" stroke-width="{size * 0.3:.2f}" paint-order="stroke">'
        f"{escape(label)}{'?' if is_doubtful else ''}</text>"
    )


def _measurements(measurements: tuple[Measurement, ...], scheme: Scheme) -> str:
    rows = []
    for item in measurements:
        value = "" if item.value is None else f"{item.value:.3f}" if item.unit == "ratio" else f"{item.value:.1f}"
        normal = "" if item.normal_range is None else f"{item.normal_range[0]:g} to {item.normal_range[1]:g}"
        remark = "; ".join(part for part in (item.verdict, item.reason) if part)
        title = scheme.measurement(item.name).title
        rows.append(
            f'<tr class="{item.status.value}"><td title="{escape(title)}">{escape(item.name)}</td>'
            f'<td class="number">{value}</td><td>{escape(item.unit)}</td><td>{escape(normal)}</td>'
            f"<td>{escape(item.status.value)}</td><td>{escape(remark)}</td></tr>"
        )
    head = "<tr><th>Name</th><th>Value</th><th>Unit</th><th>Normal</th><th>Status</th><th>Remark</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _landmarks(result: FrameResult, scheme: Scheme) -> str:
    rows = []
    for landmark in result.landmarks:
        place = landmark.ras if landmark.ras is not None else landmark.ijk
        unit = "mm" if landmark.ras is not None else "px"
        usable = landmark.status.is_usable and place is not None
        position = ", ".join(f"{value:.1f}" for value in place) + f" {unit}" if usable else ""
        confidence = "" if landmark.confidence is None else f"{100 * landmark.confidence:.0f} %"
        definition = scheme.landmarks[scheme.index(landmark.name)].definition
        status = landmark.status.value + (f": {landmark.reason}" if landmark.reason else "")
        rows.append(
            f'<tr class="{landmark.status.value}"><td title="{escape(definition)}">{escape(landmark.name)}</td>'
            f'<td>{escape(position)}</td><td class="number">{confidence}</td><td>{escape(status)}</td></tr>'
        )
    head = "<tr><th>Name</th><th>Position</th><th>Confidence</th><th>Status</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def png_bytes(rgb: np.ndarray) -> bytes:
    """An 8-bit RGB picture (rows, columns, 3) as a PNG file (ISO/IEC 15948): one filter-less, compressed stream."""
    rows, columns, _ = rgb.shape
    scanlines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each begins with filter type 0
    scanlines[:, 1:] = rgb.reshape(rows, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    stream = zlib.compress(scanlines.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
