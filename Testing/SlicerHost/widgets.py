"""The few widgets of CTK and Slicer that the module uses, after their documentation."""

from __future__ import annotations

import os
import types
from collections.abc import Callable

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .pythonqt import give_properties


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section that opens and closes."""

    contentsCollapsed = QtCore.Signal(bool)
    _TITLE_HEIGHT = 24

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self._title = QtWidgets.QToolButton(self)
        self._title.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._title.setAutoRaise(True)
        self._title.clicked.connect(lambda *_: self._set_collapsed(not self._collapsed))
        self.setContentsMargins(0, self._TITLE_HEIGHT, 0, 0)
        self._set_collapsed(False)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        self._title.setGeometry(0, 0, event.size().width(), self._TITLE_HEIGHT)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(0, 0, self.rect.width(), self._TITLE_HEIGHT, self.palette.button())
        painter.end()

    def _get_text(self) -> str:
        return self._title.property("text")

    def _set_text(self, text: str) -> None:
        self._title.setText(text)
        font = self._title.property("font")
        font.setBold(True)
        self._title.setFont(font)

    def _is_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        changed, self._collapsed = collapsed != self._collapsed, collapsed
        self._title.setArrowType(QtCore.Qt.ArrowType.RightArrow if collapsed else QtCore.Qt.ArrowType.DownArrow)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and child is not self._title:
                child.setVisible(not collapsed)
        self.setMaximumHeight(self._TITLE_HEIGHT if collapsed else 16777215)
        if changed:
            self.contentsCollapsed.emit(collapsed)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        child = event.child()
        if self._collapsed and event.added() and isinstance(child, QtWidgets.QWidget) and child is not self._title:
            child.setVisible(False)

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)

    setText, setCollapsed = _set_text, _set_collapsed


class ctkSearchBox(QtWidgets.QLineEdit):
    """A line to type a search into."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText("Search...")
        self.setClearButtonEnabled(True)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a path, with a button that browses for it."""

    currentPathChanged = QtCore.Signal(str)
    Files, Dirs, Writable, Readable = 2, 1, 0x20, 0x10

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line = QtWidgets.QLineEdit()
        self._browse = QtWidgets.QToolButton()
        self._browse.setText("...")
        layout.addWidget(self._line)
        layout.addWidget(self._browse)
        self._filters = 0
        self._line.editingFinished.connect(lambda: self.currentPathChanged.emit(self._get_path()))

    def _get_path(self) -> str:
        return self._line.property("text")

    def _set_path(self, path: str) -> None:
        if path != self._get_path():
            self._line.setText(path)
            self.currentPathChanged.emit(path)

    def _get_filters(self) -> int:
        return self._filters

    def _set_filters(self, filters: int) -> None:
        self._filters = filters

    currentPath = QtCore.Property(str, _get_path, _set_path)
    setCurrentPath = _set_path

    @property
    def filters(self) -> int:
        return self._filters

    @filters.setter
    def filters(self, filters: int) -> None:
        self._filters = filters

    def addCurrentPathToHistory(self) -> None:
        if self._get_path() and not os.path.exists(self._get_path()):
            raise ValueError(f"{self._get_path()} does not exist")


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that holds a scene and hands it on to the widgets that its .ui file names."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.sceneReceivers: list[QtWidgets.QWidget] = []
        self._scene = None

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._scene = scene
        inner = [child for child in self.findChildren(QtWidgets.QWidget) if isinstance(child, qMRMLWidget)]
        for receiver in [*self.sceneReceivers, *inner]:
            receiver.setMRMLScene(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses one node of given classes; follows the scene.

    As in Slicer the first fitting node is selected by itself where `noneEnabled` is off.
    """

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox()
        layout.addWidget(self._box)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._types: list[str] = []
        self._flags = dict.fromkeys(("addEnabled", "removeEnabled", "editEnabled", "renameEnabled"), True)
        self._flags |= {"noneEnabled": False, "showHidden": False, "showChildNodeTypes": True}
        self._flags["selectNodeUponCreation"] = True
        self._none_display = "None"
        self._scene: slicer.vtkMRMLScene | None = None
        self._tags: list[int] = []
        self._is_filling = False
        self._current_id: str | None = None
        self._box.activated.connect(lambda *_: self._choose(self._box.property("currentData")))

    # -- the interface that Slicer documents --

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags, self._scene = [], scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            self._tags = [scene.AddObserver(event, lambda *_: self._fill()) for event in events]
        self._fill()

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._scene.GetNodeByID(self._current_id) if self._scene and self._current_id else None

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        self.setCurrentNodeID(node.GetID() if node else None)

    def setCurrentNodeID(self, node_id: str | None) -> None:
        if node_id and self._box.findData(node_id) < 0:
            self._fill()
        self._choose(node_id if node_id and self._box.findData(node_id) >= 0 else None)

    @property
    def currentNodeID(self) -> str:
        return self._current_id or ""

    def nodeCount(self) -> int:
        return sum(1 for index in range(self._box.property("count")) if self._box.itemData(index))

    def _choose(self, node_id: str | None) -> None:
        changed, self._current_id = node_id != self._current_id, node_id
        self._box.setCurrentIndex(max(0, self._box.findData(node_id)) if node_id or self._flags["noneEnabled"] else -1)
        if changed:
            self.currentNodeChanged.emit(self.currentNode())

    def _fitting(self) -> list[slicer.vtkMRMLNode]:
        nodes = []
        for name in self._types if self._scene else ():
            found = self._scene.GetNodesByClass(name)
            nodes += [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]
        if not self._flags["showChildNodeTypes"]:
            nodes = [node for node in nodes if node.GetClassName() in self._types]
        return [node for node in nodes if self._flags["showHidden"] or not node.GetHideFromEditors()]

    def _fill(self) -> None:
        if self._is_filling:
            return
        nodes = self._fitting()
        ids = [node.GetID() for node in nodes]
        entries = [(self._none_display, None)] if self._flags["noneEnabled"] else []
        entries += [(node.GetName(), node.GetID()) for node in nodes]
        shown = [(self._box.itemText(k), self._box.itemData(k)) for k in range(self._box.property("count"))]
        if entries != shown:
            self._is_filling = True
            self._box.clear()
            for text, node_id in entries:
                self._box.addItem(text, node_id)
            self._is_filling = False
        first = None if self._flags["noneEnabled"] or not ids else ids[0]
        self._choose(self._current_id if self._current_id in ids else first)

    def _get_types(self) -> list[str]:
        return self._types

    def _set_types(self, types_: list[str]) -> None:
        self._types = [name for name in types_ if name]
        for name in self._types:
            if not hasattr(slicer, name):
                raise ValueError(f"qMRMLNodeComboBox: there is no node class '{name}'")
        self._fill()

    nodeTypes = QtCore.Property("QStringList", _get_types, _set_types)
    noneDisplay = QtCore.Property(
        str, lambda self: self._none_display, lambda self, text: (setattr(self, "_none_display", text), self._fill())[1]
    )


