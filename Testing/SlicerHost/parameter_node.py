"""`slicer.parameterNodeWrapper`: a class with typed members becomes a view on a vtkMRMLScriptedModuleNode.

After Docs/developer_guide/parameter_nodes of Slicer: str, int, float, bool, Enum (stored by member name) and MRML
nodes, each with "| None" where it may be absent; `Default`; `connectGui` with the dynamic property
`SlicerParameterName`.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from .widgets import ctkPathLineEdit, qMRMLNodeComboBox


class Default:
    """The value that a member has before it is set."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._generator = generator or (lambda: value)

    def __call__(self) -> Any:
        return self._generator()


class Member:
    """One typed parameter: how it is written into the node and read back."""

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        extras: tuple[Any, ...] = ()
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *extras = typing.get_args(annotation)
        self.is_optional = False
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
            if len(kinds) != 1:
                raise NotImplementedError(f"{name}: {annotation} is not implemented in SlicerHost")
            annotation, self.is_optional = kinds[0], True
        self.name, self.kind = name, annotation
        is_node = isinstance(annotation, type) and issubclass(annotation, slicer.vtkMRMLNode)
        is_enum = isinstance(annotation, type) and issubclass(annotation, enum.Enum)
        if not (is_node or is_enum or annotation in (str, int, float, bool, Path)):
            raise NotImplementedError(f"{name}: a parameter of type {annotation} is not implemented in SlicerHost")
        self.is_node, self.is_enum = is_node, is_enum
        for extra in extras:
            if not isinstance(extra, Default):
                raise NotImplementedError(f"{name}: {extra} is not implemented in SlicerHost")
        named = [extra for extra in extras if isinstance(extra, Default)]
        if is_node or (self.is_optional and default is None):
            self.default = None
        elif named:
            self.default = named[0]()
        elif default is not None:
            self.default = default
        else:
            self.default = next(iter(annotation)) if is_enum else annotation()

    def check(self, value: Any) -> None:
        if value is None and (self.is_optional or self.is_node):
            return
        accepted = (int, float) if self.kind is float else self.kind
        if not isinstance(value, accepted):
            raise TypeError(f"{self.name} takes {self.kind.__name__}, not {value!r}")

    def read(self, node: slicer.vtkMRMLScriptedModuleNode) -> Any:
        if self.is_node:
            found = node.GetNodeReference(self.name)
            return found if found is not None and found.IsA(self.kind.__name__) else None
        text = node.GetParameter(self.name)
        if not text:
            return self.default
        value = json.loads(text)
        if value is None:
            return None
        return self.kind[value] if self.is_enum else self.kind(value)

    def write(self, node: slicer.vtkMRMLScriptedModuleNode, value: Any) -> None:
        self.check(value)
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
            return
        plain = value.name if self.is_enum and value is not None else str(value) if self.kind is Path else value
        node.SetParameter(self.name, json.dumps(plain))


def parameterNodeWrapper(wrapped: type) -> type:
    """The decorator."""
    hints = typing.get_type_hints(wrapped, include_extras=True)
    members = {name: Member(name, hint, wrapped.__dict__.get(name)) for name, hint in hints.items()}

    def __init__(self: Any, node: slicer.vtkMRMLScriptedModuleNode) -> None:
        if not isinstance(node, slicer.vtkMRMLScriptedModuleNode):
            raise TypeError(f"a parameter node wraps a vtkMRMLScriptedModuleNode, not {node!r}")
        object.__setattr__(self, "parameterNode", node)
        object.__setattr__(self, "_connections", {})

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if name not in members:
            raise AttributeError(f"{wrapped.__name__} has no parameter '{name}'")
        setattr(type(self), name, property_of(name)) if name not in type(self).__dict__ else None
        if members[name].read(self.parameterNode) != value or members[name].is_node:
            members[name].write(self.parameterNode, value)

    def property_of(name: str) -> property:
        return property(lambda self: members[name].read(self.parameterNode))

    def connectGui(self: Any, gui: Any) -> int:
        """gui: what slicer.util.childWidgetVariables gives."""
        bound = {}
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                bound[name] = widget
        return self.connectParametersToGui(bound)

    def connectParametersToGui(self: Any, bound: dict[str, Any]) -> int:
        tag = len(self._connections) + 1
        self._connections[tag] = [_connection(self, members, name, widget) for name, widget in bound.items()]
        return tag

    def disconnectGui(self: Any, tag: int) -> None:
        for disconnect in self._connections.pop(tag):
            disconnect()

    def passed_on(name: str) -> Callable[..., Any]:
        return lambda self, *arguments: getattr(self.parameterNode, name)(*arguments)

    content: dict[str, Any] = {name: property_of(name) for name in members}
    for function in (__init__, __setattr__, connectGui, connectParametersToGui, disconnectGui):
        content[function.__name__] = function
    for name in ("AddObserver", "RemoveObserver", "HasObserver", "StartModify", "EndModify", "Modified", "GetID"):
        content[name] = passed_on(name)
    return type(wrapped.__name__, (), {**content, "__doc__": wrapped.__doc__, "__module__": wrapped.__module__})


def _connection(parameters: Any, members: dict[str, Member], name: str, widget: Any) -> Callable[[], None]:
    if name not in members:
        raise ValueError(f"Widget '{widget.name}' is bound to parameter '{name}', which does not exist.")
    read, write, signal = _binding(widget)
    is_updating = False

    def from_widget(*_: Any) -> None:
        if not is_updating:
            setattr(parameters, name, read())

    def from_node(*_: Any) -> None:
        nonlocal is_updating
        is_updating = True
        value = getattr(parameters, name)
        if read() != value:
            write(value)
        is_updating = False

    from_node()
    from_widget()  # a widget that chose by itself (a node selector) tells the node
    signal.connect(from_widget)
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, from_node)

    def disconnect() -> None:
        signal.disconnect(from_widget)
        parameters.RemoveObserver(tag)

    return disconnect


def _binding(widget: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Any]:
    """How a widget's value is read and written, and which signal tells of a change."""
    if isinstance(widget, qMRMLNodeComboBox):
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if isinstance(widget, QtWidgets.QAbstractButton):
        return lambda: widget.checked, widget.setChecked, widget.toggled
    if isinstance(widget, (QtWidgets.QSpinBox, QtWidgets.QDoubleSpinBox)):
        return lambda: widget.value, widget.setValue, widget.valueChanged
    if isinstance(widget, QtWidgets.QLineEdit):
        return lambda: widget.text, widget.setText, widget.textChanged
    if isinstance(widget, ctkPathLineEdit):
        return lambda: widget.currentPath, widget.setCurrentPath, widget.currentPathChanged
    raise NotImplementedError(f"{type(widget).__name__} cannot be bound to a parameter in SlicerHost")


def make_module() -> types.ModuleType:
    """The module to register as `slicer.parameterNodeWrapper`."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.Default = Default
    return module
