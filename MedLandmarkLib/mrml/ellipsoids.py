"""The uncertainty of landmarks as ellipsoids in one model node: seen in 3D views, and where slice views cut them."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..landmark import LandmarkSet
from .hierarchy import place_belonging
from .lines import MODEL_CLASS
from .markups import current_frame
from .nodes import RESULT_ROLE, nodes_with_role, one_modification
from .uncertainty import covariances_ras, kept_uncertainty

ELLIPSOIDS_KEY = "MedLandmark.Ellipsoids"  # of a model node, "1"
# A normal point lies within that many standard deviations with a probability of 95 % (chi-square, 3 values: 7.815).
RADIUS_SD = 2.7955
_OPACITY = 0.35


class Ellipsoids:
    """The 95 % ellipsoids of one result, in a node that is made when they are first shown.

    A landmark that somebody moved has none: its uncertainty is not the model's any more. `has_any` is False where the
    detection stated no uncertainty. Raises MedLandmarkError where what is kept in the node is damaged.
    """

    def __init__(self, scene: Any, result: Any) -> None:
        self._scene, self._result = scene, result
        self._kept = kept_uncertainty(result)
        found = nodes_with_role(scene, MODEL_CLASS, RESULT_ROLE, result)
        self._node = next((node for node in found if node.GetAttribute(ELLIPSOIDS_KEY)), None)
        self._shape: np.ndarray | None = None

    @property
    def has_any(self) -> bool:
        return bool(self._kept)

    @property
    def node(self) -> Any | None:
        """The model node; None before it was made, or after the user has deleted it."""
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    @property
    def is_shown(self) -> bool:
        return self.node is not None and bool(self.node.GetDisplayNode().GetVisibility())

    def show(self, is_shown: bool, landmarks: LandmarkSet) -> None:
        """Show or hide them; nothing is made where there are none."""
        if is_shown and self.node is None and self.has_any:
            self._node, self._shape = self._create(), None
        if self.node is not None:
            self.node.GetDisplayNode().SetVisibility(is_shown)
        self.update(landmarks)

    def update(self, landmarks: LandmarkSet) -> None:
        """Bring them to where the landmarks are now. Hidden ones are left behind; `show` brings them up to date."""
        if not self.is_shown:
            return
        covariances = self.covariances(landmarks)
        rows = [
            np.concatenate([self._result.GetNthControlPointPositionWorld(number), covariances[landmark.name].ravel()])
            for number, landmark in enumerate(landmarks)
            if landmark.name in covariances
        ]
        shape = np.array(rows).reshape(-1, 12)
        if not np.array_equal(shape, self._shape):
            self._shape = shape
            with one_modification(self.node):
                self.node.SetAndObserveMesh(ellipsoids(shape[:, :3], shape[:, 3:].reshape(-1, 3, 3)))

    def covariances(self, landmarks: LandmarkSet) -> dict[str, np.ndarray]:
        """{name: (3, 3) RAS mm²} of those landmarks that are where the model found them."""
        return covariances_ras(self._kept, self._result, landmarks, current_frame(self._result)) if self._kept else {}

    def _create(self) -> Any:
        node = self._scene.AddNewNodeByClass(MODEL_CLASS, f"{self._result.GetName()} uncertainty")
        node.SetAttribute(ELLIPSOIDS_KEY, "1")
        node.SetNodeReferenceID(RESULT_ROLE, self._result.GetID())
        node.SetSelectable(False)  # a point that is dragged in a 3D view shall not stick to it
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(self._result.GetDisplayNode().GetSelectedColor())
        display.SetOpacity(_OPACITY)
        display.SetVisibility2D(True)
        place_belonging(self._scene, node, self._result)
        return node


def ellipsoids(centres: np.ndarray, covariances: np.ndarray) -> Any:
    """A polydata with the surfaces in RADIUS_SD standard deviations about centres (n, 3); covariances (n, 3, 3)."""
    source = vtk.vtkSphereSource()
    source.SetRadius(RADIUS_SD)
    source.SetThetaResolution(20)
    source.SetPhiResolution(14)
    source.Update()
    sphere = vtk_to_numpy(source.GetOutput().GetPoints().GetData())  # (m, 3)
    triangles = vtk_to_numpy(source.GetOutput().GetPolys().GetConnectivityArray()).reshape(-1, 3)
    places, cells = [np.empty((0, 3))], vtk.vtkCellArray()
    for number, (centre, covariance) in enumerate(zip(centres, covariances, strict=True)):
        squared, axes = np.linalg.eigh(covariance)
        axes[:, 0] *= np.sign(np.linalg.det(axes)) or 1.0  # a mirrored surface would be seen from the inside
        places.append(centre + sphere @ (axes * np.sqrt(np.maximum(squared, 0.0))).T)
        for triangle in triangles + number * len(sphere):
            cells.InsertNextCell(3, triangle.tolist())
    points, polydata = vtk.vtkPoints(), vtk.vtkPolyData()
    points.SetData(numpy_to_vtk(np.concatenate(places), deep=True))
    polydata.SetPoints(points)
    polydata.SetPolys(cells)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(polydata)
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()