def _flag(name: str) -> QtCore.Property:
    def write(self: qMRMLNodeComboBox, value: bool) -> None:
        self._flags[name] = value
        self._fill()

    return QtCore.Property(bool, lambda self: self._flags[name], write)


class _FlaggedNodeComboBox(qMRMLNodeComboBox):
    addEnabled = _flag("addEnabled")
    removeEnabled = _flag("removeEnabled")
    editEnabled = _flag("editEnabled")
    renameEnabled = _flag("renameEnabled")
    noneEnabled = _flag("noneEnabled")
    showHidden = _flag("showHidden")
    showChildNodeTypes = _flag("showChildNodeTypes")
    selectNodeUponCreation = _flag("selectNodeUponCreation")


_FlaggedNodeComboBox.__name__ = "qMRMLNodeComboBox"

CTK_WIDGETS: dict[str, type] = {
    "ctkCollapsibleButton": ctkCollapsibleButton,
    "ctkPathLineEdit": ctkPathLineEdit,
    "ctkSearchBox": ctkSearchBox,
}
SLICER_WIDGETS: dict[str, type] = {"qMRMLNodeComboBox": _FlaggedNodeComboBox, "qMRMLWidget": qMRMLWidget}


def make_ctk_module() -> types.ModuleType:
    """The module to register as `ctk`; a class that is not implemented raises AttributeError."""
    module = types.ModuleType("ctk")
    for name, widget in CTK_WIDGETS.items():
        setattr(module, name, widget)
    return module


__all__ = ["CTK_WIDGETS", "SLICER_WIDGETS", "Callable", "give_properties", "make_ctk_module"]
