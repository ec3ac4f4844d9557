"""What measurements of a detection in a projection are made from: its points as the projection shows them.

Norms of a cephalogram are of distances and angles on a radiograph. The points of a projection stand in space, with a
depth that is known much less well; between them the same measurements would be others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet
from ..plane.projection import PROJECTION_SETTING
from .markups import current_frame
from .nodes import to_parent_matrix
from .origin import has_origin, provenance_of


class MeasuredPoints:
    """Drops the landmarks of one result onto the plane of its projection; those of any other stay as they are.

    Raises MedLandmarkError where what is kept of the projection is damaged.
    """

    def __init__(self, result: Any) -> None:
        self._result = result
        kept = provenance_of(result).settings.get(PROJECTION_SETTING) if has_origin(result) else None
        try:
            self._plane_to_ijk = None if kept is None else np.array(kept["plane_to_ijk"], float).reshape(4, 4)
            self._ijk_to_plane = None if kept is None else np.linalg.inv(self._plane_to_ijk)
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            raise MedLandmarkError(
                f"Node '{result.GetName()}' is damaged: the projection that it was found in ({error!r})."
            ) from error

    def of(self, landmarks: LandmarkSet) -> LandmarkSet:
        """The landmarks to measure from; `ras` of a projection's are millimetres in its plane."""
        frame = None if self._plane_to_ijk is None else current_frame(self._result)
        if frame is None:
            return landmarks
        try:
            to_world = to_parent_matrix(self._result)[:3, :3]
        except ValueError:  # bent: there is no plane any more
            return landmarks
        axes = to_world @ frame.ijk_to_local[:3, :3] @ self._plane_to_ijk[:3, :2]
        pixel_mm = np.linalg.norm(axes, axis=0)

        def on_plane(landmark: Landmark) -> Landmark:
            if landmark.ijk is None:
                return landmark
            x, y = (self._ijk_to_plane @ [*landmark.ijk, 1.0])[:2].tolist()
            in_mm = (x * float(pixel_mm[0]), y * float(pixel_mm[1]), 0.0)
            return replace(landmark, ijk=(x, y, 0.0), ras=None if landmark.ras is None else in_mm)

        return replace(landmarks, landmarks=tuple(map(on_plane, landmarks)))
