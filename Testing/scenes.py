"""Scenes with everything that a 3D Slicer without windows has, and volumes to put into them.

Needs slicer-core: the real MRML nodes, markups logic and storage.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import slicer
import vtk

from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.scheme import Scheme


class SceneHost:
    """A scene with the logics that a Slicer application registers before it opens a file."""

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        colours = self.application.GetColorLogic()
        colours.SetMRMLScene(self.scene)
        colours.AddDefaultColorNodes()
        self.application.SetSliceLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)  # patient's right is screen left
        self.markups = self._with_scene(slicer.vtkSlicerMarkupsLogic())
        self.application.SetModuleLogic("Markups", self.markups)
        self._cache = TemporaryDirectory()
        self._remote = self._with_scene(slicer.vtkMRMLRemoteIOLogic())
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        self._io = self._with_scene(slicer.vtkDataIOManagerLogic())
        self._io.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()

    def _with_scene(self, logic: Any) -> Any:
        logic.SetMRMLApplicationLogic(self.application)
        logic.SetMRMLScene(self.scene)
        return logic

    def saved_and_loaded(self, path: Path) -> Any:
        """The scene after it was saved to a .mrb, closed, and loaded again."""
        assert self.scene.WriteToMRB(str(path))
        self.scene.Clear(False)
        assert self.scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode") is None
        assert self.scene.ReadFromMRB(str(path), True)
        return self.scene


@contextmanager
def errors_in_callbacks() -> Iterator[list[BaseException]]:
    """What is raised in observers meanwhile: VTK prints it and goes on, so that no test would notice."""
    errors: list[BaseException] = []
    before, sys.excepthook = sys.excepthook, lambda _kind, error, _trace: errors.append(error)
    try:
        yield errors
    finally:
        sys.excepthook = before


def add_volume(
    scene: Any,
    shape: tuple[int, ...] = (1, 120, 100),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    dtype: Any = np.uint8,
    name: str = "ceph",
) -> Any:
    """A volume as Slicer loads one: (slices, rows, columns) or (..., channels), columns towards L, rows towards P."""
    class_name = "vtkMRMLVectorVolumeNode" if len(shape) == 4 else "vtkMRMLScalarVolumeNode"
    volume = scene.AddNewNodeByClass(class_name, name)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.SetSpacing(*spacing)
    values = np.arange(np.prod(shape)).reshape(shape) % 251
    slicer.util.updateVolumeFromArray(volume, values.astype(dtype))
    volume.CreateDefaultDisplayNodes()
    return volume


def add_transform(scene: Any, matrix: np.ndarray) -> Any:
    """A linear transform node with a (4, 4) matrix to its parent."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    own = vtk.vtkMatrix4x4()
    own.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    node.SetMatrixTransformToParent(own)
    return node


def add_bent_transform(scene: Any) -> Any:
    """A transform node that is not linear."""
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for number, point in enumerate([(0, 0, 0), (50, 0, 0), (0, 50, 0), (50, 50, 10)]):
        source.InsertNextPoint(*point)
        target.InsertNextPoint(point[0] + 3 * number, *point[1:])
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    return node


def a_rotation(degrees: float = 30.0, shift: tuple[float, float, float] = (5.0, -7.0, 11.0)) -> np.ndarray:
    """(4, 4): a turn about two axes, and a shift."""
    angle = np.radians(degrees)
    about_s, about_r = np.eye(4), np.eye(4)
    about_s[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    about_r[1:3, 1:3] = [[np.cos(angle / 2), -np.sin(angle / 2)], [np.sin(angle / 2), np.cos(angle / 2)]]
    matrix = about_s @ about_r
    matrix[:3, 3] = shift
    return matrix


def detected(scheme: Scheme, points_ij: Any, ijk_to_ras: np.ndarray | None = None) -> LandmarkSet:
    """What a detection gives: `points_ij` (n, 2) in pixels; in mm too where the image's matrix is given.

    The last landmark but one is doubtful and the last one missing.
    """
    landmarks = []
    statuses = [Status.PREDICTED] * (len(scheme) - 2) + [Status.DOUBTFUL, Status.MISSING]
    for number, (name, (i, j), status) in enumerate(zip(scheme.names, points_ij, statuses, strict=True)):
        ijk = (float(i), float(j), 0.0)
        ras = None if ijk_to_ras is None else tuple(float(value) for value in (ijk_to_ras @ [*ijk, 1.0])[:3])
        landmarks.append(
            Landmark(
                name,
                ijk=ijk,
                ras=ras,
                status=status,
                confidence=0.9 - 0.01 * number,
                score=0.5 + 0.001 * number,
                reason="the heatmap is flat" if status is Status.DOUBTFUL else "",
                predicted_ijk=None if status is Status.MISSING else ijk,
            )
        )
    return LandmarkSet(scheme.id, tuple(landmarks))


def drag(node: Any, number: int, *world: tuple[float, float, float]) -> None:
    """What a mouse does to a control point: press, move through the places, let go."""
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    for place in world:
        node.SetNthControlPointPositionWorld(number, *place)
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)


def drawn_lines(review: Any, *trusts: str) -> np.ndarray:
    """(n, 2, 3): the ends of the lines of a review that are shown, by default the certain and the doubtful ones."""
    nodes = [review.drawings.nodes[trust] for trust in trusts or review.drawings.nodes]
    shown = [node.GetPolyData() for node in nodes if node.GetDisplayNode().GetVisibility()]
    ends = [
        polydata.GetCell(number).GetPoints().GetPoint(end)  # lines come before polygons
        for polydata in shown
        for number in range(polydata.GetNumberOfLines())
        for end in (0, 1)
    ]
    return np.array(ends).reshape(-1, 2, 3)


def is_drawn(lines: np.ndarray, start: Any, end: Any) -> bool:
    """Whether one of the lines (n, 2, 3) runs from one place to the other, in either direction."""
    return any(np.allclose(line, ends, atol=1e-3) for line in lines for ends in ((start, end), (end, start)))
