"""One process trains in a folder, and no other.

The operating system holds the lock for the process and lets go of it when the process ends, however it ends: nothing
stale is left by kill -9 or a power failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors
from FedSimCore.runs.folder import RunFolder

_LOOKING_S = 2.0
"""A reader that asks whether a folder is locked holds the lock for an instant; who starts waits longer than that."""


@contextmanager
def locked(run: RunFolder) -> Iterator[None]:
    """Hold a run's folder.

    Raises:
        InputError: another process trains in it.
        DiskError: the folder can't be written.
    """
    with disk_errors(run.lock_file):
        run.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run.lock_file)
        try:
            lock.acquire(timeout=_LOOKING_S, poll_interval=0.05)
        except Timeout:
            raise InputError(
                f"Another process trains in {run.path}; watch it with `fedsim runs show {run.path}`, "
                f"end it with `fedsim runs stop {run.path}`, or choose another folder."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_locked(run: RunFolder) -> bool:
    """Tell whether a process trains in the folder now."""
    if not run.lock_file.exists():
        return False
    lock = FileLock(run.lock_file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False  # A folder that may only be read: whoever trains there, we can't tell.
    lock.release()
    return False
