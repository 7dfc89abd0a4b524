"""Starting a run in the background, and asking one to stop."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import is_locked


def start_in_background(
    run: RunFolder, arguments: Sequence[str], python: Path | None = None, python_path: Sequence[Path] = ()
) -> subprocess.Popen[bytes]:
    """Start a ``fedsim`` command that goes on when the process that started it ends.

    What it prints is appended to the run's ``log.txt``.

    Args:
        run: where it will run.
        arguments: of ``fedsim``, e.g. ``["train", "shape-generator", "-o", "RUN"]``.
        python: interpreter that has FedSim's libraries; this one by default.
        python_path: folders that it has to find modules in.

    Returns:
        The process; it need not be waited for. ``poll()`` tells whether it has ended.

    Raises:
        DiskError: the folder can't be made.
        InputError: the interpreter can't be started.
    """
    environment = dict(os.environ)
    if python_path:
        paths = [str(path) for path in python_path]
        environment["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [environment.get("PYTHONPATH")])])
    command = [str(python or sys.executable), "-m", "FedSimCore.cli.main", *arguments]
    with disk_errors(run.path):
        run.path.mkdir(parents=True, exist_ok=True)
        log = run.log_file.open("ab")
    with log:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **_detached()
            )
        except OSError as error:
            raise InputError(f"{command[0]} cannot be started ({error}); choose another Python interpreter.") from error


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags}
    return {"start_new_session": True}


def request_stop(run: RunFolder) -> None:
    """Ask a run to save a checkpoint after its present step and end; returns at once.

    Raises:
        InputError: there is no run, or nobody trains in it.
        DiskError: the folder can't be written.
    """
    run.config()
    if not is_locked(run):
        raise InputError(f"{run.path} is not running, so there is nothing to stop.")
    with disk_errors(run.stop_file):
        run.stop_file.touch()


def wait_until_ended(run: RunFolder, seconds: float) -> bool:
    """Wait until nobody trains in the folder.

    Returns:
        False if somebody still does after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while is_locked(run):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
