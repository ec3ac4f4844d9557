"""`STEM.curves.csv`: one row per frame with time, phase and curves; and `STEM.summary.json`: what a clip says."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..landmark import Status
from .files import written_whole
from .landmarks_json import image_record

if TYPE_CHECKING:
    from ..detection.cine import ClipDetection
    from ..measure.beats import Beat
    from ..measure.cine import CineMeasurement, CineValue
    from ..measure.curves import Curve

SCHEMA_VERSION = "1.0"
CURVES_SUFFIX = ".curves.csv"
SUMMARY_SUFFIX = ".summary.json"


def write_curves_csv(detection: ClipDetection, path: Path | str) -> None:
    """Write the curves, whole or not at all; what is not known stays empty. Raises OSError."""
    measured, times_s = detection.measurement, detection.track.times_s
    phases = phase_of_frames(measured.beats)
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        heads = [name for curve in measured.curves for name in (f"{curve.name} {curve.unit}", f"{curve.name} status")]
        writer.writerow(["frame", "time_s", "phase", *heads])
        for frame in range(len(detection.track)):
            cells = [cell for curve in measured.curves for cell in _cells(curve, frame)]
            writer.writerow([frame, "" if times_s is None else times_s[frame], phases.get(frame, ""), *cells])


def write_summary_json(detection: ClipDetection, path: Path | str) -> None:
    """Write the summary (Resources/Clip-summary-schema.json), whole or not at all. Raises OSError."""
    text = json.dumps(summary_document(detection), indent=1, ensure_ascii=False, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def summary_document(detection: ClipDetection) -> dict[str, Any]:
    """The content of the summary as plain data."""
    clip, measured = detection.clip, detection.measurement
    return {
        "schema_version": SCHEMA_VERSION,
        "image": image_record(detection.image),
        "clip": {
            "frames": clip.frame_count,
            "frame_rate_hz": clip.frame_rate_hz,
            "duration_s": None if clip.times_s is None else clip.times_s[-1] - clip.times_s[0],
            "time_source": clip.time_source,
            "sector": {"found": detection.sector.found, "box": list(detection.sector.box)},
        },
        "scheme": detection.scheme.id,
        "model": asdict(detection.model),
        "settings": {**detection.settings, "smoothing": asdict(detection.track.settings)},
        "key_frames": list(detection.track.key_frames),
        "landmarks": _status_counts(detection),
        **measurement_document(measured),
        "notes": list(detection.notes),
    }


def measurement_document(measured: CineMeasurement) -> dict[str, Any]:
    """Heart rate, beats, values and curves as plain data."""
    return {
        "heart_rate": {"bpm": measured.heart_rate.bpm, "source": measured.heart_rate.source},
        "beats": [asdict(beat) for beat in measured.beats],
        "values": [_value(value) for value in measured.values],
        "curves": [_curve(curve) for curve in measured.curves],
    }


def phase_of_frames(beats: tuple[Beat, ...]) -> dict[int, str]:
    """ "ED" and "ES" by frame number."""
    ends = {beat.next_end_diastole: "ED" for beat in beats if beat.next_end_diastole is not None}
    return ends | {beat.end_diastole: "ED" for beat in beats} | {beat.end_systole: "ES" for beat in beats}


def _value(value: CineValue) -> dict[str, Any]:
    per_beat = [{"value": item.value, "status": item.status.value, "reason": item.reason} for item in value.per_beat]
    return {
        "name": value.name,
        "title": value.title,
        "unit": value.unit,
        "mean": value.mean,
        "sd": value.sd,
        "status": value.status.value,
        "reason": value.reason,
        "source": value.source,
        "per_beat": per_beat,
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "name": curve.name,
        "title": curve.title,
        "unit": curve.unit,
        "noise": curve.noise,
        "values": [None if math.isnan(value) else float(value) for value in curve.values],
        "statuses": [status.value for status in curve.statuses],
    }


def _cells(curve: Curve, frame: int) -> tuple[object, str]:
    value = float(curve.values[frame])
    return "" if math.isnan(value) else value, curve.statuses[frame].value


def _status_counts(detection: ClipDetection) -> list[dict[str, Any]]:
    """Of each landmark, in how many frames it has which status."""
    return [
        {"name": name}
        | {
            status.value: count
            for status in Status
            if (count := sum(landmarks[name].status is status for landmarks in detection.track.frames))
        }
        for name in detection.track.names
    ]
