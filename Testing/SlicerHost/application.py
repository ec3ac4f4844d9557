"""`slicer.app`, `slicer.modules` and the readers and writers, over the real scene, logics and views of slicer-core."""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .scripted_module import FactoryModule
from .views import ViewBoard

_LAYOUT_WITH_PLOT = '<layout><item><view class="vtkMRMLPlotViewNode" singletontag="1"/></item></layout>'
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class IOManager:
    """`slicer.app.coreIOManager()`: volumes, markups and scenes."""

    def __init__(self, scene: slicer.vtkMRMLScene, host: Application) -> None:
        self._scene, self._host = scene, host

    def fileType(self, path: str) -> str:
        if path.endswith((".mrb", ".mrml")):
            return "SceneFile"
        return "MarkupsFile" if path.endswith(".mrk.json") else "VolumeFile"

    def loadNodes(self, kind: str, properties: dict, nodes: vtk.vtkCollection, messages: Any) -> bool:
        path = properties["fileName"]
        if kind == "SceneFile":
            if properties.get("clear", True):
                self._scene.Clear(False)
            return bool(self._scene.ReadFromMRB(path, False, messages) if path.endswith(".mrb") else self._read(path))
        if kind == "VolumeFile":
            single = 0x8 if properties.get("singleFile") else 0
            name = properties.get("name") or Path(path).stem
            if path.lower().endswith(_PICTURES):
                node = self._picture(path, name)
            else:
                node = self._host.logics["Volumes"].AddArchetypeVolume(path, name, single)
        elif kind == "MarkupsFile":
            node_id = self._host.logics["Markups"].LoadMarkups(
                path, properties.get("name") or Path(path).stem, messages
            )
            node = self._scene.GetNodeByID(node_id) if node_id else None
        else:
            raise NotImplementedError(f"reading '{kind}' is not implemented in SlicerHost")
        if node is not None:
            nodes.AddItem(node)
        return node is not None

    def saveNodes(self, kind: str, properties: dict, messages: Any) -> bool:
        path = properties["fileName"]
        if kind == "SceneFile" and path.endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path, None, messages))
        if kind == "MarkupsFile":
            node = self._scene.GetNodeByID(properties["nodeID"])
            storage = node.GetStorageNode() or node.CreateDefaultStorageNode()
            storage.SetFileName(path)
            return bool(storage.WriteData(node))
        raise NotImplementedError(f"writing '{kind}' is not implemented in SlicerHost")

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        if not node.IsA("vtkMRMLMarkupsNode"):
            raise NotImplementedError(f"writing a {node.GetClassName()} is not implemented in SlicerHost")
        return "MarkupsFile"

    def _picture(self, path: str, name: str) -> slicer.vtkMRMLVolumeNode:
        """What Slicer makes of a picture: 1 mm, columns to L, rows to P. slicer-core has no readers of pictures."""
        import SimpleITK

        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
        kind = "vtkMRMLVectorVolumeNode" if values.ndim == 3 else "vtkMRMLScalarVolumeNode"
        node = self._scene.AddNewNodeByClass(kind, name)
        slicer.util.updateVolumeFromArray(node, values[None])
        node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
        node.CreateDefaultDisplayNodes()
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(path)
        return node

    def _read(self, path: str) -> bool:
        self._scene.SetURL(path)
        return bool(self._scene.Import())


class ModuleManager:
    """`slicer.app.moduleManager()`."""

    def module(self, name: str) -> FactoryModule | None:
        return slicer.modules.__dict__.get(name.lower())


