"""A folder of runs or studies: which one the user has typed, and what is done to its files in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctk
import qt
import slicer

from FedSimCore.errors import FedSimError
from FedSimSlicerLib.background import Background

if TYPE_CHECKING:
    from FedSimSlicerLib.repeated_look import RepeatedLook

TYPED_MS = 600
"""After the last key the folder that was typed is looked at; on its way a path leads to large folders."""


class WatchedFolder:
    """Keeps a :class:`RepeatedLook` at the folder that the user types, and remembers it.

    Args:
        widget: the panel's; while it is seen, the folder is looked at more often.
        edit: ctk.ctkPathLineEdit of the folder.
        watch: looks.
        setting: of the application, in which the folder is kept.
        default: name of the folder in the home directory's ``FedSim`` where none was chosen yet.
    """

    def __init__(self, widget: Any, edit: Any, watch: RepeatedLook[Any], setting: str, default: str) -> None:
        self._widget, self._edit, self._watch, self._setting = widget, edit, watch, setting
        self._typing = qt.QTimer()
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPED_MS)
        self._typing.connect("timeout()", self._choose)
        edit.filters = ctk.ctkPathLineEdit.Dirs
        edit.currentPath = str(slicer.app.userSettings().value(setting) or Path.home() / "FedSim" / default)
        watch.folder = self.path
        edit.connect("currentPathChanged(QString)", lambda _path: self._typing.start())

    @property
    def path(self) -> Path:
        """The folder as it was typed last."""
        typed = str(self._edit.currentPath).strip()
        return Path(typed).expanduser().absolute() if typed else self._watch.folder

    def follow(self) -> None:
        """Look more often while the panel is seen; to be called when it is shown or hidden."""
        seen = bool(self._widget.isVisible())
        self._watch.set_pace(seen)
        if seen:
            self._watch.look()

    def close(self) -> None:
        """Look no more."""
        self._typing.stop()
        self._watch.close()

    def _choose(self) -> None:
        if self.path != self._watch.folder:
            self._watch.folder = self.path
            slicer.app.userSettings().setValue(self._setting, str(self.path))
            self._watch.look()


class FileActions:
    """Does what touches files in a thread, and tells what went wrong.

    Args:
        background: the thread.
        tell: shows a sentence to the user; an empty one takes the last away.
        on_acted: called after each action, whether it went well or not.
    """

    def __init__(self, background: Background, tell: Callable[[str], None], on_acted: Callable[[], None]) -> None:
        self._background, self._tell, self._on_acted = background, tell, on_acted

    def do(self, action: Callable[[], Any]) -> None:
        """Do something, soon."""
        self._tell("")
        self._background.run(action, lambda _done: self._on_acted(), self._failed)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, FedSimError):
            logging.error("FedSim: files of a run", exc_info=error)
        self._tell(str(error))
        self._on_acted()
