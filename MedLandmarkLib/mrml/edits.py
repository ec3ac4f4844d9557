"""What people do to the points of a result: moved, unset, marked missing, put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk

from ..errors import ImageError
from .frame import PointFrame
from .markups import DEFINED, LANDMARKS_KEY, current_frame
from .nodes import Observations

# Slice views turn mouse positions into places with far less error than this.
OFF_IMAGE_MM = 1e-4

_Markups = slicer.vtkMRMLMarkupsNode


class EditObserver:
    """Watches one fiducial node and tells which of its points somebody else than the module has changed.

    on_change(numbers) comes at every event, so many times during a drag; on_finish(numbers) once, with all the points
    of a gesture, when the mouse button is let go, or at once where there was no gesture (another module, a script).
    numbers are control point numbers. on_write() comes instead where the module itself wrote: that is recognised by
    the landmarks kept in the node, which only the module changes, so whoever writes need not tell anybody.
    Points that come to lie nowhere (NaN) are put back, and on an image of one slice points are held on the image: off
    it they would vanish from the slice views.
    """

    def __init__(
        self,
        node: Any,
        on_change: Callable[[tuple[int, ...]], None],
        on_finish: Callable[[tuple[int, ...]], None],
        on_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._node, self._on_change, self._on_finish, self._on_write = node, on_change, on_finish, on_write
        self._observations = Observations()
        self._is_dragging, self._is_correcting = False, False
        self._changed: set[int] = set()
        self._remember()
        for event in (
            _Markups.PointModifiedEvent,
            _Markups.PointPositionDefinedEvent,
            _Markups.PointPositionUndefinedEvent,
            _Markups.PointPositionMissingEvent,
            _Markups.PointPositionNonMissingEvent,
            vtk.vtkCommand.ModifiedEvent,
        ):
            self._observations.add(node, event, self._on_points)
        self._observations.add(node, _Markups.PointStartInteractionEvent, self._on_start)
        self._observations.add(node, _Markups.PointEndInteractionEvent, self._on_end)

    @property
    def is_dragging(self) -> bool:
        return self._is_dragging

    def close(self) -> None:
        """Watch no longer. A gesture that goes on, because a view was closed under the mouse, is finished first."""
        self._observations.clear()
        if self._node.GetScene() is not None:
            self._finish()

    def _remember(self) -> None:
        self._positions, self._statuses = self._state()
        self._written = self._node.GetAttribute(LANDMARKS_KEY)

    def _state(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 3), local, and position states (n,)."""
        node, count = self._node, self._node.GetNumberOfControlPoints()
        positions = np.array([node.GetNthControlPointPosition(number) for number in range(count)]).reshape(count, 3)
        return positions, np.array([node.GetNthControlPointPositionStatus(number) for number in range(count)])

    def _on_start(self) -> None:
        self._is_dragging = True

    def _on_end(self) -> None:
        self._is_dragging = False
        self._on_points()
        self._finish()

    def _on_points(self) -> None:
        if self._is_correcting:
            return
        if self._node.GetAttribute(LANDMARKS_KEY) != self._written:  # the module's own doing
            self._changed.clear()
            self._remember()
            self._on_write()
            return
        positions, statuses = self._state()
        if len(positions) != len(self._positions):  # not possible by hand: the number of points is fixed
            self._remember()
            return
        is_moved = (statuses == DEFINED) & (positions != self._positions).any(axis=1)
        if self._correct(positions, np.flatnonzero(is_moved)):
            positions, statuses = self._state()
            is_moved &= (positions != self._positions).any(axis=1)
        changed = tuple(int(number) for number in np.flatnonzero(is_moved | (statuses != self._statuses)))
        if not changed:
            return  # a label, a description or a colour
        self._positions, self._statuses = positions, statuses
        self._changed.update(changed)
        self._on_change(changed)
        if not self._is_dragging:
            self._finish()

    def _finish(self) -> None:
        changed, self._changed = tuple(sorted(self._changed)), set()
        if changed:
            self._on_finish(changed)

    def _correct(self, positions: np.ndarray, moved: np.ndarray) -> bool:
        """Move those of the `moved` points that may not stay where they were put; whether there were any."""
        corrections = {}
        frame = self._flat_frame() if len(moved) else None
        for number in moved.tolist():
            place = positions[number]
            if not np.isfinite(place).all():
                corrections[number] = self._positions[number]
            elif frame is not None:
                on_image = frame.local_from_ijk(frame.ijk_from_local(place))
                if np.linalg.norm(on_image - place) > OFF_IMAGE_MM:
                    corrections[number] = on_image
        self._is_correcting = True
        try:
            for number, place in corrections.items():
                self._node.SetNthControlPointPosition(number, *place.tolist())
        finally:
            self._is_correcting = False
        return bool(corrections)

    def _flat_frame(self) -> PointFrame | None:
        """The frame of an image of one slice; None for a volume, or where a bent transform parts image and points."""
        try:
            frame = current_frame(self._node)
        except ImageError:
            return None
        return frame if frame is not None and frame.is_flat else None
