"""The flat module `qt`."""

from __future__ import annotations

import enum
import sys
from functools import cache
from types import ModuleType
from typing import Any

# Names that the host's `qt` offers beside the classes.
FUNCTIONS = ("qVersion",)


@cache
def install() -> ModuleType:
    """Change PySide6's classes in place and return the module `qt`, which `import qt` gives from then on."""
    from PySide6 import QtCore, QtGui, QtNetwork, QtSvg, QtUiTools, QtWidgets

    from Testing.host.pythonqt import attributes, facts, properties, signals
    from Testing.host.pythonqt.ui_loader import UiLoader

    modules = (QtCore, QtGui, QtWidgets, QtNetwork, QtSvg, QtUiTools)
    classes = {n: c for m in modules for n in dir(m) if isinstance(c := getattr(m, n), type) and n.startswith("Q")}
    ordered = sorted(set(classes.values()), key=lambda c: (len(c.__mro__), c.__name__))
    attributes.install_on_qobject()
    for cls in ordered:
        _make_enums_look_like_integers(cls)
        is_object = issubclass(cls, QtCore.QObject)
        attributes.install_attributes(cls, is_object)
        if is_object:
            signals.install_signals(cls)
            properties.install_properties(cls)
    _install_python_keywords(classes)
    QtGui.QColor.name = _color_name(QtGui.QColor.name, QtGui.QColor.NameFormat)
    QtCore.QTimer.singleShot = staticmethod(_single_shot(QtCore.QTimer.singleShot))

    qt = ModuleType("qt", "Qt 5.15 as PythonQt offers it, played by PySide6")
    offered: dict[str, Any] = {n: c for n, c in classes.items() if not facts.is_absent_class(n)}
    offered |= {n: getattr(QtCore, n) for n in FUNCTIONS} | {"QUiLoader": UiLoader, "Qt": QtCore.Qt}
    vars(qt).update(offered)
    sys.modules["qt"] = qt
    return qt


def _make_enums_look_like_integers(cls: type) -> None:
    for value in [getattr(cls, name, None) for name in dir(cls) if name[:1].isupper()]:
        if isinstance(value, type) and issubclass(value, enum.Enum) and issubclass(value, int):
            value.__repr__ = int.__repr__


def _install_python_keywords(classes: dict[str, type]) -> None:
    """PythonQt answers to `exec_` and `raise_`, since `exec` and `raise` could be no names in Python 2."""
    for cls in classes.values():
        if "exec" in vars(cls) and not hasattr(cls, "exec_"):
            cls.exec_ = vars(cls)["exec"]


def _color_name(original: Any, formats: Any) -> Any:
    """`QColor.name(1)`, as Slicer's own Python calls it: PySide6 wants a member of the enumeration."""

    def name(self: Any, name_format: int = 0) -> str:
        return str(original(self, formats(name_format)))

    return name


def _single_shot(original: Any) -> Any:
    from Testing.host.pythonqt.signals import record_slot_error

    def singleShot(milliseconds: int, callback: Any) -> None:
        def call() -> None:
            try:
                callback()
            except Exception as error:
                record_slot_error("a call of QTimer.singleShot", error)

        original(milliseconds, call)

    return singleShot
