"""Q_PROPERTYs as attributes.

PythonQt looks for a property before a method of the same name, so `button.text` is a string and `button.text()` calls
one. Setters and getters of other names (`setText`, `isChecked`) stay methods.
"""

from __future__ import annotations

from types import FunctionType, MethodDescriptorType
from typing import Any

import shiboken6
from PySide6.QtCore import Property, QObject

NOT_AS_ATTRIBUTES = {
    # PythonQtClassInfo::lookForPropertyAndCache passes over this one, so that the static method can be called.
    ("QTimer", "singleShot"),
    # Properties since Qt 6 only; methods in Qt 5.15.
    ("QLayout", "contentsMargins"),
    ("QHeaderView", "sectionsMovable"),
    ("QHeaderView", "sectionsClickable"),
}

# Getters that Qt calls as virtual methods and that are Q_PROPERTYs as well.
VIRTUAL_GETTERS = ("sizeHint", "minimumSizeHint")

_read = QObject.property
_write = QObject.setProperty


def to_python(value: Any) -> Any:
    """A property's or method's value as PythonQt hands it over: lists of Qt's own become tuples."""
    return tuple(value) if isinstance(value, list) else value


class PropertyAttribute:
    """Data descriptor through which one Q_PROPERTY is read and written."""

    def __init__(self, name: str, getter: Any = None, declared: Property | None = None) -> None:
        self.name = name
        self._of_class = getter  # what the class itself shows: the method, to be called with an object
        # The C++ method of the same name is quicker, and not virtual, so there's no recursion; a static one won't do.
        self._getter = getter if isinstance(getter, (MethodDescriptorType, FunctionType)) else None
        self._declared = declared  # a property that one of our stand-ins declares

    def __get__(self, owner: QObject | None, cls: type | None = None) -> Any:
        if owner is None:
            return self._bound_to_class(cls)
        if not shiboken6.isValid(owner):
            raise ValueError(f"Trying to read property '{self.name}' from a destroyed {type(owner).__name__} object")
        return to_python(self._value(owner))

    def _bound_to_class(self, cls: type | None) -> Any:
        if self._of_class is not None:
            return self._of_class.__get__(None, cls) if hasattr(self._of_class, "__get__") else self._of_class
        return self._declared or self

    def _value(self, owner: QObject) -> Any:
        if self._declared is not None:
            return self._declared.fget(owner)
        return self._getter(owner) if self._getter else _read(owner, self.name)

    def __set__(self, owner: QObject, value: Any) -> None:
        if not shiboken6.isValid(owner):
            raise AttributeError(f"Trying to set property '{self.name}' on a destroyed {type(owner).__name__} object")
        value = self._accepted(owner, value)
        if self._declared is not None:
            if self._declared.fset is None:
                raise AttributeError(f"Property '{self.name}' of {type(owner).__name__} object is not writable")
            self._declared.fset(owner, value)
            return
        if not _write(owner, self.name, value):
            meta = owner.metaObject()
            if not meta.property(meta.indexOfProperty(self.name)).isWritable():
                raise AttributeError(f"Property '{self.name}' of {type(owner).__name__} object is not writable")
            raise self._refusal(owner, value)

    def _accepted(self, owner: QObject, value: Any) -> Any:
        """The value in the property's type; stricter than PythonQt, which takes any object for a bool or a string."""
        current = self._value(owner)
        if isinstance(current, bool):
            if not isinstance(value, (bool, int)):
                raise self._refusal(owner, value)
            return bool(value)
        if isinstance(current, str) and not isinstance(value, str):
            raise self._refusal(owner, value)
        if isinstance(current, (int, float)):
            if isinstance(value, str) or not hasattr(value, "__float__"):
                raise self._refusal(owner, value)
            return value if isinstance(value, int) else type(current)(value) if type(current) in (int, float) else value
        return list(value) if isinstance(current, (list, tuple)) else value

    def _refusal(self, owner: QObject, value: Any) -> AttributeError:
        return AttributeError(
            f"Property '{self.name}' of {type(owner).__name__} does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )


def install_properties(cls: type[QObject]) -> None:
    """Turn the Q_PROPERTYs that a C++ class of Qt itself declares into attributes."""
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if (cls.__name__, name) not in NOT_AS_ATTRIBUTES:
            setattr(cls, name, PropertyAttribute(name, vars(cls).get(name)))
            setter = f"set{name[0].upper()}{name[1:]}"
            if meta.property(index).typeName() == "QString" and isinstance(vars(cls).get(setter), MethodDescriptorType):
                setattr(cls, setter, _strict_text_setter(setter, vars(cls)[setter]))
    # A subclass that answers a property by its own virtual getter (QPushButton.sizeHint) must not hide the attribute.
    for base in cls.__mro__[1:]:
        for name, attribute in vars(base).items():
            if isinstance(attribute, PropertyAttribute) and callable(own := vars(cls).get(name)):
                setattr(cls, name, PropertyAttribute(name, own))


def _strict_text_setter(name: str, original: Any) -> Any:
    """A setter of text that takes text: PythonQt would show 'None' for None, PySide6 nothing at all."""

    def setter(self: QObject, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"{type(self).__name__}.{name} takes a string, not {text!r}")
        original(self, text)

    setter.__name__ = name
    return setter
