"""PySide6 in the calling style of PythonQt, which Slicer uses: the module `qt`.

PythonQt gives every Qt property as a Python attribute (`button.text`, `box.checked = True`) next to the setters, has
all classes in one module, and returns a plain string from file dialogs. A getter that is called (`button.text()`) fails
there, and so it does here. The classes of PySide6 are changed in place, for this process.
"""

from __future__ import annotations

import ctypes
import sys
import types

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

# Virtual functions of C++ that are also properties: a Python property in their place would be called back by Qt itself.
_VIRTUAL = {"sizeHint", "minimumSizeHint"}
_LIBRARIES = (QtCore, QtGui, QtWidgets)


def keep_constants_alive() -> None:
    """Give None, True and False so many references that no process uses them up.

    PySide6 6.12 takes one from None with every call of a function that returns nothing, and one from True with every
    `disconnect`. Before Python 3.12 they are counted, and after some 20,000 calls, or at its end, Python would abort
    ("deallocating None", "deallocating True or False").
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40  # the first field of every object


def give_properties(qt_class: type) -> None:
    """Put the properties that `qt_class` itself declares into its Python class."""
    meta_object = qt_class.staticMetaObject
    for number in range(meta_object.propertyOffset(), meta_object.propertyCount()):
        name = meta_object.property(number).name()
        if name not in _VIRTUAL:
            setattr(qt_class, name, QtProperty(name, getattr(qt_class, name, None)))


class QtProperty:
    """A property of Qt as an attribute of its objects; of the class it is what it was (`QTimer.singleShot`)."""

    def __init__(self, name: str, of_class: object = None) -> None:
        self._name, self._of_class = name, of_class

    def __get__(self, owner: QtCore.QObject | None, _type: type | None = None) -> object:
        return self._of_class if owner is None else owner.property(self._name)

    def __set__(self, owner: QtCore.QObject, value: object) -> None:
        if not owner.setProperty(self._name, value):
            raise ValueError(f"{type(owner).__name__}.{self._name} cannot be set to {value!r}")


class FileDialog:
    """File dialogs wait for a person, so that a test must not open one."""

    def __getattr__(self, name: str) -> object:
        raise NotImplementedError(f"qt.QFileDialog.{name} would wait for a person; take the path from a widget")


class QtModule(types.ModuleType):
    """The flat module `qt`; a name that Qt does not have raises AttributeError."""

    QUiLoader: type
    QFileDialog = FileDialog()
    Signal = None  # a custom qt.Signal crashes PythonQt

    def __getattr__(self, name: str) -> object:
        for library in _LIBRARIES:
            if hasattr(library, name):
                return getattr(library, name)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


def make_qt_module(ui_loader: type) -> types.ModuleType:
    """The module to register as `qt`."""
    keep_constants_alive()
    for library in _LIBRARIES:
        for name in dir(library):
            candidate = getattr(library, name)
            if isinstance(candidate, type) and issubclass(candidate, QtCore.QObject):
                give_properties(candidate)
    QtCore.QObject.name = QtProperty("objectName")
    module = QtModule("qt")
    module.QUiLoader = ui_loader
    return module


__all__ = ["QtCore", "QtGui", "QtUiTools", "QtWidgets", "give_properties", "make_qt_module"]
