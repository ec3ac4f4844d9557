"""Real slice views: Slicer's slice logic, displayable managers and interaction, rendered offscreen.

What Slicer's layout manager offers to modules stands here by its names; `ViewBoard.picture` and `SliceHand` are for
tests: a picture of a view, and a mouse in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk
from PySide6 import QtCore

from .offscreen import make_managers, make_window, picture_of, save_rgb
from .plots import PlotView, PlotWidget

_SIZE = (720, 720)
_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)
_ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


class SliceView:
    """One slice view as Slicer's qMRMLSliceWidget makes it of logic, displayable managers and a render window."""

    def __init__(self, name: str, app_logic: slicer.vtkSlicerApplicationLogic, scene: slicer.vtkMRMLScene) -> None:
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(app_logic)
        app_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.slice_node = self.logic.AddSliceNode(name)
        self.slice_node.SetOrientation(_ORIENTATIONS[name])
        self._make_window()
        self._make_managers(app_logic)
        self._timer = QtCore.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(16)
        self._timer.timeout.connect(self.render)
        self.is_paused = False
        self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._show_image)
        self.managers.AddObserver(vtk.vtkCommand.UpdateEvent, self.schedule_render)

    def _make_window(self) -> None:
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window, self.interactor = make_window(_SIZE, self.renderer)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)  # the slice logic has applied window and level
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._image.SetVisibility(False)
        self.renderer.AddViewProp(self._image)
        # markups draw into a layer of their own, above the image
        self.overlay = vtk.vtkRenderer()
        self.overlay.GetActiveCamera().ParallelProjectionOn()
        self.overlay.SetLayer(1)
        self.window.SetNumberOfLayers(2)
        self.window.AddRenderer(self.overlay)

    def _make_managers(self, app_logic: slicer.vtkSlicerApplicationLogic) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self.managers = make_managers(factory, _MANAGERS, app_logic, self.renderer, self.slice_node)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self.managers)
        self._style.SetInteractor(self.interactor)
        self.logic.ResizeSliceNode(*_SIZE)

    def _show_image(self, *_: object) -> None:
        connection = self.logic.GetImageDataConnection()
        if connection is not self._mapper.GetInputConnection(0, 0):
            self._mapper.SetInputConnection(connection)
        self._image.SetVisibility(connection is not None)
        self.schedule_render()

    def schedule_render(self, *_: object) -> None:
        """Render when the event loop is free, as Slicer does: many changes, one picture."""
        if not self._timer.isActive() and not self.is_paused:
            self._timer.start()

    def render(self) -> None:
        if not self.is_paused:
            self.window.Render()

    def fit(self) -> None:
        self.logic.ResizeSliceNode(*_SIZE)
        self.logic.FitSliceToBackground()
        self.logic.SnapSliceOffsetToIJK()


class SliceWidget:
    """`layoutManager().sliceWidget("Red")`."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._view.slice_node

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._view.logic


class ViewBoard:
    """`slicer.app.layoutManager()`: three slice views and a plot view, always shown."""

    plotViewCount = 1

    def __init__(self, app_logic: slicer.vtkSlicerApplicationLogic, scene: slicer.vtkMRMLScene) -> None:
        self._app_logic = app_logic
        self._views = {name: SliceView(name, app_logic, scene) for name in _ORIENTATIONS}
        self._SLICES = tuple(_ORIENTATIONS)
        self.plot_view = PlotView(scene)

    def sliceViewNames(self) -> tuple[str, ...]:
        return self._SLICES

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return SliceWidget(self._views[name]) if name in self._views else None

    def plotWidget(self, number: int) -> PlotWidget | None:
        return PlotWidget(self.plot_view) if number == 0 else None

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._app_logic.GetSliceLogics()

    def resetSliceViews(self) -> None:
        for view in self._views.values():
            view.fit()

    def pause(self) -> None:
        for view in self._views.values():
            view.is_paused = True

    def resume(self) -> None:
        for view in self._views.values():
            view.is_paused = False
            view.schedule_render()

    # -- for tests --

    def slice_view(self, name: str = "Red") -> SliceView:
        return self._views[name]

    def picture(self, name: str = "Red") -> np.ndarray:
        """(rows, columns, 3) uint8 of what the view shows."""
        return picture_of(self._views[name].window)

    def save_picture(self, path: Path, name: str = "Red") -> None:
        save_rgb(self.picture(name), path)

    def hand(self, name: str = "Red") -> SliceHand:
        return SliceHand(self._views[name])


class SliceHand:
    """A mouse in a slice view; positions are in patient space (RAS, mm)."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def display_xy(self, ras: np.ndarray) -> tuple[int, int]:
        """The pixel of the window (origin below left) that shows a point."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._view.slice_node.GetXYToRAS(), matrix)
        x, y, *_ = matrix.MultiplyPoint([*ras, 1.0])
        return round(x), round(y)

    def ras(self, display_xy: tuple[int, int]) -> np.ndarray:
        return np.array(self._view.slice_node.GetXYToRAS().MultiplyPoint([*display_xy, 0.0, 1.0])[:3])

    def event(self, name: str, display_xy: tuple[int, int]) -> None:
        interactor = self._view.interactor
        interactor.SetEventInformation(*display_xy)
        interactor.InvokeEvent(name)

    def move(self, display_xy: tuple[int, int]) -> None:
        self.event("MouseMoveEvent", display_xy)

    def drag(self, from_ras: np.ndarray, to_ras: np.ndarray, steps: int = 8) -> None:
        """Press on a point, move it along a line, let go."""
        start, end = np.array(self.display_xy(from_ras)), np.array(self.display_xy(to_ras))
        self.move(tuple(int(value) for value in start + (6, 6)))
        self.move(tuple(int(value) for value in start))
        self.event("LeftButtonPressEvent", tuple(int(value) for value in start))
        for step in range(1, steps + 1):
            here = np.round(start + (end - start) * step / steps).astype(int)
            self.move((int(here[0]), int(here[1])))
        self.event("LeftButtonReleaseEvent", (int(end[0]), int(end[1])))


__all__ = ["SliceHand", "SliceView", "SliceWidget", "ViewBoard"]
