"""What a clip says of the heart: curves, beats, the values of each beat, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import SchemeError
from ..landmark import LandmarkSet, Status
from ..scheme import CINE_KINDS, CineValueDefinition, Scheme
from ..scheme.definitions import suggestion
from ..track import Track
from ..track.smoothing import frame_times
from . import formulas, geometry
from .beats import Beat, cycle_lengths_s, find_beats
from .curves import Curve, curves_of
from .geometry import DegenerateGeometry
from .measurement import CERTAINTY, point_of
from .timing import beat_clock, common_motion

_RANK = {status: rank for rank, status in enumerate(CERTAINTY)}
_FEWEST_FRAMES = 8  # a beat sampled by fewer is no curve
_RATE_DIFFERENCE = 0.2  # of the measured heart rate from the stated one, that is worth a word


@dataclass(frozen=True)
class BeatValue:
    """One value in one beat. `value` is None where it does not exist; `reason` says why, or why it is doubtful."""

    value: float | None
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class CineValue:
    """One value of a clip: its mean over the beats that are not doubtful (over all, where all are), and their spread.

    `sd` is the standard deviation between these beats (n - 1); None with fewer than two. `unit` is "mm", "px", "ml",
    "g", "deg", "ratio" or "%".
    """

    name: str
    title: str
    unit: str
    mean: float | None
    sd: float | None
    per_beat: tuple[BeatValue, ...]
    status: Status
    reason: str
    source: str


@dataclass(frozen=True)
class HeartRate:
    """Beats per minute, None where not known, and how it is known."""

    bpm: float | None
    source: str


@dataclass(frozen=True)
class CineMeasurement:
    """All that is measured in a clip; `notes` are sentences for the user, such as why there are no beats."""

    curves: tuple[Curve, ...]
    beats: tuple[Beat, ...]
    values: tuple[CineValue, ...]
    heart_rate: HeartRate
    notes: tuple[str, ...] = ()

    def curve(self, name: str) -> Curve:
        """The curve of that name. Raises SchemeError."""
        return _named(self.curves, name, "curve")

    def value(self, name: str) -> CineValue:
        """The value of that name. Raises SchemeError."""
        return _named(self.values, name, "value")


def measure_track(track: Track, scheme: Scheme, *, heart_rate_bpm: float | None = None) -> CineMeasurement:
    """Curves, beats and values of a clip, from the smooth course of its landmarks.

    heart_rate_bpm: what the file states, used where fewer than two beats are seen. Raises SchemeError where the scheme
    does not say what is measured through a clip.
    """
    if scheme.cine is None:
        raise SchemeError(f"Scheme {scheme.id} does not say what is measured through a clip (field 'cine').")
    curves = curves_of(track.frames, track.detected, scheme)
    beat_curve = next(curve for curve in curves if curve.name == scheme.cine.beat_curve)
    beats, reason = (), f"{len(track)} frames are too few to see a beat"
    if len(track) >= _FEWEST_FRAMES:
        times_s = frame_times(track)
        motion = common_motion(track.frames, track.detected, times_s, beat_curve.values)
        clock = beat_clock(motion, track.pulse)
        beats, reason = find_beats(beat_curve.values, times_s, beat_curve.noise, clock)
    notes = [f"No beats: {reason}."] if not beats else []
    unsure = sum(status in (Status.DOUBTFUL, Status.MISSING) for status in beat_curve.statuses)
    if unsure > len(track) / 2:
        notes.append(
            f"{beat_curve.name} is doubtful or missing in {unsure} of {len(track)} frames: is this the right view, and "
            "a model that knows it?"
        )
    rate = _heart_rate(beats, track, heart_rate_bpm)
    if rate.bpm and heart_rate_bpm and abs(rate.bpm - heart_rate_bpm) > _RATE_DIFFERENCE * heart_rate_bpm:
        notes.append(f"The curve beats {rate.bpm:.0f} times a minute; the file states {heart_rate_bpm:.0f}.")
    if track.times_s is None:
        notes.append(
            f"The file states no frame times: {track.settings.assumed_rate_hz:g} frames a second were assumed for "
            "smoothing, and no rate is measured."
        )
    return CineMeasurement(curves, beats, _values(track, scheme, curves, beats, reason), rate, tuple(notes))


def _heart_rate(beats: tuple[Beat, ...], track: Track, stated_bpm: float | None) -> HeartRate:
    if track.times_s is not None:
        lengths = cycle_lengths_s(beats, np.asarray(track.times_s))
        if len(lengths):
            return HeartRate(float(60 / lengths.mean()), f"mean of {len(lengths)} cycle(s) of the curve")
    if stated_bpm is not None:
        return HeartRate(stated_bpm, "HeartRate (0018,1088)")
    return HeartRate(None, "no frame times" if track.times_s is None else "no whole cycle in the clip")


def _values(
    track: Track, scheme: Scheme, curves: tuple[Curve, ...], beats: tuple[Beat, ...], reason: str
) -> tuple[CineValue, ...]:
    by_curve = {curve.name: curve for curve in curves}
    by_beat: list[dict[str, BeatValue]] = []
    for beat in beats:
        found: dict[str, BeatValue] = {}
        for definition in scheme.cine.values:
            found[definition.name] = _value(definition, beat, by_curve, found, track.frames)
        by_beat.append(found)
    in_px = any(landmarks.unit == "px" for landmarks in track.frames)
    return tuple(
        _mean(definition, [found[definition.name] for found in by_beat], in_px, reason)
        for definition in scheme.cine.values
    )


def _value(
    definition: CineValueDefinition,
    beat: Beat,
    curves: dict[str, Curve],
    found: dict[str, BeatValue],
    frames: tuple[LandmarkSet, ...],
) -> BeatValue:
    """One value of one beat; doubtful or absent where one of its inputs is."""
    try:
        if definition.kind in ("at_end_diastole", "at_end_systole"):
            frame = beat.end_diastole if definition.kind == "at_end_diastole" else beat.end_systole
            return _at(curves[definition.inputs[0]], frame)
        if definition.kind == "excursion":
            return _excursion(definition, frames[beat.end_diastole], frames[beat.end_systole])
        inputs = [found[name] for name in definition.inputs]
        absent = [name for name, item in zip(definition.inputs, inputs, strict=True) if item.value is None]
        if absent:
            return BeatValue(None, Status.MISSING, f"{', '.join(absent)} has no value")
        if CINE_KINDS[definition.kind].needs_mm and any(landmarks.unit == "px" for landmarks in frames):
            return BeatValue(None, Status.MISSING, "no calibration: the formula needs millimetres")
        value = _RULES[definition.kind](*(item.value for item in inputs))
    except DegenerateGeometry as error:
        return BeatValue(None, Status.DOUBTFUL, str(error))
    status, reason = _least(inputs)
    return BeatValue(float(value), status, reason)


def _at(curve: Curve, frame: int) -> BeatValue:
    value, status = curve.values[frame], curve.statuses[frame]
    reason = f"frame {frame}: {curve.reasons[frame]}" if status in (Status.DOUBTFUL, Status.MISSING) else ""
    return BeatValue(float(value) if np.isfinite(value) else None, status, reason)


def _excursion(definition: CineValueDefinition, diastole: LandmarkSet, systole: LandmarkSet) -> BeatValue:
    """How far a point goes from end-diastole to end-systole, along a line as it lies at end-diastole."""
    needed = {*definition.point, *(name for end in definition.toward for name in end)}
    absent = [
        f"{name} in frame {landmarks.frame}"
        for landmarks, names in ((diastole, needed), (systole, definition.point))
        for name in sorted(names)
        if name not in landmarks.points()
    ]
    if absent:
        return BeatValue(None, Status.MISSING, f"{', '.join(absent)} is missing")
    at_diastole, at_systole = diastole.points(), systole.points()
    line = tuple(point_of(end, at_diastole) for end in definition.toward)
    value = geometry.distance_along(
        point_of(definition.point, at_diastole), point_of(definition.point, at_systole), line
    )
    used = [diastole[name] for name in needed] + [systole[name] for name in definition.point]
    return BeatValue(value, *_least(used))


def _least(inputs: list) -> tuple[Status, str]:
    """The least certain status, and the reasons of the doubtful ones, each once."""
    status = min((item.status for item in inputs), key=lambda one: _RANK.get(one, -1))
    reasons = dict.fromkeys(item.reason for item in inputs if item.status is Status.DOUBTFUL and item.reason)
    return status, "; ".join(reasons)


def _mean(definition: CineValueDefinition, per_beat: list[BeatValue], in_px: bool, no_beats: str) -> CineValue:
    sure = [item for item in per_beat if item.value is not None and item.status is not Status.DOUBTFUL]
    used = sure or [item for item in per_beat if item.value is not None]
    numbers = [item.value for item in used]
    unit = "px" if definition.unit == "mm" and in_px else definition.unit
    if not numbers:
        reason = "; ".join(dict.fromkeys(item.reason for item in per_beat if item.reason)) or f"no beats: {no_beats}"
        mean, sd, status = None, None, Status.MISSING
    else:
        mean, sd = float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
        status, reason = _least(used)
        if len(used) < len(per_beat):
            left_out = f"{len(per_beat) - len(used)} of {len(per_beat)} beats left out as doubtful or incomplete"
            reason = "; ".join(part for part in (reason, left_out) if part)
    return CineValue(
        definition.name, definition.title, unit, mean, sd, tuple(per_beat), status, reason, definition.source
    )


def _named(items: tuple, name: str, what: str) -> object:
    for item in items:
        if item.name == name:
            return item
    raise SchemeError(f"There is no {what} '{name}'{suggestion(name, [item.name for item in items])}.")


_RULES: dict[str, Callable[..., float]] = {
    "relative_change": formulas.relative_change_percent,
    "difference": lambda first, second: first - second,
    "relative_wall_thickness": formulas.relative_wall_thickness,
    "teichholz_volume": formulas.teichholz_volume_ml,
    "cube_mass": formulas.cube_mass_g,
}
