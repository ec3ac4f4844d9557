"""From the control points of a fiducial node back to landmarks, with what people did to them in between."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .calibration import volume_calibration
from .frame import is_same_place
from .markups import (
    DEFINED,
    LANDMARKS_KEY,
    LARGEST_DISAGREEMENT_MM,
    MISSING,
    PIXELS_NOTE,
    current_frame,
    frame_from_record,
    local_position,
    volume_of,
)
from .nodes import world_from_local
from .records import kept, point_from_record, set_from_record

_STATUS_SENTENCE = re.compile(rf"(?:^|\. )({'|'.join(status.value for status in Status)})(?:: (.+))?\.$", re.DOTALL)


def read_landmarks(node: Any) -> LandmarkSet:
    """The landmarks as they are in the scene now.

    A point that somebody has moved since the module last wrote it is EDITED, one that was set to missing or undefined
    is so, and one that was restored in place is ACCEPTED. A point that nobody touched is given back exactly as it was
    written, but for its place in patient space where the image was given another one.
    Raises MedLandmarkError where the node holds no landmarks of the module or is damaged, ImageError where a transform
    between the points and their image is not linear.
    """
    record = kept(node, LANDMARKS_KEY)
    if record is None:
        raise MedLandmarkError(f"Node '{node.GetName()}' holds no landmarks of MedLandmark.")
    landmarks = set_from_record(node, LANDMARKS_KEY, record)
    if node.GetNumberOfControlPoints() != len(landmarks):
        raise MedLandmarkError(
            f"Node '{node.GetName()}' has {node.GetNumberOfControlPoints()} control points but was written with "
            f"{len(landmarks)}; detect again, or copy its points by label."
        )
    reader = PointReader(node, record)
    return replace(landmarks, landmarks=tuple(reader.landmark(item, n) for n, item in enumerate(landmarks)))


def read_foreign_landmarks(node: Any, scheme: Scheme) -> LandmarkSet:
    """The points of any fiducial node by label (a landmark's name or its code), as landmarks of `scheme`, in RAS.

    Status and reason are taken from descriptions in the wording of the module and of the files of the command line;
    without them a point is EDITED, for somebody placed it. Raises MedLandmarkError where no point carries a label of
    the scheme.
    """
    numbers = {node.GetNthControlPointLabel(number): number for number in range(node.GetNumberOfControlPoints())}
    found = {item.name: numbers.get(item.name, numbers.get(item.label)) for item in scheme.landmarks}
    if all(number is None for number in found.values()):
        raise MedLandmarkError(
            f"No point of '{node.GetName()}' carries a label of scheme {scheme.id}: {', '.join(scheme.names[:4])}, ..."
        )
    return LandmarkSet(
        scheme.id,
        tuple(Landmark(name) if number is None else _foreign(node, number, name) for name, number in found.items()),
    )


def told_status(description: str) -> Status:
    """The status that a point's description tells; EDITED where it tells none, for somebody placed the point."""
    told = _STATUS_SENTENCE.search(description)
    return Status(told[1]) if told and Status(told[1]).is_usable else Status.EDITED


def in_current_space(node: Any, landmarks: LandmarkSet, in_mm: bool | None = None) -> LandmarkSet:
    """Landmarks of an earlier time with the places in patient space that their pixels have now.

    in_mm says whether those places are millimetres; by default as it was when the node was last written.
    """
    reader = PointReader(node, kept(node, LANDMARKS_KEY))
    reader.in_mm = reader.in_mm if in_mm is None else in_mm
    return replace(landmarks, landmarks=tuple(reader.in_space(landmark) for landmark in landmarks))


class PointReader:
    """Reads the points of one node against what was kept when they were written. Raises MedLandmarkError."""

    def __init__(self, node: Any, record: Mapping[str, Any]) -> None:
        self.node = node
        written = frame_from_record(node, record)
        try:
            self.in_mm = bool(record["in_mm"])
            self.places = [point_from_record(item.get("local")) for item in record["landmarks"]]
            self.numbers = self._numbers([str(item.get("id")) for item in record["landmarks"]])
        except (KeyError, TypeError, ValueError) as error:
            raise MedLandmarkError(f"Node '{node.GetName()}' is damaged: {LANDMARKS_KEY} ({error!r}).") from error
        self.frame = current_frame(node)
        self.has_moved_image = self.frame is not None and not self.frame.is_same(written)
        volume = volume_of(node)
        if self.has_moved_image and volume is not None:
            self.in_mm = volume_calibration(volume).kind != "none"

    def _numbers(self, ids: list[str]) -> list[int]:
        """Which control point is which landmark: by id, which stays with a point when the user reorders them."""
        numbers = [self.node.GetControlPointIndexByID(point_id) for point_id in ids]
        return numbers if sorted(numbers) == list(range(len(ids))) else list(range(len(ids)))

    def landmark(self, written: Landmark, index: int) -> Landmark:
        """What has become of the landmark with that place in the scheme's order."""
        number = self.numbers[index]
        position_status = self.node.GetNthControlPointPositionStatus(number)
        place = local_position(self.node, number)
        if position_status == MISSING:
            return self._absent(written, Status.MISSING)
        if position_status != DEFINED or not np.isfinite(place).all():
            return self._absent(written, Status.UNDEFINED)
        if not self._is_where_it_was(written, self.places[index], place):
            return self._edited(written, place)
        landmark = self._brought_up_to_date(written, place)
        if not landmark.status.is_usable:  # restored by hand where it was
            return replace(landmark, status=Status.ACCEPTED, reason="")
        return landmark

    def _absent(self, landmark: Landmark, status: Status) -> Landmark:
        if landmark.ijk is not None:
            landmark = self._brought_up_to_date(landmark, None)
        return landmark if landmark.status is status else replace(landmark, status=status, reason="")

    def _is_where_it_was(self, landmark: Landmark, before: Any, place: np.ndarray) -> bool:
        if before is not None and is_same_place(before, place):
            return True
        # A hardened transform changes the numbers of image and points alike.
        in_pixels = landmark.ijk is not None and self.frame is not None
        return in_pixels and is_same_place(landmark.ijk, self.frame.ijk_from_local(place))

    def _brought_up_to_date(self, landmark: Landmark, place: np.ndarray | None) -> Landmark:
        """The landmark on its pixel, with the place in patient space that this pixel has now."""
        if landmark.ras is None and not self.has_moved_image:
            return landmark
        if landmark.ijk is not None and self.frame is not None:
            return self.in_space(landmark)
        if place is None:
            return landmark
        return _with_ras(landmark, world_from_local(self.node, place))

    def in_space(self, landmark: Landmark) -> Landmark:
        """The landmark with the place in patient space that its pixel has now; none where that is not in mm."""
        if landmark.ijk is None or self.frame is None:
            return landmark
        if not self.in_mm:
            return replace(landmark, ras=None)
        return _with_ras(landmark, world_from_local(self.node, self.frame.local_from_ijk(landmark.ijk)))

    def _edited(self, landmark: Landmark, place: np.ndarray) -> Landmark:
        if self.frame is None:
            return replace(landmark, ras=_point(world_from_local(self.node, place)), status=Status.EDITED, reason="")
        ijk = self.frame.ijk_from_local(place)
        ras = _point(world_from_local(self.node, self.frame.local_from_ijk(ijk))) if self.in_mm else None
        return replace(landmark, ijk=_point(ijk), ras=ras, status=Status.EDITED, reason="")


def _foreign(node: Any, number: int, name: str) -> Landmark:
    text = (node.GetNthControlPointDescription(number) or "").removesuffix(PIXELS_NOTE).rstrip()
    told = _STATUS_SENTENCE.search(text)
    position_status = node.GetNthControlPointPositionStatus(number)
    if position_status == MISSING:
        return Landmark(name, status=Status.MISSING, reason=(told[2] or "") if told else "")
    ras = np.array(node.GetNthControlPointPositionWorld(number))
    if position_status != DEFINED or not np.isfinite(ras).all():
        return Landmark(name)
    status = Status(told[1]) if told and Status(told[1]).is_usable else Status.EDITED
    return Landmark(name, ras=_point(ras), status=status, reason=(told[2] or "") if told else "")


def _with_ras(landmark: Landmark, world: np.ndarray) -> Landmark:
    """The landmark at `world`; left exactly as it is where it lies there already."""
    if landmark.ras is not None and np.linalg.norm(world - landmark.ras) <= LARGEST_DISAGREEMENT_MM:
        return landmark
    return replace(landmark, ras=_point(world))


def _point(values: np.ndarray) -> tuple[float, float, float]:
    i, j, k = (float(value) for value in values)
    return i, j, k
