"""A clip on its way from the client to the worker, and its track on the way back.

The pictures lie in a .npy file, written one after another and mapped into memory by the worker, so that a long clip
costs neither of them memory. Of the track the detections travel as the "frames" of the result, which come in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, ImageError
from .image_exchange import calibration_fields, calibration_from_fields

if TYPE_CHECKING:
    from ..detection.cine import ClipDetection
    from ..image.clip import Clip
    from ..track import Track


def clip_fields(clip: Clip, pixel_file: Path) -> dict[str, Any]:
    """All of a clip but its pictures, as plain data; they are to be written to `pixel_file`."""
    return {
        "pixels": str(pixel_file),
        "ijk_to_ras": [[float(value) for value in row] for row in clip.ijk_to_ras],
        "calibration": calibration_fields(clip.calibration),
        "times_s": None if clip.times_s is None else [float(time) for time in clip.times_s],
        "time_source": clip.time_source,
        "path": None if clip.path is None else str(clip.path),
        "heart_rate_bpm": clip.heart_rate_bpm,
    }


def write_pictures(clip: Clip, path: Path, is_dropped: Callable[[], bool]) -> None:
    """Write the pictures as one .npy, (frames, rows, columns, 3) uint8; give up when `is_dropped`. Raises OSError."""
    import numpy as np
    from numpy.lib import format as npy

    columns, rows = clip.size_wh
    shape = (clip.frame_count, rows, columns, 3)
    header = {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for picture in clip.pictures():
            if is_dropped():
                return
            file.write(np.ascontiguousarray(picture))


def clip_from_fields(fields: Mapping[str, Any]) -> Clip:
    """The clip as it was before its journey. Raises EngineError for malformed fields, ImageError for a bad file."""
    import numpy as np

    from ..image.clip import clip_from_pixels

    try:
        calibration = calibration_from_fields(fields["calibration"])  # before the pixels are read
        try:
            pixels = np.load(fields["pixels"], mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ImageError(f"The pictures handed over in {fields['pixels']} cannot be read: {error}.") from error
        return clip_from_pixels(
            pixels,
            ijk_to_ras=np.array(fields["ijk_to_ras"], np.float64),
            calibration=calibration,
            times_s=fields["times_s"],
            time_source=str(fields["time_source"]),
            path=Path(fields["path"]) if fields.get("path") else None,
            heart_rate_bpm=fields.get("heart_rate_bpm"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"The clip of the request is incomplete or has a wrong field: {error!r}.") from error


def clip_document(detection: ClipDetection) -> dict[str, Any]:
    """What the worker answers: track, model, settings and notes as plain data."""
    from dataclasses import asdict

    from ..track import track_to_fields

    track = track_to_fields(detection.track)
    return {
        "frames": track.pop("detected"),
        "track": track,
        "model": asdict(detection.model),
        "settings": dict(detection.settings),
        "notes": list(detection.notes),
        "sector": {"found": bool(detection.sector.found), "box": [int(value) for value in detection.sector.box]},
    }


def track_of_document(document: Mapping[str, Any]) -> Track:
    """The track of `clip_document`. Raises MedLandmarkError where there is none."""
    from ..track import track_from_fields

    return track_from_fields({**document.get("track", {}), "detected": document.get("frames")})
