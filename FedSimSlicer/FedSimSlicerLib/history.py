"""Undo and redo of immutable values."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class History(Generic[Value]):
    """The values that were, and those that were undone.

    Args:
        first: the value at the beginning.
        depth: how many steps can be undone.
    """

    def __init__(self, first: Value, depth: int = 200) -> None:
        self._past: list[Value] = []
        self._present = first
        self._future: list[Value] = []
        self._depth = depth

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier value."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone value."""
        return bool(self._future)

    def record(self, value: Value) -> bool:
        """Take a new value; one that equals the present is not recorded. Returns whether it was."""
        if value == self._present:
            return False
        self._past = [*self._past, self._present][-self._depth :]
        self._present = value
        self._future = []
        return True

    def undo(self) -> Value:
        """Go back and return the value there.

        Raises:
            IndexError: there is none.
        """
        self._future.append(self._present)
        self._present = self._past.pop()
        return self._present

    def redo(self) -> Value:
        """Go forth and return the value there.

        Raises:
            IndexError: there is none.
        """
        self._past.append(self._present)
        self._present = self._future.pop()
        return self._present
