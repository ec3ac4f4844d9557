"""What slice views and 3D views have in common: a window that nobody sees, displayable managers, pictures of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import slicer
import vtk
from PySide6 import QtGui
from vtk.util.numpy_support import vtk_to_numpy


def make_window(
    size: tuple[int, int], renderer: vtk.vtkRenderer
) -> tuple[vtk.vtkRenderWindow, vtk.vtkRenderWindowInteractor]:
    """A window of that size (columns, rows) that shows the renderer, and its interactor."""
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.Initialize()
    return window, interactor


def make_managers(
    factory: slicer.vtkMRMLDisplayableManagerFactory,
    names: Iterable[str],
    app_logic: slicer.vtkSlicerApplicationLogic,
    renderer: vtk.vtkRenderer,
    view_node: slicer.vtkMRMLNode,
) -> slicer.vtkMRMLDisplayableManagerGroup:
    """The displayable managers with those names, which draw the scene into the renderer as the view node wants it."""
    factory.SetMRMLApplicationLogic(app_logic)
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    managers = slicer.vtkMRMLDisplayableManagerGroup()
    managers.SetRenderer(renderer)
    managers.Initialize(factory, renderer)
    managers.SetMRMLDisplayableNode(view_node)
    return managers


def picture_of(window: vtk.vtkRenderWindow) -> np.ndarray:
    """(rows, columns, 3) uint8 of what the window shows."""
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    columns, rows, _ = grab.GetOutput().GetDimensions()
    values = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
    return values.reshape(rows, columns, -1)[::-1, :, :3].copy()


def save_rgb(picture: np.ndarray, path: Path) -> None:
    """Write (rows, columns, 3) uint8 as a picture file, in a folder that is made where it is not."""
    rgb = np.ascontiguousarray(picture)
    image = QtGui.QImage(rgb.data, rgb.shape[1], rgb.shape[0], rgb.strides[0], QtGui.QImage.Format.Format_RGB888)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(str(path))
