"""Clips on the command line: landmarks in all frames, curves, beats and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ..errors import ImageError
from ..landmark import Status
from .console import complain, out, shown

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..detection import LandmarkDetector
    from ..detection.cine import ClipDetection
    from ..image.clip import Clip
    from ..measure.cine import CineMeasurement
    from ..scheme import Scheme

_STYLES = {Status.DOUBTFUL: "yellow", Status.MISSING: "red"}


def open_clip(
    path: Path,
    frames: Sequence[int] | str,
    scheme: Scheme,
    spacing_mm: Sequence[float] | None,
    ruler: Sequence[float] | None,
) -> Clip | None:
    """The clip in a file that is to be worked on through time; None where the file is to be read as an image.

    That is where all frames are asked for, of a scheme that says what is measured through a clip. Raises ImageError.
    """
    from ..image.clip import NotAClip
    from ..image.clip_reading import read_clip, video_kind

    is_video = path.is_file() and video_kind(path) is not None
    if frames != "all":
        if is_video:
            raise ImageError(f"{path}: it is a video; detect in all of its frames, with --frame all.")
        return None
    if scheme.cine is None and not is_video:
        return None
    try:
        return read_clip(path, spacing_mm=spacing_mm, ruler=ruler)
    except NotAClip:
        return None


def detect_clip_with_bar(detector: LandmarkDetector, clip: Clip, bar: Progress) -> ClipDetection:
    """Detect in all frames of a clip, with a bar of its own."""
    from ..detection.cine import detect_clip

    task = bar.add_task("", total=100)
    try:
        return detect_clip(
            detector, clip, progress=lambda part, text: bar.update(task, completed=round(100 * part), description=text)
        )
    finally:
        bar.remove_task(task)


def report_clip(detection: ClipDetection, path: Path, written: list[Path], quiet: bool, is_single: bool) -> None:
    """Say what was measured: in a table for a single clip, in a line for one of many; notes go to stderr."""
    for note in detection.notes:
        complain(note, path)
    if quiet:
        return
    if detection.scheme.cine is None:
        print(f"{shown(path)}: {detection.clip.frame_count} frames -> {shown(written[0])}")
        return
    measured = detection.measurement
    if not is_single:
        print(f"{shown(path)}: {detection.clip.frame_count} frames, {_beats(measured)} -> {shown(written[0])}")
        return
    print(clip_line(detection))
    if measured.beats:
        out().print(value_table(measured))
    for target in written:
        print(shown(target))


def clip_line(detection: ClipDetection) -> str:
    """ "30 frames, 30.0 a second (FrameTime (0018,1063)), 1 beat, heart rate 62 ..."."""
    clip, measured = detection.clip, detection.measurement
    rate = f"{clip.frame_rate_hz:.1f} a second ({clip.time_source})" if clip.frame_rate_hz else clip.time_source
    heart = measured.heart_rate
    beating = f", heart rate {heart.bpm:.0f}/min ({heart.source})" if heart.bpm is not None else ""
    return f"{clip.frame_count} frames, {rate}; {_beats(measured)}{beating}"


def value_table(measured: CineMeasurement) -> Table:
    """One row per value: mean and spread over the beats, and what is to be said of it."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("value", "mean", "± SD", "unit", "beats", "remark"):
        table.add_column(heading, justify="right" if heading in ("mean", "± SD", "beats") else "left")
    for value in measured.values:
        mean = "" if value.mean is None else f"{value.mean:.2f}"
        spread = "" if value.sd is None else f"{value.sd:.2f}"
        status = value.status.value if value.status in _STYLES else ""
        remark = "; ".join(part for part in (status, value.reason) if part)
        count = str(sum(item.value is not None for item in value.per_beat))
        table.add_row(
            escape(value.name), mean, spread, value.unit, count, escape(remark), style=_STYLES.get(value.status)
        )
    return table


def _beats(measured: CineMeasurement) -> str:
    return f"{len(measured.beats)} beat{'' if len(measured.beats) == 1 else 's'}"
