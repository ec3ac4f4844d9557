"""One result under review: it hears of edits, keeps measurements and drawings up to date, and does what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import slicer
import vtk

from ..errors import ImageError, MedLandmarkError
from ..landmark import LandmarkSet, Status
from ..measure import Measurement, measure
from .actions import accepted, confident_names, marked_missing, reverted
from .commands import CommandStack, LandmarksChanged
from .edits import EditObserver
from .ellipsoids import Ellipsoids
from .frame import point_frame
from .lines import Drawings
from .markups import LANDMARKS_KEY, volume_of, write_landmarks
from .measurements import MeasurementTable, StaticMeasurements
from .nodes import Observations
from .origin import prediction_of, scheme_of
from .projected import MeasuredPoints
from .reading import PointReader, in_current_space, read_landmarks
from .records import kept
from .results import RESULT_KEY, keep_on_pixels, restore_result

_ACTION_OF = {Status.MISSING: "mark missing", Status.UNDEFINED: "unset"}


class Review:
    """Ties a result's points, measurements, table and drawings together for as long as somebody works on it.

    `landmarks` and `measurements` are always those of the scene; on_change(names) is called after each change, many
    times during a drag. What is done here, and every drag, goes onto the stack as one command. `close` ends it all and
    leaves the scene as it is. Raises MedLandmarkError where the node is no result, or is damaged.
    """

    def __init__(
        self,
        scene: Any,
        node: Any,
        stack: CommandStack | None = None,
        on_change: Callable[[tuple[str, ...]], None] = lambda names: None,
    ) -> None:
        self.scene, self.node = scene, node
        self.stack = CommandStack() if stack is None else stack
        self._on_change = on_change
        restore_result(scene, node)
        self.scheme, self.prediction = scheme_of(node), prediction_of(node)
        self.table = MeasurementTable(scene, node)
        self._static, self.drawings = StaticMeasurements(node), Drawings(scene, node, self.scheme)
        self.ellipsoids, self._measured = Ellipsoids(scene, node), MeasuredPoints(node)
        self._read()
        self._show()
        self._edits = EditObserver(node, self._on_points_moved, self._on_gesture_end, self._on_written)
        self._observations = Observations()
        self._observations.add(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._on_written)
        volume = volume_of(node)
        if volume is not None:
            self._observations.add(volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._on_volume)
            self._observations.add(volume, vtk.vtkCommand.ModifiedEvent, self._on_volume)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._edits.close()
        self._observations.clear()

    def accept(self, names: Iterable[str]) -> tuple[str, ...]:
        """Agree to landmarks as they are. Returns the names of those that changed."""
        return self._do("accept", accepted(self.landmarks, names))

    def accept_all_confident(self) -> tuple[str, ...]:
        """Agree to every landmark that the model trusts, and to no doubtful one. Returns their names."""
        return self.accept(confident_names(self.landmarks))

    def mark_missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Say that landmarks are not in this image. Returns the names of those that changed."""
        return self._do("mark missing", marked_missing(self.landmarks, names))

    def revert(self, names: Iterable[str]) -> tuple[str, ...]:
        """Put landmarks back to what the model found. Returns the names of those that changed."""
        landmarks = reverted(self.landmarks, self.prediction, names)
        return self._do("revert", in_current_space(self.node, landmarks))

    def show_drawings(self, is_shown: bool) -> None:
        """Show or hide the lines and angles that the measurements are read from."""
        self.drawings.show(is_shown, self.landmarks)

    def show_uncertainty(self, is_shown: bool) -> None:
        """Show or hide the ellipsoids in which the landmarks lie with a probability of 95 %."""
        self.ellipsoids.show(is_shown, self.landmarks)

    def _do(self, action: str, landmarks: LandmarkSet) -> tuple[str, ...]:
        """Write the landmarks to the scene and note it as one command."""
        if self.node.GetScene() is None:
            raise MedLandmarkError(f"The landmarks '{self.node.GetName()}' are not in the scene any more.")
        before = self.landmarks
        names = _changed_names(before, landmarks)
        if names:
            write_landmarks(self.node, landmarks, self.scheme)
            self._push(action, names, before)
        return names

    def _push(self, action: str, names: tuple[str, ...], before: LandmarkSet) -> None:
        result_id = self.node.GetAttribute(RESULT_KEY)
        self.stack.push(LandmarksChanged(self.scene, result_id, action, names, before, self.landmarks))

    def _read(self) -> None:
        self.landmarks = self._written = read_landmarks(self.node)
        self._reader = PointReader(self.node, kept(self.node, LANDMARKS_KEY))
        self._ids = self._point_ids()

    def _show(self, names: tuple[str, ...] | None = None) -> None:
        """Bring measurements, table and drawings to the landmarks; only what follows `names`, where they are given."""
        self.measurements: list[Measurement] = measure(self._measured.of(self.landmarks), self.scheme)
        self.table.update(self.measurements)
        self._static.update(self.measurements)
        self.drawings.update(self.landmarks, names)
        self.ellipsoids.update(self.landmarks)

    def _point_ids(self) -> list[str]:
        return [self.node.GetNthControlPointID(number) for number in range(self.node.GetNumberOfControlPoints())]

    def _on_points_moved(self, numbers: tuple[int, ...]) -> None:
        if self._point_ids() != self._ids:  # reordered by hand; the order of a result is the scheme's
            write_landmarks(self.node, read_landmarks(self.node), self.scheme)
            return
        landmarks = list(self.landmarks)
        for number in numbers:
            index = self._reader.numbers.index(number)
            landmarks[index] = self._reader.landmark(self._written.landmarks[index], index)
        before, self.landmarks = self.landmarks, replace(self.landmarks, landmarks=tuple(landmarks))
        names = _changed_names(before, self.landmarks)
        if names:
            self._show(names)
            self._on_change(names)

    def _on_gesture_end(self, _numbers: tuple[int, ...]) -> None:
        before = self._written
        names = _changed_names(before, self.landmarks)
        if names:
            statuses = {self.landmarks[name].status for name in names}
            write_landmarks(self.node, self.landmarks, self.scheme)
            self._push(_ACTION_OF.get(statuses.pop(), "edit") if len(statuses) == 1 else "edit", names, before)

    def _on_written(self) -> None:
        """The module wrote the node, or a transform moved it: take over what is there now."""
        before = self.landmarks
        self._read()
        self._show()
        self._on_change(_changed_names(before, self.landmarks))

    def _on_volume(self) -> None:
        """The image was moved, hardened or given another spacing: its points go with it."""
        volume = volume_of(self.node)
        if volume is None or volume.GetImageData() is None or self.node.GetScene() is None:
            return
        if (self.node.GetTransformNodeID() or None) != (volume.GetTransformNodeID() or None):
            self.node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        try:
            is_in_place = point_frame(self.node, volume).is_same(self._reader.frame)
        except ImageError:
            return
        if not is_in_place:
            keep_on_pixels(self.node)


def _changed_names(before: LandmarkSet, after: LandmarkSet) -> tuple[str, ...]:
    return tuple(new.name for old, new in zip(before, after, strict=True) if old != new)
