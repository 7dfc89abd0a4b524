"""Trainings as processes: begun, resumed, stopped, removed, and what becomes of them when Slicer ends.

A training is a ``fedsim`` command in a process of its own, which goes on when Slicer ends, also when it crashes. Those
that shall not are marked by a file in their folder, so that they are known after a reload of the module too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.files import disk_errors
from FedSimCore.runs.control import request_stop, start_in_background
from FedSimCore.runs.events import Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.runs.lock import is_locked
from FedSimSlicerLib.interpreter import python_interpreter
from FedSimSlicerLib.python_path import find_fedsim_core

ENDS_WITH = ".ends-with-slicer"
"""File in a run's folder that holds the number of the Slicer process with which the run ends."""


@dataclass(frozen=True, eq=False)
class Start:
    """A process that was started.

    Attributes:
        run: where it trains.
        process: may be a launcher (PythonSlicer) that waits for its child.
        session: number of the run's newest session before.
    """

    run: RunFolder
    process: subprocess.Popen[bytes]
    session: int

    def begun(self, history: RunHistory) -> bool:
        """Tell whether it makes steps, so that the run's own events tell the rest."""
        return _newest_session(history) > self.session

    def failure(self) -> str:
        """Return why it ended before it made steps; nothing while it is on its way."""
        if self.process.poll() is None:
            return ""
        lines = _tail(self.run.log_file, 4000).splitlines()
        told = next((line for line in reversed(lines) if line.strip()), _("it ended without a word"))
        return told.removeprefix("fedsim: ")


class TrainingRuns:
    """Begins and ends trainings. Nothing here waits for a process; files are small, and may be slow to reach.

    Attributes:
        starting: processes that have not made a step yet, by folder.
    """

    def __init__(self) -> None:
        self.starting: dict[Path, Start] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def begin(self, recipe: str, folder: Path, settings: Sequence[str], keep: bool) -> RunFolder:
        """Start a new run.

        Args:
            recipe: name of one that ships, or its file.
            folder: for the run.
            settings: ``KEY=VALUE`` changes of it.
            keep: go on when Slicer ends.

        Raises:
            FedSimError: there is a run already, or the process can't be started.
        """
        run = RunFolder(folder)
        if run.exists:
            raise InputError(_("{folder} holds a run already; choose another name.").format(folder=folder))
        return self._start(run, ["train", recipe, "-o", str(folder), *_options(settings)], keep)

    def resume(self, folder: Path, settings: Sequence[str], keep: bool) -> RunFolder:
        """Go on with a run.

        Raises:
            FedSimError: there is none, or the process can't be started.
        """
        run = RunFolder(folder)
        run.config()
        return self._start(run, ["runs", "resume", str(folder), *_options(settings)], keep)

    def stop(self, folder: Path) -> None:
        """Let a run save its step and end; one that has not begun to train ends at once.

        Raises:
            FedSimError: the folder can't be written.
        """
        start = self.starting.get(folder)
        if start is not None and not is_locked(start.run):
            _end(start.process)
        else:
            request_stop(RunFolder(folder))

    def delete(self, folder: Path) -> None:
        """Remove a run with all its files.

        Raises:
            InputError: it trains, or is no run.
            DiskError: a file can't be removed.
        """
        run = RunFolder(folder)
        run.config()
        if is_locked(run) or folder in self.starting:
            raise InputError(_("{run} is training; stop it first.").format(run=run.name))
        with disk_errors(folder):
            shutil.rmtree(folder)

    @staticmethod
    def keeps(folder: Path) -> bool:
        """Tell whether a run goes on when this Slicer ends."""
        with suppress(OSError, ValueError):
            return int((folder / ENDS_WITH).read_text()) != os.getpid()
        return True

    def set_keep(self, folder: Path, keep: bool) -> None:
        """Say whether a run goes on when this Slicer ends.

        Raises:
            DiskError: the folder can't be written.
        """
        with disk_errors(folder):
            if keep:
                (folder / ENDS_WITH).unlink(missing_ok=True)
            else:
                (folder / ENDS_WITH).write_text(str(os.getpid()))

    def stop_with_slicer(self, folders: Sequence[Path]) -> None:
        """Let those runs save and end that are not to go on; returns at once, as Slicer is ending."""
        for folder in {*folders, *self.starting}:
            if not self.keeps(folder):
                with suppress(FedSimError):  # it has ended by itself
                    self.stop(folder)

    def started(self, folder: Path) -> None:
        """Take note that a process has begun to train, or has ended before."""
        self.starting.pop(folder, None)
        # Children that have ended are waited for by this.
        self._processes = [process for process in self._processes if process.poll() is None]

    def _start(self, run: RunFolder, arguments: list[str], keep: bool) -> RunFolder:
        session = _newest_session(RunHistory(run))
        with disk_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        self.set_keep(run.path, keep)
        process = start_in_background(run, arguments, Path(python_interpreter()), [Path(find_fedsim_core())])
        self._processes.append(process)
        self.starting[run.path] = Start(run, process, session)
        return run


def _newest_session(history: RunHistory) -> int:
    return max((event.session for event in history.events if isinstance(event, Started)), default=0)


def log_tail(folder: Path, characters: int = 20_000) -> str:
    """Return the end of a run's log, in whole lines; empty if there is none."""
    return _tail(RunFolder(folder).log_file, characters)


def _tail(path: Path, characters: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - characters))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= characters else text.partition("\n")[2]


def _options(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its child; it has its own group (session)."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
    else:
        quiet = subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        subprocess.Popen(["taskkill", "/F", "/T", "/PID", str(process.pid)], creationflags=quiet)
