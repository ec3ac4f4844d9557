"""`STEM.overlay.gif` or `.mp4`: the clip with its landmarks, measured lines and phase, to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import LandmarkSet, Status
from .clip_tables import phase_of_frames
from .figure import COLOURS
from .files import written_whole

if TYPE_CHECKING:
    from ..detection.cine import ClipDetection
    from ..scheme import Scheme

OVERLAYS = ("gif", "mp4")
_SHORTEST_SIDE_PX = 480  # smaller pictures are enlarged to it by whole factors
_GIF_SIDE_PX = 640
_GIF_FRAMES = 120  # a GIF is held whole while it is written
_LINE_COLOUR = (240, 228, 66)
_UNKNOWN_RATE_HZ = 30.0


def write_overlay(detection: ClipDetection, path: Path | str) -> None:
    """Write a moving picture, GIF or MP4 by the end of the name, whole or not at all.

    A GIF holds at most the first 120 frames. Raises MedLandmarkError without Pillow (GIF) or PyAV (MP4); OSError.
    """
    path = Path(path)
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    with written_whole(path) as temporary:
        write(detection, temporary)


def overlay_pictures(detection: ClipDetection, longest_px: int | None = None) -> Iterator[np.ndarray]:
    """The pictures (rows, columns, 3) uint8 of the sector, one after another, with what was found drawn in."""
    draw_module, image_module = _pillow()
    measured = detection.measurement if detection.scheme.cine is not None else None
    phases = phase_of_frames(measured.beats) if measured else {}
    x, y, columns, rows = detection.sector.box
    factor = max(1, -(-_SHORTEST_SIDE_PX // min(columns, rows)))
    if longest_px and factor * max(columns, rows) > longest_px:
        factor = max(1, longest_px // max(columns, rows))
    step = 1 if not longest_px else max(1, max(columns, rows) // longest_px)
    for frame, picture in enumerate(detection.clip.pictures()):
        part = picture[y : y + rows : step, x : x + columns : step]
        canvas = image_module.fromarray(np.ascontiguousarray(part))
        canvas = canvas.resize((part.shape[1] * factor, part.shape[0] * factor), image_module.Resampling.BICUBIC)
        pen = draw_module.Draw(canvas)
        _draw_landmarks(pen, detection.track.frames[frame], detection.scheme, (x, y), factor / step)
        times_s = detection.track.times_s
        when = f"frame {frame}" + ("" if times_s is None else f"   {times_s[frame]:.2f} s")
        pen.text(
            (6, 4), f"{when}   {phases.get(frame, '')}", fill=(255, 255, 255), font_size=max(12, canvas.width // 32)
        )
        yield np.asarray(canvas)


def _draw_landmarks(pen: Any, landmarks: LandmarkSet, scheme: Scheme, corner: tuple[int, int], scale: float) -> None:
    placed = {
        item.name: tuple((item.ijk[axis] - corner[axis] + 0.5) * scale for axis in (0, 1))
        for item in landmarks
        if item.status.is_usable and item.ijk is not None
    }
    for definition in scheme.measurements:
        if definition.kind != "distance" or not set(definition.own_landmarks) <= set(placed):
            continue
        ends = [tuple(np.mean([placed[name] for name in point], axis=0)) for point in definition.points]
        pen.line([*ends[0], *ends[1]], fill=_LINE_COLOUR, width=max(1, round(scale / 2)))
    radius = max(4.0, 1.6 * scale)
    for item in landmarks:
        if item.name not in placed:
            continue
        i, j = placed[item.name]
        box = (i - radius, j - radius, i + radius, j + radius)
        if item.status is Status.DOUBTFUL:
            pen.ellipse(box, outline=COLOURS[item.status], width=2)
        else:
            pen.ellipse(box, fill=COLOURS[item.status], outline="black")


def _write_gif(detection: ClipDetection, path: Path) -> None:
    _, image_module = _pillow()
    palette = image_module.new("P", (1, 1))
    palette.putpalette(_palette())
    pictures = []
    for picture, _ in zip(overlay_pictures(detection, _GIF_SIDE_PX), range(_GIF_FRAMES), strict=False):
        pictures.append(image_module.fromarray(picture).quantize(palette=palette, dither=image_module.Dither.NONE))
    step_ms = round(1000 / (detection.clip.frame_rate_hz or _UNKNOWN_RATE_HZ))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=max(20, step_ms), loop=0)


def _palette() -> list[int]:
    """Greys, and the colours of lines and marks: the clip's own colours become the nearest of them."""
    greys = [level for grey in np.linspace(0, 255, 128).round().astype(int) for level in (int(grey),) * 3]
    marks = [int(colour[place : place + 2], 16) for colour in sorted(set(COLOURS.values())) for place in (1, 3, 5)]
    return [*greys, *_LINE_COLOUR, *marks]


def _write_mp4(detection: ClipDetection, path: Path) -> None:
    try:
        import av
    except ImportError as error:
        raise MedLandmarkError("An MP4 needs PyAV: pip install 'MedLandmark[video]'. A GIF does not.") from error
    rate = Fraction(detection.clip.frame_rate_hz or _UNKNOWN_RATE_HZ).limit_denominator(1000)
    with av.open(str(path), "w") as container:
        stream = None
        for picture in overlay_pictures(detection):
            rows, columns = (side // 2 * 2 for side in picture.shape[:2])  # the codec takes even sides
            if stream is None:
                stream = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=rate)
                stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:rows, :columns]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise MedLandmarkError("An overlay needs Pillow: pip install 'MedLandmark[cli]'.") from error
    return ImageDraw, Image
