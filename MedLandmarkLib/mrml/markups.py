"""Landmarks to the control points of one fiducial node (`reading` is the way back).

The node has one control point per landmark of the scheme, in its order, and never more or fewer. Missing and undefined
are Slicer's own position states. A doubtful landmark is an unselected point, which Slicer draws in another colour, and
its description says why. Points lie under the same transform as their image, so that both move together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
import vtk

from ..errors import ImageError, MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .frame import PointFrame, point_frame
from .nodes import VOLUME_ROLE, local_from_world, one_modification, world_from_local
from .records import keep, kept, matrix_from_record, set_record
from .uncertainty import covariances_ras, kept_uncertainty, worst_sd_mm

LANDMARKS_KEY = "MedLandmark.Landmarks"
PLANE_KEY = "MedLandmark.Plane"  # of a node: the plane of a volume in which its landmarks were found, in words
CONFIDENCE = "confidence"  # the name of the measurement that holds one number per point
NO_CONFIDENCE = -1.0  # in its place where the model gives none
PIXELS_NOTE = "Not calibrated: coordinates are pixels, not mm."  # as in the files that the command line writes

UNDEFINED, MISSING, DEFINED = (
    slicer.vtkMRMLMarkupsNode.PositionUndefined,
    slicer.vtkMRMLMarkupsNode.PositionMissing,
    slicer.vtkMRMLMarkupsNode.PositionDefined,
)
_POSITION_STATUS = {Status.MISSING: MISSING, Status.UNDEFINED: UNDEFINED}
# Rounding stays far below this, and an image whose spacing was changed behind the landmarks' back goes far beyond it.
LARGEST_DISAGREEMENT_MM = 0.01


def write_landmarks(node: Any, landmarks: LandmarkSet, scheme: Scheme) -> None:
    """Bring a node to show `landmarks`, as one modification. Its control points are made where it has none yet.

    A landmark with pixels is placed by them, so that it stays on its pixel whatever became of the image's geometry.
    Raises MedLandmarkError where the node, the landmarks and the scheme do not fit each other, and ImageError where
    landmarks and scene disagree on where a pixel lies; the node is left as it was.
    """
    if landmarks.names != scheme.names:
        raise MedLandmarkError(
            f"Landmarks {', '.join(landmarks.names[:4])}, ... are not those of scheme {scheme.id} "
            f"({', '.join(scheme.names[:4])}, ...)."
        )
    count = node.GetNumberOfControlPoints()
    if count not in (0, len(landmarks)):
        raise MedLandmarkError(
            f"Node '{node.GetName()}' has {count} control points, scheme {scheme.id} has {len(landmarks)} landmarks."
        )
    frame = current_frame(node)
    places = [_place(node, landmark, frame) for landmark in landmarks]
    in_mm = any(landmark.ras is not None for landmark in landmarks)
    volume = volume_of(node)
    volume_id = volume.GetID() if volume is not None else ""
    plane = node.GetAttribute(PLANE_KEY) or ""
    covariances = covariances_ras(kept_uncertainty(node), node, landmarks, frame)
    with one_modification(node):
        if not count:
            for landmark in landmarks:
                node.AddControlPoint([0.0, 0.0, 0.0], landmark.name)
            node.SetFixedNumberOfControlPoints(True)
        for number, (landmark, place) in enumerate(zip(landmarks, places, strict=True)):
            _write_point(node, number, landmark, place)
            definition, covariance = scheme.landmarks[number].definition, covariances.get(landmark.name)
            description = _description(definition, landmark, in_mm, plane, covariance)
            _set_if_new(node, "NthControlPointDescription", number, description)
            _set_if_new(node, "NthControlPointAssociatedNodeID", number, volume_id)
        _write_confidence(node, landmarks)
        _keep_landmarks(node, landmarks, places, frame, in_mm)


def volume_of(node: Any) -> Any | None:
    """The image that the points of a node lie on; None where it is not in the scene any more."""
    return node.GetNodeReference(VOLUME_ROLE)


def current_frame(node: Any) -> PointFrame | None:
    """Where the pixels of the node's image lie now or, without the image, lay when the landmarks were written.

    Raises ImageError where a transform between them is not linear.
    """
    volume = volume_of(node)
    if volume is not None and volume.GetImageData() is not None:
        return point_frame(node, volume)
    record = kept(node, LANDMARKS_KEY)
    return None if record is None else frame_from_record(node, record)


def frame_from_record(node: Any, record: Mapping[str, Any]) -> PointFrame | None:
    """The frame in which the landmarks were written. Raises MedLandmarkError where the record is damaged."""
    try:
        matrix = matrix_from_record(record["ijk_to_local"])
        return None if matrix is None else PointFrame(matrix, bool(record["is_flat"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MedLandmarkError(
            f"Node '{node.GetName()}' is damaged: {LANDMARKS_KEY} holds no place of its image ({error!r})."
        ) from error


def local_position(node: Any, number: int) -> np.ndarray:
    """(3,): a control point in the node's own coordinates."""
    return np.array(node.GetNthControlPointPosition(number))


