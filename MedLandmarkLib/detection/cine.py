"""Detection through time: the frames of a clip in batches, then a smooth course, then curves and beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..image import Image
from ..image.clip import Clip
from ..image.sector import Sector, find_sector
from ..landmark import Landmark, LandmarkSet, Status
from ..measure import measure
from ..measure.cine import CineMeasurement, measure_track
from ..scheme import Scheme
from ..track import SmoothingSettings, Track
from ..track.smoothing import frame_times
from .pulse import coarse_pictures, picture_pulse, picture_rhythm
from .result import Detection, FrameResult, ModelIdentity

if TYPE_CHECKING:
    from .pipeline import LandmarkDetector

FRAMES_AT_A_TIME = 16  # decoded, laid out and detected together: bounds the memory that a long clip takes
_UNCALIBRATED_TOLERANCE = 0.02  # of the sector's diagonal: about 4 mm of 20 cm

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class ClipDetection:
    """The landmarks of one scheme through one clip, and what is measured from them.

    track: detections, key frames, and the smooth course. sector: the part of the pictures that was looked at.
    settings: device, precision and flip as they were used. notes: what the user should know.
    """

    clip: Clip
    scheme: Scheme
    model: ModelIdentity
    settings: Mapping[str, object]
    track: Track
    sector: Sector
    own_notes: tuple[str, ...] = ()

    @cached_property
    def frames(self) -> tuple[FrameResult, ...]:
        """Of each frame the smoothed landmarks and their measurements, as a Detection has them."""
        return tuple(FrameResult(landmarks, tuple(measure(landmarks, self.scheme))) for landmarks in self.track.frames)

    @cached_property
    def measurement(self) -> CineMeasurement:
        """Curves, beats and values. Raises SchemeError where the scheme defines none."""
        return measure_track(self.track, self.scheme, heart_rate_bpm=self.clip.heart_rate_bpm)

    @cached_property
    def image(self) -> Image:
        """Size, place and calibration of the pictures, without pixels."""
        return self.clip.header_image()

    @property
    def notes(self) -> tuple[str, ...]:
        measured = self.measurement.notes if self.scheme.cine is not None else ()
        return (*self.clip.warnings, *self.own_notes, *measured)

    def of_frame(self, frame: int) -> Detection:
        """One frame as the detection of a single image, with its pixels."""
        image = replace(self.image, pixels=self.clip.picture(frame)[None, None])
        result = self.frames[frame]
        result = replace(result, landmarks=replace(result.landmarks, frame=0))
        return Detection(image, self.scheme, self.model, self.settings, (result,), self.notes)

    def corrected(self, track: Track) -> ClipDetection:
        """The same detection with another track: key frames added or taken away."""
        return replace(self, track=track)


def detect_clip(
    detector: LandmarkDetector,
    clip: Clip,
    *,
    settings: SmoothingSettings | None = None,
    frames_at_a_time: int = FRAMES_AT_A_TIME,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ClipDetection:
    """Find the detector's landmarks in every frame of a clip, looking at the ultrasound sector alone.

    progress is called with a fraction 0..1 and a text; should_stop is asked between batches, and DetectionCancelled is
    raised when it answers yes. Raises ImageError where a frame cannot be decoded.
    """
    sector = find_sector(clip)
    settings = settings or SmoothingSettings()
    detected: list[LandmarkSet] = []
    coarse: list[np.ndarray] = []
    result = None
    for pictures in _batches(clip, sector, frames_at_a_time):
        start = len(detected)
        result = detector.detect(
            _cut_image(clip, sector, pictures),
            frames="all",
            progress=_part_of(progress, start, len(pictures), clip.frame_count),
            should_stop=should_stop,
        )
        coarse.append(coarse_pictures(pictures))
        detected += [_in_clip(frame.landmarks, start, sector) for frame in result.frames]
    calibrated = clip.calibration.kind != "none"
    track = Track(
        scheme_id=detector.scheme.id,
        detected=tuple(detected),
        times_s=clip.times_s,
        ijk_to_ras=clip.ijk_to_ras if calibrated else None,
        tolerance_px=_tolerance_px(detector.scheme, clip, sector),
        settings=settings,
    )
    times = frame_times(track)
    rhythm = picture_rhythm(np.concatenate(coarse), times)
    track = replace(track, rhythm=rhythm, pulse=picture_pulse(rhythm, times, settings))
    return ClipDetection(
        clip, detector.scheme, result.model, result.settings, track, sector, (*_notes(sector, track), *result.notes)
    )


def _batches(clip: Clip, sector: Sector, count: int) -> Iterator[np.ndarray]:
    """(n, rows, columns, 3) of the sector, `count` frames at a time."""
    batch: list[np.ndarray] = []
    for picture in clip.pictures():
        batch.append(sector.cut(picture))
        if len(batch) == count:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _cut_image(clip: Clip, sector: Sector, pictures: np.ndarray) -> Image:
    """A few frames of the sector as an image that lies where the clip lies."""
    x, y, _, _ = sector.box
    matrix = np.array(clip.ijk_to_ras)
    matrix[:3, 3] += matrix[:3, 0] * x + matrix[:3, 1] * y
    return Image(pictures[:, None], matrix, clip.calibration, path=clip.path, modality=clip.modality)


def _in_clip(landmarks: LandmarkSet, start: int, sector: Sector) -> LandmarkSet:
    """Landmarks of a batch as landmarks of the clip."""
    x, y, _, _ = sector.box

    def shifted(point: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        return None if point is None else (point[0] + x, point[1] + y, point[2])

    moved: tuple[Landmark, ...] = tuple(
        replace(item, ijk=shifted(item.ijk), predicted_ijk=shifted(item.predicted_ijk)) for item in landmarks
    )
    return LandmarkSet(landmarks.scheme_id, moved, start + landmarks.frame)


def _tolerance_px(scheme: Scheme, clip: Clip, sector: Sector) -> float:
    """How far a landmark may be off and still count as right."""
    spacing_mm = clip.calibration.spacing_mm
    if scheme.sdr_unit == "mm" and spacing_mm is not None:
        return scheme.tolerance / math.sqrt(spacing_mm[0] * spacing_mm[1])
    return _UNCALIBRATED_TOLERANCE * math.hypot(*sector.box[2:])


def _notes(sector: Sector, track: Track) -> list[str]:
    notes = []
    if not sector.found:
        notes.append(
            "Nothing moves in the clip, or too little to tell where its ultrasound sector is: the whole picture was "
            "used."
        )
    if sector.is_coloured:
        notes.append(
            f"{sector.coloured:.0%} of the sector is coloured, as colour Doppler is: models learn from grey pictures, "
            "so check the landmarks, or use a clip without colour."
        )
    off = sum(item.status is Status.MISSING for frame in track.frames for item in frame)
    if off:
        notes.append(f"{off} of {len(track) * len(track.names)} landmarks through time are missing.")
    return notes


def _part_of(progress: Progress | None, start: int, count: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, text: progress((start + fraction * count) / total, f"frame {start + 1} of {total}")
