"""Modal dialogs in tests: answered from a list, and an error where no answer was given.

Nobody is there to close them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtWidgets import QColorDialog, QDialog, QFileDialog, QInputDialog, QMessageBox

STATIC = {
    QMessageBox: ("question", "information", "warning", "critical", "about"),
    QFileDialog: ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"),
    QInputDialog: ("getText", "getItem", "getInt", "getDouble"),
    QColorDialog: ("getColor",),
}


class UnansweredDialogError(AssertionError):
    """A modal dialog opened and the test had no answer for it."""


class Dialogs:
    """Answers to come, and what has been asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[str] = []

    def answer(self, *values: Any) -> None:
        """What the next dialogs give back: a button, a path with its filter, an exec result."""
        self.answers.extend(values)

    def _ask(self, text: str) -> Any:
        self.asked.append(text)
        if not self.answers:
            raise UnansweredDialogError(f"nobody answers the dialog: {text}")
        return self.answers.pop(0)


@contextmanager
def answered_dialogs() -> Iterator[Dialogs]:
    """Take the place of everything that would wait for a person."""
    dialogs = Dialogs()
    originals: list[tuple[type, str, Any]] = []

    def replace(cls: type, name: str, value: Any) -> None:
        originals.append((cls, name, vars(cls).get(name)))
        setattr(cls, name, value)

    def execute(self: Any) -> Any:
        text = f"{self.windowTitle}: {self.text}" if hasattr(self, "text") else self.windowTitle
        return dialogs._ask(f"{self.className()} {text}")

    for cls in (QDialog, QMessageBox, QFileDialog, QInputDialog):
        for name in ("exec", "exec_"):
            replace(cls, name, execute)
    for cls, names in STATIC.items():
        for name in names:
            replace(cls, name, staticmethod(_asking(dialogs, f"{cls.__name__}.{name}")))
    try:
        yield dialogs
    finally:
        for cls, name, original in reversed(originals):
            setattr(cls, name, original) if original is not None else delattr(cls, name)


def _asking(dialogs: Dialogs, name: str) -> Any:
    def ask(*arguments: Any) -> Any:
        return dialogs._ask(f"{name} {' '.join(str(a) for a in arguments[1:3])}")

    return ask
