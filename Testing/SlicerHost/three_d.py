"""A real 3D view: Slicer's displayable managers for models, markups, cameras and slices, rendered offscreen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk

from .offscreen import make_managers, make_window, picture_of, save_rgb

_SIZE = (600, 600)
_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


class ThreeDView:
    """One 3D view as Slicer's qMRMLThreeDWidget makes it of displayable managers and a render window."""

    def __init__(self, app_logic: slicer.vtkSlicerApplicationLogic, scene: slicer.vtkMRMLScene) -> None:
        self.view_node = slicer.vtkMRMLViewNode()
        self.view_node.SetSingletonTag("1")
        self.view_node = scene.AddNode(self.view_node)
        self.renderer = vtk.vtkRenderer()
        self.window, self._interactor = make_window(_SIZE, self.renderer)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self.managers = make_managers(factory, _MANAGERS, app_logic, self.renderer, self.view_node)

    def close(self) -> None:
        """Let go of the scene and the window."""
        self.managers.SetMRMLDisplayableNode(None)
        self._interactor.SetRenderWindow(None)
        self.window.Finalize()

    def look_from_the_front(self) -> None:
        """Everything in view, the eye before the patient: right is on the left of the picture, superior is up."""
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 1, 0)
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera()

    def display_xy(self, ras: np.ndarray) -> np.ndarray:
        """(2,): the column and row of the picture that show a point."""
        self.renderer.SetWorldPoint(*ras, 1.0)
        self.renderer.WorldToDisplay()
        x, y, _ = self.renderer.GetDisplayPoint()
        return np.array([x, _SIZE[1] - 1 - y])

    def picture(self) -> np.ndarray:
        """(rows, columns, 3) uint8 of what the view shows."""
        return picture_of(self.window)

    def save_picture(self, path: Path) -> None:
        save_rgb(self.picture(), path)
