"""Attributes of Qt objects, as PythonQt reads and writes them.

Reading: a property, a method, a signal, an enum's value; then a dynamic property; then a child of that object name.
Writing: a property, a dynamic property; anything else only on objects of Python subclasses. Methods of C++ take no
keyword arguments.
"""

from __future__ import annotations

import enum
from functools import cache
from types import BuiltinMethodType, MethodType
from typing import Any

import shiboken6
from PySide6.QtCore import Property, QObject, SignalInstance

from Testing.host.pythonqt import facts, signals
from Testing.host.pythonqt.properties import VIRTUAL_GETTERS, PropertyAttribute, to_python

_dynamic_names = QObject.dynamicPropertyNames
_property = QObject.property
_set_property = QObject.setProperty
_children = QObject.children
_object_name = QObject.objectName


class AbsentMember:
    """Stands where Qt 6 has something that Slicer's Qt 5.15 lacks."""

    def __init__(self, cls: type, name: str) -> None:
        self._message = f"{cls.__name__}.{name} is not in Slicer's Qt 5.15 as PythonQt wraps it"

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        raise AttributeError(self._message)

    def __set__(self, owner: Any, value: Any) -> None:
        raise AttributeError(self._message)


class CxxMethod:
    """A bound method of C++: no keyword arguments, lists come back as tuples."""

    __slots__ = ("_method",)

    def __init__(self, method: BuiltinMethodType) -> None:
        self._method = method

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if keywords:
            raise ValueError(f"Called {self.__name__} with keyword arguments, but called slot does not support them")
        return to_python(self._method(*arguments))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CxxMethod) and self._method == other._method

    def __hash__(self) -> int:
        return hash(self._method)

    @property
    def __name__(self) -> str:
        return self._method.__name__


def is_plain_cxx(cls: type) -> bool:
    """Whether objects of this class are C++ objects to a module's author, and so grow no attributes."""
    return cls.__module__.startswith("PySide6.") or "_is_cxx" in vars(cls)


@cache
def _enum_values(cls: type) -> dict[str, enum.Enum]:
    """Enum values by name: PythonQt finds them on objects, too (`QMessageBox().Ok`)."""
    nested = (v for base in cls.__mro__ for v in vars(base).values() if isinstance(v, type))
    return {name: value for e in nested if issubclass(e, enum.Enum) for name, value in e.__members__.items()}


def _dynamic_property_exists(owner: QObject, name: str) -> bool:
    return any(bytes(n.data()).decode() == name for n in _dynamic_names(owner))


def reading(original: Any) -> Any:
    """A `__getattribute__` that sees what PythonQt sees."""

    def __getattribute__(self: QObject, name: str) -> Any:  # noqa: N807 -- the slot's name
        if name == "connect":
            return MethodType(signals.connect, self)
        if name == "disconnect":
            return MethodType(signals.disconnect, self)
        try:
            value = original(self, name)
        except AttributeError as error:
            if name.startswith("_") or not shiboken6.isValid(self):
                raise
            return _other_attribute(self, name, error)
        if name in VIRTUAL_GETTERS and isinstance(attribute := _class_attribute(type(self), name), PropertyAttribute):
            return attribute.__get__(self)
        if type(value) is SignalInstance:  # PySide6 keeps it with the object, where it hides ours
            return signals.BoundSignal(self, name, value)
        if type(value) is list and not name.startswith("_"):
            return tuple(value)
        return CxxMethod(value) if type(value) is BuiltinMethodType and not name.startswith("_") else value

    return __getattribute__


def _class_attribute(cls: type, name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _other_attribute(owner: QObject, name: str, error: AttributeError) -> Any:
    if (value := _enum_values(type(owner)).get(name)) is not None:
        return value
    if _dynamic_property_exists(owner, name):
        return to_python(_property(owner, name))
    for child in _children(owner):
        if _object_name(child) == name:
            return child
    raise AttributeError(f"{type(owner).__name__} has no attribute named '{name}' ({error})") from None


def writing(self: QObject, name: str, value: Any) -> None:
    """A `__setattr__` as strict as PythonQt's."""
    cls = type(self)
    # PySide6 keeps each bound signal, and each slot that it finds in the meta object, with its object.
    if isinstance(value, SignalInstance) or type(value).__name__ == "MetaFunction":
        self.__dict__[name] = value
        return
    for base in cls.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            if isinstance(found, Property):
                PropertyAttribute(name, declared=found).__set__(self, value)
                return
            if hasattr(type(found), "__set__"):
                type(found).__set__(found, self, value)
                return
            if is_plain_cxx(base) and (is_plain_cxx(cls) or not callable(found)):
                raise AttributeError(f"Slot '{name}' can not be overwritten on {cls.__name__} object")
            break
    if _dynamic_property_exists(self, name):
        _set_property(self, name, value)
    elif is_plain_cxx(cls):
        raise AttributeError(
            f"'{name}' does not exist on {cls.__name__} and creating new attributes on C++ objects is not allowed"
        )
    else:
        self.__dict__[name] = value


def _matches(child: QObject, kind: Any, name: str | None) -> bool:
    wanted = kind if isinstance(kind, str) else kind.__name__
    inherits = any(base.__name__ == wanted for base in type(child).__mro__) or child.inherits(wanted)
    return inherits and (name is None or _object_name(child) == name)


def find_children(self: QObject, kind: Any, name: str | None = None) -> tuple[QObject, ...]:
    """All descendants of a class, given as a type or by name, and of an object name if one is given."""
    found: list[QObject] = []
    for child in _children(self):
        if _matches(child, kind, name):
            found.append(child)
        found.extend(find_children(child, kind, name))
    return tuple(found)


def find_child(self: QObject, kind: Any, name: str | None = None) -> QObject | None:
    """The first of `find_children`, nearest level first."""
    children = _children(self)
    for child in children:
        if _matches(child, kind, name):
            return child
    return next((c for c in (find_child(child, kind, name) for child in children) if c is not None), None)


def set_property(self: QObject, name: str, value: Any) -> bool:
    """`setProperty`, which in PySide6 answers False for a dynamic property that it did set."""
    return bool(_set_property(self, name, value)) or _dynamic_property_exists(self, name)


def refuse_keywords(original: Any) -> Any:
    """A constructor that takes no keyword arguments."""

    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807 -- the slot's name
        if keywords:
            raise ValueError(
                f"Called {type(self).__name__}() with keyword arguments, but called slot does not support them"
            )
        original(self, *arguments)

    return __init__


def install_attributes(cls: type, is_object: bool) -> None:
    """Make one class of PySide6 as strict as PythonQt, or stricter."""
    for name in facts.absent_members(cls.__name__):
        setattr(cls, name, AbsentMember(cls, name))
    if not is_object:
        return
    for slot, replacement in (("__getattribute__", reading), ("__init__", refuse_keywords)):
        if slot in vars(cls):
            setattr(cls, slot, replacement(vars(cls)[slot]))
    if "__setattr__" in vars(cls):
        cls.__setattr__ = writing


def install_on_qobject() -> None:
    """What PythonQt adds to every QObject."""
    methods = {
        "findChildren": find_children,
        "findChild": find_child,
        "setProperty": set_property,
        "delete": lambda self: shiboken6.delete(self),
        "className": lambda self: self.metaObject().className(),
        "__bool__": lambda self: shiboken6.isValid(self),
        # Slicer builds PythonQt with PYTHONQT_SUPPORT_NAME_PROPERTY; slicer.util.childWidgetVariables relies on it.
        "name": PropertyAttribute("objectName", _object_name),
    }
    for name, method in methods.items():
        setattr(QObject, name, method)
