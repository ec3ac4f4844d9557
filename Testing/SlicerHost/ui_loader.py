"""Slicer's loader of .ui files: Qt's own, that knows the custom widgets of CTK and Slicer by name."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

# The one connection that .ui files of Slicer modules make: the root widget hands its scene on.
_SCENE_CONNECTION = ("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")


def loader_class(custom_widgets: dict[str, type]) -> type:
    """A QUiLoader that makes `custom_widgets` and raises on a class that neither Qt nor they have."""

    class UiLoader(QtUiTools.QUiLoader):
        def __init__(self) -> None:
            super().__init__()
            self._problems: list[str] = []

        def load(self, file: QtCore.QFile) -> QtWidgets.QWidget:
            root = ElementTree.fromstring(bytes(file.readAll()))
            receivers = self._take_scene_connections(root)
            buffer = QtCore.QBuffer()
            buffer.setData(ElementTree.tostring(root))
            buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
            widget = super().load(buffer)
            if widget is None or self._problems:
                raise NotImplementedError("; ".join([*self._problems, self.errorString()]))
            for name in receivers:
                receiver = widget.findChild(QtWidgets.QWidget, name)
                if receiver is None:
                    raise ValueError(f"The .ui file hands its scene to '{name}', which it does not hold.")
                widget.sceneReceivers.append(receiver)
            return widget

        def createWidget(self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""):
            if class_name in custom_widgets:
                widget = custom_widgets[class_name](parent)
            elif hasattr(QtWidgets, class_name):
                # made from Python, so that it keeps its Python class when it is looked up again
                widget = getattr(QtWidgets, class_name)(parent)
            elif class_name == "Line":
                widget = super().createWidget(class_name, parent, name)
            else:
                self._problems.append(f"widget class '{class_name}' is not implemented in SlicerHost")
                widget = QtWidgets.QWidget(parent)
            widget.setObjectName(name)
            self._made = [*getattr(self, "_made", []), widget]
            return widget

        def _take_scene_connections(self, root: ElementTree.Element) -> list[str]:
            receivers = []
            for connections in root.findall("connections"):
                for connection in connections:
                    pair = (connection.findtext("signal"), connection.findtext("slot"))
                    if pair != _SCENE_CONNECTION:
                        self._problems.append(f"connection {pair} is not implemented in SlicerHost")
                    receivers.append(connection.findtext("receiver"))
                root.remove(connections)
            return receivers

    return UiLoader