class LogicModule:
    """A module of Slicer of which only the logic is used."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name, self._logic = name, logic

    def logic(self) -> Any:
        return self._logic


class Modules:
    """`slicer.modules`; a module that is not there raises AttributeError."""

    def module_of(self, name: str) -> FactoryModule:
        return getattr(self, name.lower())


class Application:
    """`slicer.app`."""

    applicationName = "Slicer"
    majorVersion, minorVersion = 5, 12

    def __init__(self, qt_application: QtWidgets.QApplication) -> None:
        self._qt_application = qt_application
        self._temporary = tempfile.TemporaryDirectory(prefix="slicer-host-")
        self.temporaryPath = self._temporary.name
        self._startup: list[Callable[[], None]] = []
        self.scene = slicer.vtkMRMLScene()
        self.scene.SetRootDirectory(self.temporaryPath)
        self._make_logics()
        self.views = ViewBoard(self._app_logic, self.scene)
        self._play = self._player()
        self._io = IOManager(self.scene, self)
        self._modules = ModuleManager()
        self._override_cursors = 0

    def _make_logics(self) -> None:
        vtk.vtkOutputWindow.GetInstance().SetDisplayModeToAlwaysStdErr()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        logic = self._app_logic = slicer.vtkSlicerApplicationLogic()
        logic.SetMRMLScene(self.scene)
        logic.GetColorLogic().SetMRMLScene(self.scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        layout = self.scene.AddNode(slicer.vtkMRMLLayoutNode())
        for number in (layout.SlicerLayoutConventionalPlotView, layout.SlicerLayoutFourUpPlotView):
            layout.AddLayoutDescription(number, _LAYOUT_WITH_PLOT)
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)  # patient's right is screen left
        self.logics = {
            "Markups": slicer.vtkSlicerMarkupsLogic(),
            "Volumes": slicer.vtkSlicerVolumesLogic(),
            "Sequences": slicer.vtkSlicerSequencesLogic(),
            "SubjectHierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
            "Tables": slicer.vtkSlicerTablesLogic(),
            "Plots": slicer.vtkSlicerPlotsLogic(),
        }
        remote = self._remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(self.scene)
        remote.GetCacheManager().SetRemoteCacheDirectory(self.temporaryPath)
        io = self._data_io = slicer.vtkDataIOManagerLogic()
        io.SetMRMLApplicationLogic(logic)
        io.SetMRMLScene(self.scene)
        io.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        for name, module_logic in self.logics.items():
            module_logic.SetMRMLScene(self.scene)
            module_logic.SetMRMLApplicationLogic(logic)
            logic.SetModuleLogic(name, module_logic)

    def _player(self) -> QtCore.QTimer:
        """What Slicer's Sequences module does all the time: browsers that play go to the frame that is due."""
        timer = QtCore.QTimer()
        timer.setInterval(20)
        timer.timeout.connect(lambda: self.logics["Sequences"].UpdateAllProxyNodes())
        timer.start()
        return timer

    def testingEnabled(self) -> bool:
        return True

    def connect(self, signal: str, slot: Callable[[], None]) -> None:
        if signal != "startupCompleted()":
            raise NotImplementedError(f"slicer.app has no signal '{signal}' in SlicerHost")
        self._startup.append(slot)

    def finish_startup(self) -> None:
        for slot in self._startup:
            slot()
        self._startup = []

    def processEvents(self) -> None:
        self._qt_application.processEvents()

    def setOverrideCursor(self, _cursor: Any) -> None:
        self._override_cursors += 1

    def restoreOverrideCursor(self) -> None:
        self._override_cursors -= 1

    def topLevelWidgets(self) -> list[QtWidgets.QWidget]:
        return self._qt_application.topLevelWidgets()

    def coreIOManager(self) -> IOManager:
        return self._io

    def moduleManager(self) -> ModuleManager:
        return self._modules

    def layoutManager(self) -> ViewBoard:
        return self.views

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._app_logic

    def pauseRender(self) -> None:
        self.views.pause()

    def resumeRender(self) -> None:
        self.views.resume()

    def aboutToQuit(self) -> None:
        raise NotImplementedError("aboutToQuit is not implemented in SlicerHost")


def make_i18n_module() -> types.ModuleType:
    """`slicer.i18n`: texts are marked, and shown as they are written."""
    module = types.ModuleType("slicer.i18n")

    def tr(text: str) -> str:
        if not isinstance(text, str):
            raise TypeError(f"only a text can be translated, not {text!r}")
        return text

    module.tr = tr
    module.translate = lambda _context, text: tr(text)
    return module


def make_packaging_module() -> types.ModuleType:
    """`slicer.packaging` (Slicer 5.12): installing asks a person, and so does nothing while testing."""
    module = types.ModuleType("slicer.packaging")

    def load_requirements(path: str) -> list[str]:
        lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line]

    def pip_check(requirements: list[str] | str) -> bool:
        from importlib import metadata

        from packaging.requirements import Requirement

        for text in [requirements] if isinstance(requirements, str) else requirements:
            requirement = Requirement(text)
            try:
                if metadata.version(requirement.name) not in requirement.specifier:
                    return False
            except metadata.PackageNotFoundError:
                return False
        return True

    def pip_ensure(requirements: list[str], *, requester: str = "", skip_in_testing: bool = True, **_: Any) -> None:
        if not skip_in_testing:
            raise NotImplementedError("SlicerHost installs no packages")

    module.load_requirements, module.pip_check, module.pip_ensure = load_requirements, pip_check, pip_ensure
    return module


def qt_application() -> QtWidgets.QApplication:
    """The one QApplication of the process."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(sys.argv[:1])


__all__ = [
    "Application",
    "LogicModule",
    "Modules",
    "QtCore",
    "make_i18n_module",
    "make_packaging_module",
    "qt_application",
]
