"""The lines and angles that measurements are read from, drawn as model nodes that follow the points of a result.

Two nodes, of the certain and of the doubtful ones, and not one markups node per line: Slicer redraws each of those in
each view at every move of a point, and makes a dozen pipelines for each when it comes into the scene, which took most
of the time of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from ..errors import ImageError
from ..landmark import LandmarkSet, Status
from ..scheme import Scheme
from .calibration import ijk_to_ras
from .drawn import drawings_of
from .hierarchy import place_belonging
from .markups import volume_of
from .nodes import RESULT_ROLE, nodes_with_role, one_modification

MODEL_CLASS = "vtkMRMLModelNode"
TRUST_KEY = "MedLandmark.DrawingsTrust"  # of a model node: which of the two it is
CERTAIN, DOUBTFUL = "certain", "doubtful"
SHOWN_KEY = "MedLandmark.DrawingsShown"  # of a result: "1" where the user wants to see them


class Drawings:
    """The lines and angles of one result in two nodes, made when they are first shown.

    A drawing that depends on an absent landmark is left out; those that depend on a doubtful one have a node of their
    own, in the colour of an unselected point. Each line stands as a ribbon, half a slice to either side of the plane of
    the landmarks: slice views show where they cut a model, so it is seen in the slices where its points are and in no
    other.
    """

    def __init__(self, scene: Any, result: Any, scheme: Scheme) -> None:
        self._scene, self._result, self._drawings = scene, result, drawings_of(scheme)
        self._inputs = {name for drawing in self._drawings for name in drawing.inputs}
        found = nodes_with_role(scene, MODEL_CLASS, RESULT_ROLE, result)
        self._nodes = {node.GetAttribute(TRUST_KEY): node for node in found if node.GetAttribute(TRUST_KEY)}
        self._shapes: dict[str, np.ndarray] = {}  # what the nodes show: all views look at a node that is touched

    @property
    def nodes(self) -> dict[str, Any]:
        """The model nodes of the CERTAIN and of the DOUBTFUL drawings that are in the scene; empty before they were
        made, and without those that the user has deleted."""
        return {trust: node for trust, node in self._nodes.items() if node.GetScene() is not None}

    @property
    def is_shown(self) -> bool:
        return self._result.GetAttribute(SHOWN_KEY) == "1"

    def show(self, is_shown: bool, landmarks: LandmarkSet) -> None:
        """Show or hide all of them."""
        self._result.SetAttribute(SHOWN_KEY, "1" if is_shown else "0")
        if is_shown and self._drawings:
            self._nodes = {trust: self.nodes.get(trust) or self._create(trust) for trust in (CERTAIN, DOUBTFUL)}
        self.update(landmarks)

    def update(self, landmarks: LandmarkSet, names: Iterable[str] | None = None) -> None:
        """Bring the drawings to where the landmarks are now; nothing is done where none follows `names`, if given.

        Hidden ones are left behind; `show` brings all up to date.
        """
        if names is not None and self._inputs.isdisjoint(names):
            return
        if self.is_shown and self.nodes:
            self._draw(landmarks)
        for node in self.nodes.values():
            node.GetDisplayNode().SetVisibility(self.is_shown)

    def _draw(self, landmarks: LandmarkSet) -> None:
        ras = {
            landmark.name: np.array(self._result.GetNthControlPointPositionWorld(number))
            for number, landmark in enumerate(landmarks)
            if landmark.name in self._inputs and landmark.status.is_usable
        }
        doubtful = {landmark.name for landmark in landmarks if landmark.status is Status.DOUBTFUL}
        segments = {CERTAIN: [np.empty((0, 2, 3))], DOUBTFUL: [np.empty((0, 2, 3))]}
        for drawing in self._drawings:
            trust = CERTAIN if doubtful.isdisjoint(drawing.inputs) else DOUBTFUL
            segments[trust].append(drawing.segments(ras))
        half = _half_slice(np.array(list(ras.values())).reshape(-1, 3), volume_of(self._result))
        for trust, node in self.nodes.items():
            shape = np.concatenate([half[None], np.concatenate(segments[trust]).reshape(-1, 3)])
            if not np.array_equal(shape, self._shapes.get(trust)):
                self._shapes[trust] = shape
                with one_modification(node):
                    node.SetAndObserveMesh(_ribbons(shape[1:].reshape(-1, 2, 3), half))

    def _create(self, trust: str) -> Any:
        suffix = "" if trust == CERTAIN else " (doubtful)"
        node = self._scene.AddNewNodeByClass(MODEL_CLASS, f"{self._result.GetName()} lines and angles{suffix}")
        node.SetAttribute(TRUST_KEY, trust)
        node.SetNodeReferenceID(RESULT_ROLE, self._result.GetID())
        node.SetSelectable(False)  # a point that is dragged in a 3D view shall not stick to it
        node.CreateDefaultDisplayNodes()
        display, points_display = node.GetDisplayNode(), self._result.GetDisplayNode()
        display.SetColor(points_display.GetSelectedColor() if trust == CERTAIN else points_display.GetColor())
        display.SetVisibility2D(True)
        display.SetLighting(False)
        display.SetBackfaceCulling(False)
        place_belonging(self._scene, node, self._result)
        self._shapes.pop(trust, None)
        return node


def _half_slice(places: np.ndarray, volume: Any | None) -> np.ndarray:
    """(3,): from the plane in which points (n, 3) lie, half a slice of their image upwards.

    The normal is the direction in which the points spread least; the one between slices, where that does not decide.
    """
    try:
        matrix = np.eye(3) if volume is None else ijk_to_ras(volume)[:3, :3]
    except ImageError:  # under a bent transform a slice has no one direction
        matrix = np.eye(3)
    between = matrix[:, 2] / np.linalg.norm(matrix[:, 2])
    offsets = places - places.mean(axis=0) if len(places) else places
    spread = offsets.T @ offsets
    spread += (1e-6 * np.trace(spread) + 1e-12) * (np.eye(3) - np.outer(between, between))
    normal = np.linalg.eigh(spread)[1][:, 0]
    return normal / (2 * np.linalg.norm(np.linalg.solve(matrix, normal)))


def _ribbons(segments: np.ndarray, half: np.ndarray) -> Any:
    """A polydata with a quad for each line of (n, 2, 3), as wide as twice `half` (3,), and the line itself.

    The quad is what slice views cut; the line is seen in a 3D view that looks at the quad edge on.
    """
    start, end = segments[:, 0], segments[:, 1]
    corners = np.stack([start + half, end + half, end - half, start - half], axis=1).reshape(-1, 3)
    points, polydata = vtk.vtkPoints(), vtk.vtkPolyData()
    points.SetData(numpy_to_vtk(np.concatenate([corners, segments.reshape(-1, 3)]), deep=True))
    polydata.SetPoints(points)
    polydata.SetPolys(_cells(4, 0, len(segments)))
    polydata.SetLines(_cells(2, len(corners), len(segments)))
    return polydata


def _cells(size: int, first: int, count: int) -> Any:
    """Cells of `size` points each, which follow each other from point `first` on."""
    cells = vtk.vtkCellArray()
    numbers = np.arange(first, first + size * count, dtype=np.int64)
    cells.SetData(size, numpy_to_vtkIdTypeArray(numbers, deep=True))
    return cells
