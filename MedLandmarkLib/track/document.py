"""A track as plain data and back, every digit kept: how a scene or a file remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .smoothing import SmoothingSettings
from .track import Track

_VERSION = "1.0"


def track_to_fields(track: Track) -> dict[str, Any]:
    """The track as JSON-able data; what was smoothed is not kept, for it follows from the rest."""
    return {
        "schema_version": _VERSION,
        "scheme": track.scheme_id,
        "names": list(track.names),
        "times_s": None if track.times_s is None else [float(time) for time in track.times_s],
        "ijk_to_ras": None if track.ijk_to_ras is None else np.asarray(track.ijk_to_ras, float).tolist(),
        "tolerance_px": float(track.tolerance_px),
        "settings": asdict(track.settings),
        "pulse": None if track.pulse is None else [float(value) for value in track.pulse],
        "rhythm": [[float(value) for value in component] for component in track.rhythm],
        "detected": [[_to_fields(landmark) for landmark in landmarks] for landmarks in track.detected],
        "fixed": {
            str(frame): {name: _to_fields(landmark) for name, landmark in landmarks.items()}
            for frame, landmarks in track.fixed.items()
        },
    }


def track_from_fields(fields: Mapping[str, Any]) -> Track:
    """The track that `track_to_fields` wrote. Raises MedLandmarkError where this is none."""
    try:
        if fields["schema_version"] != _VERSION:
            raise ValueError(f"its version is {fields['schema_version']!r}, not {_VERSION!r}")
        matrix = None if fields["ijk_to_ras"] is None else np.array(fields["ijk_to_ras"], float)
        if matrix is not None and (matrix.shape != (4, 4) or not np.isfinite(matrix).all()):
            raise ValueError("its matrix is not 4 x 4")
        scheme_id, names = str(fields["scheme"]), [str(name) for name in fields["names"]]

        def landmark(name: str, entry: Mapping[str, Any]) -> Landmark:
            return _from_fields(name, entry, matrix)

        detected = tuple(
            LandmarkSet(scheme_id, tuple(landmark(*pair) for pair in zip(names, entries, strict=True)), frame)
            for frame, entries in enumerate(fields["detected"])
        )
        return Track(
            scheme_id=scheme_id,
            detected=detected,
            times_s=None if fields["times_s"] is None else tuple(float(time) for time in fields["times_s"]),
            ijk_to_ras=matrix,
            tolerance_px=float(fields["tolerance_px"]),
            settings=SmoothingSettings(**{name: float(value) for name, value in fields["settings"].items()}),
            pulse=None if fields.get("pulse") is None else tuple(float(value) for value in fields["pulse"]),
            rhythm=tuple(tuple(float(value) for value in component) for component in fields.get("rhythm", ())),
            fixed={
                int(frame): {name: landmark(name, entry) for name, entry in entries.items()}
                for frame, entries in fields["fixed"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MedLandmarkError(f"This is no track of landmarks ({error!r}).") from error


def _to_fields(landmark: Landmark) -> list[Any]:
    """[status, ijk, confidence, score, reason]: short, for there is one for every landmark of every frame."""
    ijk = None if landmark.ijk is None else [float(value) for value in landmark.ijk]
    numbers = [None if value is None else float(value) for value in (landmark.confidence, landmark.score)]
    return [landmark.status.value, ijk, *numbers, landmark.reason]


def _from_fields(name: str, entry: Any, ijk_to_ras: np.ndarray | None) -> Landmark:
    status, ijk, confidence, score, reason = entry
    point = None if ijk is None else tuple(float(value) for value in ijk)
    if point is not None and len(point) != 3:
        raise ValueError(f"the position {ijk} is not (i, j, k)")
    ras = None
    if point is not None and ijk_to_ras is not None:
        ras = tuple((ijk_to_ras[:3, :3] @ point + ijk_to_ras[:3, 3]).tolist())
    is_predicted = Status(status) in (Status.PREDICTED, Status.DOUBTFUL)
    return Landmark(
        name=name,
        ijk=point,
        ras=ras,
        status=Status(status),
        confidence=confidence,
        score=score,
        reason=str(reason),
        predicted_ijk=point if is_predicted else None,
    )
