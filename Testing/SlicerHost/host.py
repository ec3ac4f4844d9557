"""Puts the stand-ins in their places and loads modules."""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

_host: Host | None = None


class Host:
    """The running application; there is one in a process."""

    def __init__(self) -> None:
        # The order matters: Qt's classes get their properties before the widgets are derived from them.
        from .pythonqt import make_qt_module

        qt = make_qt_module(ui_loader=None)
        sys.modules["qt"] = qt
        import slicer
        import slicer.util
        import vtk

        from . import application, parameter_node, scripted_module, widgets
        from .ui_loader import loader_class

        qt.QUiLoader = loader_class({**widgets.CTK_WIDGETS, **widgets.SLICER_WIDGETS})
        self._submodule("i18n", application.make_i18n_module())
        self._submodule("packaging", application.make_packaging_module())
        self._submodule("parameterNodeWrapper", parameter_node.make_module())
        self._submodule("ScriptedLoadableModule", scripted_module.make_module())
        sys.modules["ctk"] = widgets.make_ctk_module()
        slicer.qt, slicer.ctk, slicer.vtk = qt, sys.modules["ctk"], vtk
        for name, widget in widgets.SLICER_WIDGETS.items():
            setattr(slicer, name, widget)
        slicer.qSlicerScriptedLoadableModule = scripted_module.FactoryModule

        self.app = application.Application(application.qt_application())
        slicer.app, slicer.mrmlScene = self.app, self.app.scene
        slicer.modules = application.Modules()
        self.slicer = slicer
        for name, logic in self.app.logics.items():
            setattr(slicer.modules, name.lower(), application.LogicModule(name, logic))
        self._register_sample_data()

    def _submodule(self, name: str, module: types.ModuleType) -> None:
        import slicer

        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)

    def _register_sample_data(self) -> None:
        from .sample_data import make_module

        sys.modules["SampleData"] = make_module()

    @property
    def scene(self) -> object:
        return self.app.scene

    def load_module(self, path: Path) -> object:
        """Load a module file as it is on disk; `slicer.modules.NAME` is then what is returned."""
        from .scripted_module import FactoryModule

        module = FactoryModule(Path(path))
        setattr(self.slicer.modules, module.name.lower(), module)
        self.app.finish_startup()
        return module

    def show_panel(self, module: object, width: int = 500) -> object:
        """The module's panel in a scrolling column, as the module panel of Slicer's main window; gives the column."""
        from PySide6 import QtCore, QtWidgets

        column = QtWidgets.QScrollArea()
        column.setWidgetResizable(True)
        column.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.setWidget(module.widgetRepresentation())
        column.resize(width, 1000)
        column.show()
        self.app.processEvents()
        return column

    def save_panel(self, module: object, path: Path) -> None:
        """A picture of the whole panel, also of what one would have to scroll to."""
        self.app.processEvents()
        path.parent.mkdir(parents=True, exist_ok=True)
        module.widgetRepresentation().grab().save(str(path))

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> float:
        """Run the event loop until `condition()`; returns the longest stall of the loop, s. Raises TimeoutError."""
        end = time.monotonic() + seconds
        longest = 0.0
        while not condition():
            started = time.monotonic()
            if started > end:
                raise TimeoutError(f"{condition} did not become true within {seconds} s")
            self.app.processEvents()
            longest = max(longest, time.monotonic() - started)
            time.sleep(0.002)
        return longest

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() > end, seconds + 5)


def start() -> Host:
    """The host of this process, started at the first call."""
    global _host
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    if _host is None:
        _host = Host()
    return _host
