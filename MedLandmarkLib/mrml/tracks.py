"""The landmarks of a clip in the scene: one result per clip, whose points show the frame that is played.

The result is a fiducial node as that of a single image. It is the proxy of a sequence of markups, which the browser of
the clip plays together with the pictures. The track, that is what the model found and what people corrected, stands as
JSON in an attribute of that sequence; the sequence's frames follow from it and are written anew where they change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet
from ..measure import measure
from ..scheme import Scheme
from ..track import Track, track_from_fields, track_to_fields
from .calibration import ijk_to_ras, volume_calibration
from .hierarchy import place_belonging
from .markups import volume_of, write_landmarks
from .measurements import StaticMeasurements
from .nodes import RESULT_ROLE, load_json, one_modification, store_json
from .origin import Provenance, scheme_of
from .results import create_result, remove_result
from .sequences import SEQUENCE_CLASS, browser_of, frames_of, join, markups_sequence, sequence_of

TRACK_KEY = "MedLandmark.Track"
_SAME_PX = 1e-3  # frames that a correction moved by less are not written anew


def create_clip_result(
    scene: Any,
    volume: Any,
    track: Track,
    scheme: Scheme,
    *,
    provenance: Provenance | None = None,
    heart_rate_bpm: float | None = None,
) -> Any:
    """A new result for the clip that `volume` shows a frame of; its points are those of that frame.

    heart_rate_bpm: what the file of the clip states. Raises MedLandmarkError, and leaves the scene as it was, where
    track, scheme and clip do not fit each other.
    """
    count = frames_of(scene, volume)
    if count != len(track):
        raise MedLandmarkError(f"The track has {len(track)} frames, and the clip of '{volume.GetName()}' has {count}.")
    browser, pictures = browser_of(scene, volume), sequence_of(scene, volume)
    current = browser.GetSelectedItemNumber()
    result = create_result(scene, volume, track.frames[current], scheme, provenance=provenance)
    sequence = scene.AddNewNodeByClass(SEQUENCE_CLASS, f"{result.GetName()} frames")
    sequence.SetIndexName(pictures.GetIndexName())
    sequence.SetIndexUnit(pictures.GetIndexUnit())
    sequence.SetIndexType(pictures.GetIndexType())
    sequence.SetNumericIndexValueTolerance(pictures.GetNumericIndexValueTolerance())
    sequence.SetNodeReferenceID(RESULT_ROLE, result.GetID())
    try:
        with one_modification(sequence):
            _keep(sequence, track, heart_rate_bpm)
            _write_frames(result, sequence, browser, track, range(count))
    except MedLandmarkError:
        remove_result(scene, result)
        raise
    join(browser, sequence, result)
    place_belonging(scene, sequence, result)
    return result


def is_clip_result(scene: Any, result: Any) -> bool:
    """Whether the landmarks of a result run through a clip that is in the scene."""
    return markups_sequence(scene, result) is not None and browser_of(scene, result) is not None


def track_of(scene: Any, result: Any) -> Track:
    """The track of a result. Raises MedLandmarkError where it has none, or it is damaged."""
    return track_from_fields(_kept(scene, result)["track"])


def heart_rate_of(scene: Any, result: Any) -> float | None:
    """What the file of the clip stated, beats per minute."""
    rate = _kept(scene, result).get("heart_rate_bpm")
    return None if rate is None else float(rate)


def write_track(scene: Any, result: Any, track: Track) -> None:
    """Bring a clip's result to another track of the same frames: all its frames that this changes, and its points.

    Raises MedLandmarkError where they do not fit each other.
    """
    before, sequence, browser = track_of(scene, result), markups_sequence(scene, result), browser_of(scene, result)
    if browser is None:
        raise MedLandmarkError(f"The clip of '{result.GetName()}' is not in the scene any more; load it again.")
    changed = [
        frame
        for frame, (old, new) in enumerate(zip(before.frames, track.frames, strict=True))
        if not _is_same(old, new)
    ]
    with one_modification(sequence):
        _keep(sequence, track, heart_rate_of(scene, result))
        _write_frames(result, sequence, browser, track, changed)


def keep_track_on_pixels(scene: Any, result: Any) -> None:
    """Give the landmarks of a clip their places in patient space anew after it was calibrated or moved."""
    volume = volume_of(result)
    if volume is None or not is_clip_result(scene, result):
        return
    matrix = ijk_to_ras(volume) if volume_calibration(volume).kind != "none" else None
    track = track_of(scene, result)
    if not _is_same_matrix(track.ijk_to_ras, matrix):
        write_track(scene, result, track_in_place(track, matrix))


def track_in_place(track: Track, matrix: np.ndarray | None) -> Track:
    """A track on the same pixels with another place in patient space: (4, 4), or None without a calibration."""
    if _is_same_matrix(track.ijk_to_ras, matrix):
        return track
    fields = track_to_fields(track)
    return track_from_fields({**fields, "ijk_to_ras": None if matrix is None else matrix.tolist()})


def _kept(scene: Any, result: Any) -> dict[str, Any]:
    sequence = markups_sequence(scene, result)
    data = None if sequence is None else load_json(sequence, TRACK_KEY)
    if not isinstance(data, dict) or not isinstance(data.get("track"), dict):
        raise MedLandmarkError(f"Node '{result.GetName()}' holds no landmarks of a clip.")
    return data


def _keep(sequence: Any, track: Track, heart_rate_bpm: float | None) -> None:
    store_json(sequence, TRACK_KEY, {"track": track_to_fields(track), "heart_rate_bpm": heart_rate_bpm})


def _write_frames(result: Any, sequence: Any, browser: Any, track: Track, frames: Any) -> None:
    """Write frames to the data nodes of a sequence by way of the result's own node, which ends at the current one."""
    scheme, current = scheme_of(result), browser.GetSelectedItemNumber()
    static, index = StaticMeasurements(result), browser.GetMasterSequenceNode()
    with one_modification(result):
        for frame in [*(frame for frame in frames if frame != current), current]:
            write_landmarks(result, track.frames[frame], scheme)
            static.update(measure(track.frames[frame], scheme))
            sequence.SetDataNodeAtValue(result, index.GetNthIndexValue(frame))


def _is_same(old: LandmarkSet, new: LandmarkSet) -> bool:
    return all(_is_same_landmark(*pair) for pair in zip(old, new, strict=True))


def _is_same_landmark(old: Landmark, new: Landmark) -> bool:
    if old == new:
        return True
    if (old.status, old.reason) != (new.status, new.reason) or None in (old.ijk, new.ijk):
        return False
    has_same_space = (old.ras is None) == (new.ras is None)
    if has_same_space and old.ras is not None and not np.allclose(old.ras, new.ras, rtol=0, atol=_SAME_PX):
        return False
    return has_same_space and np.allclose(old.ijk, new.ijk, rtol=0, atol=_SAME_PX)


def _is_same_matrix(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.allclose(first, second, rtol=0, atol=1e-9))
