"""Properties that our stand-ins only keep, or keep and react to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Property, QObject

from Testing.host.pythonqt.classes import private


def stored(kind: type | str, name: str, default: Any, changed: Callable[[Any], None] | None = None) -> Property:
    """A Q_PROPERTY held in the widget's private state.

    Args:
        kind: its type, as `Property` wants it.
        name: its name.
        default: its value until one is set; lists are copied.
        changed: called with the widget after the value has changed.
    """

    def read(owner: QObject) -> Any:
        value = getattr(private(owner), name, default)
        return list(value) if isinstance(value, list) else value

    def write(owner: QObject, value: Any) -> None:
        if value != read(owner):
            setattr(private(owner), name, value)
            if changed:
                changed(owner)

    return Property(kind, read, write)


def forwarded(kind: type | str, part: str, name: str) -> Property:
    """A Q_PROPERTY that is one of an inner widget, kept as `part` in the private state."""

    def read(owner: QObject) -> Any:
        return getattr(getattr(private(owner), part), name)

    def write(owner: QObject, value: Any) -> None:
        setattr(getattr(private(owner), part), name, value)

    return Property(kind, read, write)
