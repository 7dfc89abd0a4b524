"""Reading runs again and again, in a thread: only what is new, in portions that leave the GUI's thread its turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from FedSimCore.errors import FedSimError
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.runs.lock import is_locked

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunStatus

PORTION_BYTES = 16_384
"""Of a file that are read in one go: some 2 ms, in which the GUI's thread may have to wait for this one."""
REST_S = 0.001
"""Between two portions."""


class RunReader:
    """Knows the events and the state of runs by their folders."""

    def __init__(self) -> None:
        self._histories: dict[Path, RunHistory] = {}
        self._states: dict[Path, tuple[tuple[bool, bool], RunStatus]] = {}

    def history(self, path: Path) -> RunHistory:
        """Return a run's events, with what is new of them."""
        self._read(path)
        return self._histories[path]

    def status(self, path: Path) -> RunStatus | None:
        """Return a run's state, which is worked out only when something has changed; None if it cannot be read."""
        new = self._read(path)
        run = RunFolder(path)
        now = is_locked(run), run.stop_file.exists()
        if new or path not in self._states or self._states[path][0] != now:
            try:
                self._states[path] = now, self._histories[path].status()
            except FedSimError:  # it is being removed, or its config is damaged
                self._states.pop(path, None)
                return None
        return self._states[path][1]

    def forget_all_but(self, paths: Iterable[Path]) -> None:
        """Forget what is not among these."""
        kept = set(paths)
        self._histories = {path: known for path, known in self._histories.items() if path in kept}
        self._states = {path: known for path, known in self._states.items() if path in kept}

    def _read(self, path: Path) -> bool:
        """Read what is new of a run; returns whether there was something."""
        return read_in_portions(self._histories.setdefault(path, RunHistory(RunFolder(path), read=False)).update)


def read_in_portions(update: Callable[[int], Any]) -> bool:
    """Call a reader of a growing file until nothing comes; returns whether something came."""
    portions = 0
    while update(PORTION_BYTES):
        portions += 1
        time.sleep(REST_S)
    return portions > 0
