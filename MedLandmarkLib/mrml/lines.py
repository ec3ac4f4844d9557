"""The lines and angles that measurements are read from, as line and angle nodes that follow the points of a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..landmark import LandmarkSet, Status
from ..scheme import Scheme
from .drawn import ANGLE, Drawing, drawings_of
from .hierarchy import place_drawings
from .nodes import RESULT_ROLE, active_place_node_kept, nodes_with_role, one_modification

DRAWING_KEY = "MedLandmark.Drawing"  # which drawing of the scheme a node is
SHOWN_KEY = "MedLandmark.DrawingsShown"  # of a result: "1" where the user wants to see them
# Slicer draws a line as thick as a share of its glyphs, and its glyphs as a per cent of the view. The glyphs themselves
# are hidden: the ends are landmarks, or places where there is none.
GLYPH_SCALE, LINE_THICKNESS = 0.6, 0.4
_BUILT_IN = {"vtkMRMLMarkupsLineNode": "length", "vtkMRMLMarkupsAngleNode": "angle"}


class Drawings:
    """The drawings of one result: one locked node each, in one folder, made when they are first shown.

    A drawing that depends on an absent landmark is hidden, and one that depends on a doubtful one has the colour of an
    unselected point. Slicer's own length on a line is switched off: it would claim millimetres for an image without
    any, and for a line of which an end is missing.
    """

    def __init__(self, scene: Any, result: Any, scheme: Scheme) -> None:
        self._scene, self._result = scene, result
        self._drawings = {_key(drawing): drawing for drawing in drawings_of(scheme)}
        self._nodes = {
            node.GetAttribute(DRAWING_KEY): node
            for node in nodes_with_role(scene, "vtkMRMLMarkupsNode", RESULT_ROLE, result)
            if node.GetAttribute(DRAWING_KEY) in self._drawings
        }

    @property
    def nodes(self) -> list[Any]:
        """The line and angle nodes that are in the scene."""
        return [node for node in self._nodes.values() if node.GetScene() is not None]

    @property
    def is_shown(self) -> bool:
        return self._result.GetAttribute(SHOWN_KEY) == "1"

    def show(self, is_shown: bool, landmarks: LandmarkSet) -> None:
        """Show or hide all of them."""
        self._result.SetAttribute(SHOWN_KEY, "1" if is_shown else "0")
        if is_shown:
            self._create_missing()
        self.update(landmarks)

    def update(self, landmarks: LandmarkSet, names: Iterable[str] | None = None) -> None:
        """Bring the drawings to where the landmarks are now; only those that follow `names`, where they are given.

        Hidden ones are left behind during edits; `show` brings all up to date.
        """
        is_shown = self.is_shown
        if names is not None and not is_shown:
            return
        moved = None if names is None else set(names)
        follows = {
            key: drawing
            for key, drawing in self._drawings.items()
            if (moved is None or not moved.isdisjoint(drawing.inputs)) and self._is_there(key)
        }
        ras = self._places(landmarks, {name for drawing in follows.values() for name in drawing.inputs})
        doubtful = {landmark.name for landmark in landmarks if landmark.status is Status.DOUBTFUL}
        for key, drawing in follows.items():
            node = self._nodes[key]
            places = drawing.places(ras)
            if places is not None:
                _move(node, places, is_doubtful=not doubtful.isdisjoint(drawing.inputs))
            node.GetDisplayNode().SetVisibility(is_shown and places is not None)

    def _is_there(self, key: str) -> bool:
        """Whether a drawing's node was made and the user has not deleted it."""
        return key in self._nodes and self._nodes[key].GetScene() is not None

    def _places(self, landmarks: LandmarkSet, names: set[str]) -> dict[str, np.ndarray]:
        """Where those of the named points stand in the world that are usable."""
        return {
            landmark.name: np.array(self._result.GetNthControlPointPositionWorld(number))
            for number, landmark in enumerate(landmarks)
            if landmark.name in names and landmark.status.is_usable
        }

    def _create_missing(self) -> None:
        made = []
        with active_place_node_kept(self._scene):
            for key, drawing in self._drawings.items():
                if not self._is_there(key):
                    self._nodes[key] = self._create(key, drawing)
                    made.append(self._nodes[key])
        if made:
            place_drawings(self._scene, made, self._result)

    def _create(self, key: str, drawing: Drawing) -> Any:
        class_name = "vtkMRMLMarkupsAngleNode" if drawing.kind == ANGLE else "vtkMRMLMarkupsLineNode"
        node = self._scene.AddNewNodeByClass(class_name, drawing.name)
        with one_modification(node):
            node.SetAttribute(DRAWING_KEY, key)
            node.SetNodeReferenceID(RESULT_ROLE, self._result.GetID())
            node.SetLocked(True)
            node.SetDescription(", ".join(drawing.measurements))
            node.CreateDefaultDisplayNodes()
            node.GetMeasurement(_BUILT_IN[class_name]).SetEnabled(False)
            display = node.GetDisplayNode()
            display.SetVisibility(False)
            display.SetPointLabelsVisibility(False)
            display.SetPropertiesLabelVisibility(False)
            display.SetGlyphScale(GLYPH_SCALE)
            display.SetLineThickness(LINE_THICKNESS)
        return node


def _key(drawing: Drawing) -> str:
    return "|".join([drawing.kind, *("+".join(point) for point in drawing.points)])


def _move(node: Any, places: np.ndarray, is_doubtful: bool) -> None:
    with one_modification(node):
        for number, place in enumerate(places.tolist()):
            if number >= node.GetNumberOfControlPoints():
                node.AddControlPointWorld(place, "")
                node.SetNthControlPointVisibility(number, False)
            elif list(node.GetNthControlPointPositionWorld(number)) != place:
                node.SetNthControlPointPositionWorld(number, *place)
            if bool(node.GetNthControlPointSelected(number)) == is_doubtful:
                node.SetNthControlPointSelected(number, not is_doubtful)
