"""What is known of the landmarks of a result, kept in the node beside what Slicer keeps of its control points.

A control point holds a place, a label and whether it is missing. A landmark also has its estimate while missing, its
confidence, its reason and the model's own position. All that stands as JSON in an attribute of the node, which is saved
with the scene, and once more as the description of a measurement that is switched off, which is the one place where a
markups file keeps text of ours through loading and saving.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .nodes import load_json, parsed_json, store_json

RECORD_VERSION = 1


def landmark_record(landmark: Landmark) -> dict[str, Any]:
    """A landmark as plain data, every digit kept; what is not known is left out."""
    record = {
        "name": landmark.name,
        "ijk": _floats(landmark.ijk),
        "ras": _floats(landmark.ras),
        "status": landmark.status.value,
        "confidence": None if landmark.confidence is None else float(landmark.confidence),
        "score": None if landmark.score is None else float(landmark.score),
        "reason": landmark.reason or None,
        "predicted_ijk": _floats(landmark.predicted_ijk),
    }
    return {key: value for key, value in record.items() if value is not None}


def landmark_from_record(record: Mapping[str, Any]) -> Landmark:
    """The landmark of `landmark_record`. Raises KeyError, TypeError or ValueError where it is none."""
    return Landmark(
        name=str(record["name"]),
        ijk=point_from_record(record.get("ijk")),
        ras=point_from_record(record.get("ras")),
        status=Status(record["status"]),
        confidence=_number(record.get("confidence")),
        score=_number(record.get("score")),
        reason=str(record.get("reason", "")),
        predicted_ijk=point_from_record(record.get("predicted_ijk")),
    )


def set_record(landmarks: LandmarkSet) -> dict[str, Any]:
    """A whole set as plain data."""
    return {
        "version": RECORD_VERSION,
        "scheme": landmarks.scheme_id,
        "frame": landmarks.frame,
        "landmarks": [landmark_record(landmark) for landmark in landmarks],
    }


def set_from_record(node: Any, key: str, record: Mapping[str, Any]) -> LandmarkSet:
    """The set of `set_record`, found in `node` under `key`. Raises MedLandmarkError where it is none."""
    try:
        landmarks = tuple(landmark_from_record(item) for item in record["landmarks"])
        return LandmarkSet(str(record["scheme"]), landmarks, int(record["frame"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MedLandmarkError(
            f"Node '{node.GetName()}' is damaged: what {key} holds is not a set of landmarks ({error!r})."
        ) from error


def matrix_from_record(values: Any) -> np.ndarray | None:
    """(4, 4) from sixteen numbers; None from None. Raises ValueError or TypeError."""
    if values is None:
        return None
    matrix = np.array(values, float).reshape(4, 4)
    if not np.isfinite(matrix).all():
        raise ValueError("a matrix that is not finite")
    return matrix


def keep(node: Any, key: str, data: Mapping[str, Any]) -> None:
    """Keep plain data in a markups node so that it is saved with the scene and with the node's own file."""
    store_json(node, key, data)
    text = node.GetAttribute(key)
    measurement = node.GetMeasurement(key)
    if measurement is None:
        measurement = slicer.vtkMRMLStaticMeasurement()
        measurement.SetName(key)
        measurement.SetEnabled(False)  # it is text, not a quantity: Slicer shall not list it with the others
        measurement.SetDescription(text)
        node.AddMeasurement(measurement)
    elif measurement.GetDescription() != text:
        measurement.SetDescription(text)


def kept(node: Any, key: str) -> Any | None:
    """What `keep` wrote: from the attribute, or where the node was read from its own file, from the measurement.

    None where there is nothing. Raises MedLandmarkError where it cannot be read.
    """
    data = load_json(node, key)
    if data is not None:
        return data
    measurement = node.GetMeasurement(key)
    return None if measurement is None else parsed_json(node, key, measurement.GetDescription())


def point_from_record(values: Any) -> tuple[float, float, float] | None:
    """Three numbers; None from None. Raises TypeError or ValueError."""
    if values is None:
        return None
    i, j, k = (float(value) for value in values)
    return i, j, k


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(float(value)):
        raise ValueError(f"{value} is not finite")
    return float(value)


def _floats(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
