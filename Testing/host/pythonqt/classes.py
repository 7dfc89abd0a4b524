"""The decorator that makes a stand-in written in Python look like a C++ class wrapped by PythonQt."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any, TypeVar

from PySide6.QtCore import QMetaMethod, QObject, Signal

from Testing.host.pythonqt.properties import VIRTUAL_GETTERS, PropertyAttribute, to_python
from Testing.host.pythonqt.signals import SignalAttribute

Class = TypeVar("Class", bound=type)


def private(owner: QObject, **state: Any) -> SimpleNamespace:
    """A stand-in's state, out of reach of the strict attributes: what Qt's own classes call their d-pointer."""
    namespace: SimpleNamespace = owner.__dict__.setdefault("_d", SimpleNamespace())
    vars(namespace).update(state)
    return namespace


def cxx_class(header: str, constructor_arguments: int = 1) -> Callable[[Class], Class]:
    """Make a subclass of a Qt class look like one written in C++.

    Its `Property`s become attributes, its `Signal`s are checked by signature, its objects grow no attributes, and its
    constructor takes only what Slicer's wrapper takes: a parent, or nothing.

    Args:
        header: the header of the class that it stands for, relative to the checkout of Slicer or CTK; the tests compare
            the two.
        constructor_arguments: how many arguments the wrapped constructor takes at most.
    """

    def decorate(cls: Class) -> Class:
        cls._is_cxx, cls._header = True, header
        cls._property_types, cls._signal_signatures = _what_moc_says(cls)
        virtual = {}
        for part in _undecorated(cls):
            virtual.update(_make_look_like_cxx(part))
        cls.__init__ = _constructor(cls, cls.__init__, virtual, constructor_arguments)
        return cls

    return decorate


def _what_moc_says(cls: Any) -> tuple[dict[str, str], list[str]]:
    """Types of properties and signatures of signals; read here since a static meta object dies with an early object."""
    meta = cls.staticMetaObject
    properties = (meta.property(i) for i in range(meta.propertyCount()))
    methods = (meta.method(i) for i in range(meta.methodCount()))
    signals = [m for m in methods if m.methodType() == QMetaMethod.MethodType.Signal]
    return (
        {p.name(): p.typeName() for p in properties},
        [bytes(m.methodSignature().data()).decode() for m in signals],
    )


def _undecorated(cls: type) -> list[type]:
    """The class and those of its bases that are ours and not decorated themselves: mixins and common bases."""
    own = [c for c in cls.__mro__[1:] if c.__module__.startswith("Testing.host.")]
    return [cls, *(c for c in own if "_is_cxx" not in vars(c) and "_looks_like_cxx" not in vars(c))]


def _make_look_like_cxx(cls: Any) -> dict[str, Any]:
    """Replace a class's own signals and slots; give the getters that Qt calls as virtual methods.

    Its `Property`s stay: Qt looks for them when a .ui file sets one. `attributes.writing` checks what they are given.
    """
    cls._looks_like_cxx = True
    virtual = {name: vars(cls)[name] for name in VIRTUAL_GETTERS if callable(vars(cls).get(name))}
    for name, value in list(vars(cls).items()):
        if isinstance(value, Signal):
            setattr(cls, name, SignalAttribute(name, value))
        elif isinstance(value, FunctionType) and not name.startswith("_") and not is_virtual(cls, name):
            setattr(cls, name, _slot(value))
    for name, getter in virtual.items():
        setattr(cls, name, PropertyAttribute(name, getter))
    return virtual


def is_virtual(cls: type, name: str) -> bool:
    """Whether a method overrides one of Qt's, and so belongs to Qt's API and not to the stand-in's."""
    return any(name in vars(base) for base in cls.__mro__[1:] if base.__module__.startswith("PySide6."))


def _slot(function: FunctionType) -> Any:
    """A slot of C++ takes no keyword arguments, and its lists come back as tuples."""

    @functools.wraps(function)
    def slot(self: Any, *arguments: Any) -> Any:
        return to_python(function(self, *arguments))

    return slot


def _constructor(cls: type, original: Any, virtual: dict[str, Any], most: int) -> Any:
    def __init__(self: Any, *arguments: Any) -> None:  # noqa: N807 -- the slot's name
        if len(arguments) > most:
            raise ValueError(f"Called {cls.__name__}() with wrong argument types: {arguments!r}")
        # PySide6 looks for a virtual's override in the object's dictionary first; attributes are read through the
        # class, where the name is a property.
        me = weakref.ref(self)
        for name, getter in virtual.items():
            if isinstance(vars(type(self)).get(name, vars(cls)[name]), PropertyAttribute):
                self.__dict__.setdefault(name, lambda getter=getter: getter(me()))
        original(self, *arguments)

    return __init__
