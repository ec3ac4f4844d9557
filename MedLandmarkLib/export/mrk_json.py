"""`STEM.mrk.json`: landmarks as 3D Slicer's own markups (markups schema 1.0.3, which every Slicer 5 reads).

The file holds one fiducial list per frame, of which the first is shown. What Slicer drops when it saves a markups file
again must not carry meaning, so all that is known beyond the position stands in descriptions and measurements.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .files import written_whole
from .landmarks_json import read_json_object

if TYPE_CHECKING:
    from ..detection import Detection
    from ..image import Image
    from ..measure import Measurement
    from ..scheme import Scheme

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
MARKUPS_SUFFIX = ".mrk.json"
PIXELS_NOTE = "Not calibrated: coordinates are pixels, not mm."

_LPS_ORIENTATION = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]  # that of a point without one, as Slicer writes it
_POSITION_STATUS = {Status.MISSING: "missing", Status.UNDEFINED: "undefined"}
_STATUS_OF_POSITION = {"missing": Status.MISSING, "undefined": Status.UNDEFINED, "preview": Status.UNDEFINED}


def markups_document(detection: Detection) -> dict[str, Any]:
    """The content of the file as plain data, points in LPS mm.

    Without calibration the points lie where Slicer shows the image that it loads with pixels of 1 mm, and each
    description says that they are pixels.
    """
    return {
        "@schema": MARKUPS_SCHEMA,
        "markups": [
            _fiducial_list(detection.image, detection.scheme, result.landmarks, result.measurements, number == 0)
            for number, result in enumerate(detection.frames)
        ],
    }


def write_mrk_json(detection: Detection, path: Path | str) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    text = json.dumps(markups_document(detection), indent=1, ensure_ascii=False, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_mrk_json(path: Path | str, scheme: Scheme, in_pixels: bool = False) -> list[LandmarkSet]:
    """The points of each fiducial list in a markups file, by label, as landmarks of `scheme`.

    Points that the scheme does not know are left out. A point is EDITED: whoever saved the file had it in hand. The
    points are in mm unless their descriptions say otherwise or `in_pixels` is set. Raises MedLandmarkError.
    """
    data = read_json_object(path)
    try:
        lists = [markup for markup in data["markups"] if markup.get("type") == "Fiducial"]
        sets = [_read_list(markup, scheme, in_pixels, number) for number, markup in enumerate(lists)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MedLandmarkError(f"{path}: is not a markups file of 3D Slicer ({error!r}).") from error
    if not any(len(landmarks) for landmarks in sets):
        known = ", ".join(scheme.names[:4])
        raise MedLandmarkError(f"{path}: no point carries a label of scheme {scheme.id} ({known}, ...).")
    return sets


def _fiducial_list(
    image: Image,
    scheme: Scheme,
    landmarks: LandmarkSet,
    measurements: tuple[Measurement, ...],
    is_shown: bool,
) -> dict[str, Any]:
    name = image.path.stem if image.path is not None else scheme.id
    return {
        "type": "Fiducial",
        "name": name if is_shown and image.frame_count == 1 else f"{name} frame {landmarks.frame}",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(landmarks),
        "controlPoints": [
            _control_point(number, landmark, image, scheme) for number, landmark in enumerate(landmarks, start=1)
        ],
        "measurements": [*_per_point(landmarks), *(_static(item) for item in measurements if item.value is not None)],
        "display": {"visibility": is_shown},
    }


def _control_point(number: int, landmark: Landmark, image: Image, scheme: Scheme) -> dict[str, Any]:
    position_status = _POSITION_STATUS.get(landmark.status, "defined")
    return {
        "id": str(number),
        "label": landmark.name,
        "description": _description(landmark, image, scheme),
        "associatedNodeID": "",
        "position": _lps(landmark, image) if position_status == "defined" else "",
        "orientation": _LPS_ORIENTATION,
        # Slicer paints an unselected point in another colour: a doubtful one must not look like a plain right one.
        "selected": landmark.status is not Status.DOUBTFUL,
        "locked": False,
        "visibility": True,
        "positionStatus": position_status,
    }


def _description(landmark: Landmark, image: Image, scheme: Scheme) -> str:
    definition = scheme.landmarks[scheme.index(landmark.name)].definition
    status = landmark.status.value + (f": {landmark.reason}" if landmark.reason else "")
    sentences = [definition, status, "" if image.calibration.kind != "none" else PIXELS_NOTE]
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)


def _lps(landmark: Landmark, image: Image) -> list[float]:
    if landmark.ras is not None:
        ras = np.asarray(landmark.ras, float)
    else:
        ras = (np.asarray(image.ijk_to_ras, float) @ [*landmark.ijk, 1.0])[:3]
    return [float(value) for value in ras * (-1.0, -1.0, 1.0)]


def _per_point(landmarks: LandmarkSet) -> list[dict[str, Any]]:
    """One number per point, where every point that is in the image has one."""
    columns = {
        "confidence": [landmark.confidence for landmark in landmarks],
        "score": [landmark.score for landmark in landmarks],
    }
    return [
        {"name": name, "enabled": False, "units": "", "printFormat": "%.2f", "controlPointValues": _filled(values)}
        for name, values in columns.items()
        if all(
            value is not None or not landmark.status.is_usable
            for value, landmark in zip(values, landmarks, strict=True)
        )
        and any(value is not None for value in values)
    ]


def _filled(values: list[float | None]) -> list[float]:
    """A point that is not in the image and has no number of its own gets 0: nothing speaks for it."""
    return [0.0 if value is None else float(value) for value in values]


def _static(measurement: Measurement) -> dict[str, Any]:
    doubt = f" ({measurement.status.value})" if measurement.status is Status.DOUBTFUL else ""
    remarks = [measurement.status.value, measurement.reason, measurement.verdict]
    return {
        "name": measurement.name,
        "enabled": True,
        "value": float(measurement.value),
        "units": measurement.unit,
        "description": "; ".join(remark for remark in remarks if remark),
        "printFormat": "%.2f %s" + doubt,
    }


def _read_list(markup: dict[str, Any], scheme: Scheme, in_pixels: bool, number: int) -> LandmarkSet:
    is_ras = str(markup.get("coordinateSystem", "LPS")).upper() in ("RAS", "0")
    points = [point for point in markup["controlPoints"] if point.get("label") in scheme.names]
    in_pixels = in_pixels or any(PIXELS_NOTE in point.get("description", "") for point in points)
    landmarks = {}
    for point in points:
        status = _STATUS_OF_POSITION.get(point.get("positionStatus", "defined"), Status.EDITED)
        xyz = None
        if status is Status.EDITED:
            x, y, z = (float(value) for value in point["position"])
            flip = 1.0 if is_ras else -1.0
            # Uncalibrated pictures lie in Slicer with pixels of 1 mm, columns towards L and rows towards P.
            xyz = (-flip * x, -flip * y, z) if in_pixels else (flip * x, flip * y, z)
        position = {"ijk": xyz} if in_pixels else {"ras": xyz}
        landmarks[point["label"]] = Landmark(point["label"], status=status, **position)
    ordered = tuple(landmarks[name] for name in scheme.names if name in landmarks)
    return LandmarkSet(scheme.id, ordered, number)