def _keep_landmarks(
    node: Any, landmarks: LandmarkSet, places: list[np.ndarray | None], frame: PointFrame | None, in_mm: bool
) -> None:
    """Write what is known of the landmarks beside the points, which stand at `places` (local)."""
    record = set_record(landmarks)
    for number, (item, place) in enumerate(zip(record["landmarks"], places, strict=True)):
        item["id"] = node.GetNthControlPointID(number)  # stable when points are reordered, and in files
        if place is not None:
            item["local"] = [float(value) for value in place]
    record["in_mm"] = in_mm
    record["ijk_to_local"] = None if frame is None else frame.ijk_to_local.ravel().tolist()
    record["is_flat"] = frame is not None and frame.is_flat
    keep(node, LANDMARKS_KEY, record)


def _place(node: Any, landmark: Landmark, frame: PointFrame | None) -> np.ndarray | None:
    """Where the control point of a landmark belongs, local; None where nobody knows and nobody needs to."""
    if landmark.ijk is None or frame is None:
        if landmark.ras is not None:
            return local_from_world(node, np.array(landmark.ras))
        if landmark.status.is_usable:
            raise MedLandmarkError(
                f"{landmark.name} is given in pixels, but the image of '{node.GetName()}' is not in the scene."
            )
        return None
    place = frame.local_from_ijk(landmark.ijk)
    if landmark.ras is not None:
        shown = world_from_local(node, place)
        apart = float(np.linalg.norm(shown - landmark.ras))
        if apart > LARGEST_DISAGREEMENT_MM:
            raise ImageError(
                f"{landmark.name} is said to lie at {_text(landmark.ras)} mm, but the scene shows its pixel at "
                f"{_text(shown)}, {apart:.3g} mm away: image and scene disagree on the size or the place of a pixel. "
                "Calibrate the volume, then detect again."
            )
    return place


def _write_point(node: Any, number: int, landmark: Landmark, place: np.ndarray | None) -> None:
    _set_if_new(node, "NthControlPointLabel", number, landmark.name)
    _set_if_new(node, "NthControlPointSelected", number, landmark.status is not Status.DOUBTFUL)
    wanted = _POSITION_STATUS.get(landmark.status, DEFINED)
    is_there = node.GetNthControlPointPositionStatus(number) == wanted
    if place is not None and not (is_there and np.array_equal(local_position(node, number), place)):
        node.SetNthControlPointPosition(number, *(float(value) for value in place))  # which makes it defined
    if node.GetNthControlPointPositionStatus(number) == wanted:
        return
    if wanted == MISSING:
        node.SetNthControlPointPositionMissing(number)
    elif wanted == UNDEFINED:
        node.UnsetNthControlPointPosition(number)


def _set_if_new(node: Any, what: str, number: int, value: Any) -> None:
    """Set a property of a control point where it has another value: each setting sends events."""
    if getattr(node, f"Get{what}")(number) != value:
        getattr(node, f"Set{what}")(number, value)


def _description(
    definition: str, landmark: Landmark, in_mm: bool, plane: str, covariance: np.ndarray | None = None
) -> str:
    """Definition, plane, uncertainty, status and unit.

    A point that a person placed may lie outside the plane of the others.
    """
    status = landmark.status.value + (f": {landmark.reason}" if landmark.reason else "")
    plane = "" if landmark.status in (Status.EDITED, Status.UNDEFINED) else plane.capitalize()
    spread = "" if covariance is None else f"Standard deviation up to {worst_sd_mm(covariance):.2f} mm"
    sentences = [definition, plane, spread, status, "" if in_mm else PIXELS_NOTE]
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)


def _write_confidence(node: Any, landmarks: LandmarkSet) -> None:
    """One number per point, for Slicer's own tables and for colouring; nothing where no landmark has one."""
    if all(landmark.confidence is None for landmark in landmarks):
        return
    values = [NO_CONFIDENCE if item.confidence is None else float(item.confidence) for item in landmarks]
    measurement = node.GetMeasurement(CONFIDENCE)
    if measurement is None:
        measurement = slicer.vtkMRMLStaticMeasurement()
        measurement.SetName(CONFIDENCE)
        measurement.SetEnabled(False)  # it is no quantity of the whole node
        measurement.SetPrintFormat("%.2f")
        node.AddMeasurement(measurement)
    old = measurement.GetControlPointValues()
    if old is not None and [old.GetValue(number) for number in range(old.GetNumberOfValues())] == values:
        return
    column = vtk.vtkDoubleArray()
    column.SetName(CONFIDENCE)
    for value in values:
        column.InsertNextValue(value)
    measurement.SetControlPointValues(column)


def _text(values: Any) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
