"""Telling others: a list of functions to be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Signal(Generic[P]):
    """Calls every connected function, in the order in which they were connected."""

    def __init__(self) -> None:
        self._listeners: list[Callable[P, None]] = []

    def connect(self, listener: Callable[P, None]) -> Callable[[], None]:
        """Call ``listener`` from now on; returns a function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call them all."""
        for listener in list(self._listeners):
            listener(*args, **kwargs)
