"""Loading of .ui files into widgets of their true classes.

Stricter than Qt: an unknown class, a property that the class does not have, and a connection whose signal or slot
does not exist raise `UiError` instead of printing a line.

Left out: resource files (`:/Icons/...` of Slicer's own .qrc), button groups' connections.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

custom_widgets: dict[str, type] = {}


class UiError(ValueError):
    """A .ui file names something that does not exist."""


class UiLoader(QtUiTools.QUiLoader):
    """`qt.QUiLoader`."""

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        """A widget of the class that the file names."""
        cls = custom_widgets.get(class_name) or getattr(QtWidgets, class_name, None)
        if cls is None:
            if class_name != "Line":
                raise UiError(f"the host has no widget class {class_name}")
            return super().createWidget(class_name, parent, name)
        widget = cls(parent) if parent is not None else cls()
        widget.setObjectName(name)
        return widget

    def load(self, device: Any, parent: Any = None) -> Any:
        """The widget that a file (an open `qt.QFile`, or a path) describes.

        Raises:
            UiError: the file names a class, property, signal or slot that does not exist.
        """
        path = Path(device if isinstance(device, str) else device.fileName())
        tree = ElementTree.parse(path)
        root = tree.getroot()
        check_classes(root, path)
        connections = _taken_out(root, "connections")
        enums = _enum_properties_taken_out(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        self.setWorkingDirectory(QtCore.QDir(str(path.parent)))
        widget = super().load(buffer, parent)
        if widget is None:
            raise UiError(f"{path.name}: {self.errorString()}")
        for object_name, name, value in enums:
            owner = _named(widget, object_name, path)
            setattr(owner, name, enum_value(type(owner), value))
        _check_properties(widget, root, path)
        for connection in connections:
            _connect(widget, connection, path)
        return widget


def check_classes(root: ElementTree.Element, path: Path) -> None:
    """Refuse a file with classes that the host does not offer, before Qt builds half of it."""
    known = set(custom_widgets) | {"Line"}
    for element in root.iter("widget"):
        if (name := element.get("class", "")) not in known and not hasattr(QtWidgets, name):
            raise UiError(f"{path.name}: the host has no widget class {name} (for {element.get('name')})")


def _taken_out(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    section = root.find(tag)
    if section is None:
        return []
    root.remove(section)
    return list(section)


def _enum_properties_taken_out(root: ElementTree.Element) -> list[tuple[str, str, str]]:
    """Enum properties that our stand-ins declare, as whole numbers: Qt can't know their values."""
    found = []
    for element in root.iter("widget"):
        types = getattr(custom_widgets.get(element.get("class", "")), "_property_types", {})
        for prop in element.findall("property"):
            value = prop.find("set") if prop.find("set") is not None else prop.find("enum")
            if value is not None and types.get(prop.get("name", "")) == "int":
                element.remove(prop)
                found.append((element.get("name", ""), prop.get("name", ""), value.text or ""))
    return found


def enum_value(cls: type, text: str) -> int:
    """The value of 'ctkPathLineEdit::Dirs|ctkPathLineEdit::Files', or of 'Qt::ElideRight'."""
    value = 0
    for name in filter(None, text.split("|")):
        scope, _, key = name.strip().rpartition("::")
        member = getattr(QtCore.Qt if scope == "Qt" else cls, key, None)
        if member is None:
            raise UiError(f"{cls.__name__} has no enum value {name}")
        value |= int(member)
    return value


def _named(widget: Any, name: str, path: Path) -> Any:
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise UiError(f"{path.name}: nothing is named {name!r}")
    return found


def _check_properties(widget: Any, root: ElementTree.Element, path: Path) -> None:
    for element in root.iter("widget"):
        owner = _named(widget, element.get("name", ""), path)
        for prop in element.findall("property"):
            name, meta = prop.get("name", ""), owner.metaObject()
            index, place = meta.indexOfProperty(name), f"({element.get('name')})"
            if prop.get("stdset") != "0" and index < 0:
                raise UiError(f"{path.name}: {element.get('class')} has no property {name!r} {place}")
            key = prop.findtext("enum") or prop.findtext("set")
            if index >= 0 and key and not meta.property(index).enumerator().keysToValue(key)[1]:
                raise UiError(f"{path.name}: {element.get('class')}.{name} has no value {key!r} {place}")


def _connect(widget: Any, connection: ElementTree.Element, path: Path) -> None:
    sender, signal, receiver, slot = (connection.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot"))
    target = _named(widget, receiver, path)
    try:
        method = getattr(target, slot.split("(")[0])
        _named(widget, sender, path).connect(signal, method)
    except (AttributeError, ValueError) as error:
        raise UiError(f"{path.name}: can't connect {sender}.{signal} to {receiver}.{slot}: {error}") from None
