"""`STEM.landmarks.json`: all that a detection found, for other programs (Resources/Landmarks-schema.json).

Numbers are written with every digit that they have, so that reading a file back gives the same landmarks.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .files import written_whole

if TYPE_CHECKING:
    from ..detection import Detection
    from ..image import Image
    from ..measure import Measurement

SCHEMA_VERSION = "1.0"
LANDMARKS_SUFFIX = ".landmarks.json"


def landmarks_document(detection: Detection) -> dict[str, Any]:
    """The content of the file as plain data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "image": image_record(detection.image),
        "scheme": detection.scheme.id,
        "model": {
            "id": detection.model.id,
            "version": detection.model.version,
            "sha256": detection.model.sha256,
        },
        "settings": dict(detection.settings),
        "frames": [
            {
                "frame": result.landmarks.frame,
                "landmarks": [_landmark(landmark) for landmark in result.landmarks],
                "measurements": [measurement_record(measurement) for measurement in result.measurements],
            }
            for result in detection.frames
        ],
        "notes": list(detection.notes),
    }


def write_landmarks_json(detection: Detection, path: Path | str) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    text = json.dumps(landmarks_document(detection), indent=1, ensure_ascii=False, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_landmarks_json(path: Path | str) -> tuple[str, list[LandmarkSet]]:
    """The scheme's id and the landmarks of each frame in a `.landmarks.json` file.

    Raises MedLandmarkError where it is no such file.
    """
    data = read_json_object(path)
    try:
        scheme_id = data["scheme"]
        if not isinstance(scheme_id, str):
            raise TypeError("'scheme' must be a text")
        sets = landmark_sets(data)
    except (KeyError, TypeError, ValueError) as error:
        raise MedLandmarkError(f"{path}: is not a landmarks file of MedLandmark ({_named(error)}).") from error
    if not sets:
        raise MedLandmarkError(f"{path}: holds no frame.")
    return scheme_id, sets


def landmark_sets(document: dict[str, Any]) -> list[LandmarkSet]:
    """The landmarks of each frame of a `landmarks_document`.

    Raises KeyError, TypeError or ValueError where it is none.
    """
    return [
        LandmarkSet(
            document["scheme"], tuple(_read_landmark(entry) for entry in frame["landmarks"]), int(frame["frame"])
        )
        for frame in document["frames"]
    ]


def read_json_object(path: Path | str) -> dict[str, Any]:
    """A JSON file that must hold an object; MedLandmarkError with the file's name where it does not."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise MedLandmarkError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise MedLandmarkError(f"{path}: is not valid JSON ({error}).") from error
    if not isinstance(data, dict):
        raise MedLandmarkError(f"{path}: does not hold a JSON object.")
    return data


def measurement_record(measurement: Measurement) -> dict[str, Any]:
    """A measurement as plain data."""
    return {
        "name": measurement.name,
        "value": measurement.value,
        "unit": measurement.unit,
        "status": measurement.status.value,
        "reason": measurement.reason,
        "normal_range": list(measurement.normal_range) if measurement.normal_range else None,
        "verdict": measurement.verdict,
    }


def image_record(image: Image) -> dict[str, Any]:
    """Path, size and calibration as plain data."""
    calibration = asdict(image.calibration)
    return {
        "path": str(image.path) if image.path is not None else None,
        "size": [int(length) for length in image.size],
        "calibration": {
            "kind": calibration["kind"],
            "source": calibration["source"],
            "spacing_mm": _floats(calibration["spacing_mm"]),
        },
    }


def _landmark(landmark: Landmark) -> dict[str, Any]:
    record = {
        "name": landmark.name,
        "ijk": _floats(landmark.ijk),
        "ras": _floats(landmark.ras),
        "status": landmark.status.value,
        "confidence": None if landmark.confidence is None else float(landmark.confidence),
        "score": None if landmark.score is None else float(landmark.score),
        "reason": landmark.reason,
    }
    if landmark.predicted_ijk not in (None, landmark.ijk):
        record["predicted_ijk"] = _floats(landmark.predicted_ijk)
    return record


def _read_landmark(entry: dict[str, Any]) -> Landmark:
    status, ijk = Status(entry["status"]), _read_point(entry["ijk"])
    is_as_predicted = status in (Status.PREDICTED, Status.DOUBTFUL, Status.ACCEPTED)
    return Landmark(
        name=str(entry["name"]),
        ijk=ijk,
        ras=_read_point(entry["ras"]),
        status=status,
        confidence=entry.get("confidence"),
        score=entry.get("score"),
        reason=str(entry.get("reason", "")),
        predicted_ijk=_read_point(entry.get("predicted_ijk")) or (ijk if is_as_predicted else None),
    )


def _read_point(values: Any) -> tuple[float, float, float] | None:
    if values is None:
        return None
    i, j, k = (float(value) for value in values)
    return i, j, k


def _floats(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]


def _named(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
