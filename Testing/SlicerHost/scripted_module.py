"""`slicer.ScriptedLoadableModule`: the four base classes of a scripted module, after Slicer's developer guide."""

from __future__ import annotations

import importlib
import logging
import sys
import types
import unittest
from pathlib import Path
from typing import Any

import slicer
import slicer.util
from PySide6 import QtGui, QtWidgets


class ScriptedLoadableModule:
    """What Slicer knows of a module before its panel is opened."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        for extension in ("svg", "png"):
            icon = Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}.{extension}"
            if icon.is_file():
                parent.icon = QtGui.QIcon(str(icon))
                break

    def resourcePath(self, name: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / name)

    def getDefaultModuleDocumentationLink(self) -> str:
        return '<p>For more information see the <a href="https://slicer.readthedocs.io">online documentation</a>.</p>'


class ScriptedLoadableModuleWidget:
    """The panel; `self.layout` is where `setup` puts it."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self) -> None:
        """Overridden by the module."""

    def cleanup(self) -> None:
        """Overridden by the module."""

    def onReload(self) -> None:
        slicer.modules.module_of(self.moduleName).reload()


class ScriptedLoadableModuleLogic:
    """Without a panel; owns the module's parameter node in the scene."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        if not self.isSingletonParameterNode:
            raise NotImplementedError("several parameter nodes are not implemented in SlicerHost")
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        if node.GetAttribute("ModuleName") != self.moduleName:
            node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The self-test; Slicer's runner calls every `test*` of it."""

    messageDelay = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # As in Slicer the class can be made without the name of a test.
        super().__init__(*(args or ("runTest",)), **kwargs)

    def runTest(self) -> None:
        names = [name for name in dir(self) if name.startswith("test") and callable(getattr(self, name))]
        for name in names:
            self.setUp()
            getattr(self, name)()
            self.tearDown()

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        logging.info(message)
        slicer.app.processEvents()


class FactoryModule:
    """A loaded module: what `slicer.modules.NAME` is."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.name = path.stem
        self.title, self.helpText, self.acknowledgementText = "", "", ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.icon: QtGui.QIcon | None = None
        self._widget: QtWidgets.QWidget | None = None
        self._load()

    def _load(self) -> None:
        specification = importlib.util.spec_from_file_location(self.name, self.path)
        self.python_module = importlib.util.module_from_spec(specification)
        sys.modules[self.name] = self.python_module
        specification.loader.exec_module(self.python_module)
        self.instance = getattr(self.python_module, self.name)(self)

    def widgetRepresentation(self) -> QtWidgets.QWidget:
        """The panel; made at the first call, as Slicer does when the module is first shown."""
        if self._widget is None:
            from .widgets import SLICER_WIDGETS

            self._widget = SLICER_WIDGETS["qMRMLWidget"]()
            self._widget.setLayout(QtWidgets.QVBoxLayout())
            self._widget.isEntered = False
            self._widget.setMRMLScene(slicer.mrmlScene)
            self.widget = getattr(self.python_module, f"{self.name}Widget")(self._widget)
            setattr(slicer.modules, f"{self.name}Widget", self.widget)
            self.widget.setup()
        return self._widget

    def enter(self) -> None:
        """The user opens the module."""
        self.widgetRepresentation()
        self._widget.isEntered = True
        self.widget.enter()

    def exit(self) -> None:
        """The user goes to another module."""
        self._widget.isEntered = False
        self.widget.exit()

    def close(self) -> None:
        if self._widget is not None:
            self.widget.cleanup()
            self._widget.setMRMLScene(None)  # its node selectors follow the scene no longer
            self._widget.deleteLater()
            self._widget = None

    def reload(self) -> None:
        was_entered = self._widget is not None and self._widget.isEntered
        self.close()
        self._load()
        if was_entered:
            self.enter()


def make_module() -> types.ModuleType:
    """The module to register as `slicer.ScriptedLoadableModule`."""
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    for one in (
        ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest,
    ):  # fmt: skip
        setattr(module, one.__name__, one)
    module.__all__ = [name for name in vars(module) if name.startswith("Scripted")]
    return module
