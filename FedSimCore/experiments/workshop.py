"""Making artifacts: one process at a time for each, whatever fails is recorded, and whatever is there is left alone."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from FedSimCore.errors import CancelledError, DiskError, FedSimError, InputError
from FedSimCore.experiments.artifact import BEGUN_NAME, FAILURE_NAME, LOCK_NAME, Artifact, Bench
from FedSimCore.experiments.planning import Cell
from FedSimCore.files import disk_errors, read_json, write_json

State = Literal["done", "failed", "running", "begun", "waiting"]
LEAST_FREE_BYTES = 200 * 2**20
"""Below it nothing new is begun: half-written checkpoints help nobody."""
_POLL_S = 1.0


class Failure(BaseModel):
    """Why an artifact could not be made.

    Attributes:
        artifact: name of its folder.
        reason: one sentence.
        details: the end of the traceback, for bugs.
        attempt: the call of ``fedsim experiment run`` in which it failed; the next one tries again.
        time: seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    artifact: str
    reason: str
    details: str = ""
    attempt: str
    time: float


def failure_of(artifact: Artifact, root: Path) -> Failure | None:
    """Return why an artifact could not be made; None if it was, or was not tried."""
    path = artifact.folder(root) / FAILURE_NAME
    if artifact.is_done(root) or not path.is_file():
        return None
    try:
        return Failure.model_validate(read_json(path))
    except (InputError, ValidationError):
        return None  # Half a record is as good as none: it is tried again.


def record_failure(artifact: Artifact, root: Path, reason: str, attempt: str, details: str = "") -> None:
    """Write down why an artifact could not be made.

    Raises:
        DiskError: the folder can't be written.
    """
    folder = artifact.folder(root)
    told = Failure(artifact=folder.name, reason=reason, details=details, attempt=attempt, time=time.time())
    write_json(folder / FAILURE_NAME, told.model_dump(mode="json"))


def state_of(cell: Cell, root: Path) -> tuple[State, Failure | None]:
    """Return how far a cell is, and why it failed if it did."""
    if cell.scores.is_done(root):
        return "done", None
    needed = [one for one in cell.scores.with_needs() if not one.is_done(root)]
    for one in needed:
        failure = failure_of(one, root)
        if failure is not None:
            return "failed", failure
    if any(is_being_made(one, root) for one in needed):
        return "running", None
    return ("begun", None) if any(one.folder(root).exists() for one in needed) else ("waiting", None)


def is_being_made(artifact: Artifact, root: Path) -> bool:
    """Tell whether a process makes it now."""
    path = artifact.folder(root) / LOCK_NAME
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


@dataclass(frozen=True)
class Workshop:
    """A process that makes cells, beside others of the same call.

    Attributes:
        bench: where, and on which device.
        attempt: identifies the call; what failed in it is not tried again.
        tell: told what happens, a sentence each.
    """

    bench: Bench
    attempt: str
    tell: Callable[[str], None]

    def run(self, cells: Sequence[Cell]) -> None:
        """Make cells, in their order as far as other processes let it.

        A failure is recorded, and the cells that don't need what failed go on.

        Raises:
            DiskError: the disk is full; nothing that is complete is lost.
            CancelledError: somebody stopped it.
        """
        open_cells = list(cells)
        while open_cells:
            moved = False
            for cell in list(open_cells):
                outcome = self._cell(cell)
                if outcome != "busy":
                    open_cells.remove(cell)
                    moved = True
            if not moved:
                time.sleep(_POLL_S)

    def _cell(self, cell: Cell) -> Literal["done", "failed", "busy"]:
        for artifact in cell.scores.with_needs():
            if artifact.is_done(self.bench.root):
                continue
            failure = failure_of(artifact, self.bench.root)
            if failure is not None and failure.attempt == self.attempt:
                self.tell(f"{cell.name} is left out, because {failure.artifact} failed: {failure.reason}")
                return "failed"
            with _held(artifact, self.bench.root) as held:
                if not held:
                    return "busy"
                if artifact.is_done(self.bench.root):
                    continue
                if not self._make(artifact):
                    return self._cell(cell)  # Tells why.
        self.tell(f"{cell.name} is done.")
        return "done"

    def _make(self, artifact: Artifact) -> bool:
        root = self.bench.root
        folder = artifact.folder(root)
        self._require_space(folder)
        write_json(folder / BEGUN_NAME, {"attempt": self.attempt, "pid": os.getpid(), "time": time.time()})
        self.tell(f"Making {folder.name}.")
        began = time.perf_counter(), time.process_time()
        try:
            with disk_errors(folder):  # A full disk is no fault of this cell.
                facts = dict(artifact.make(self.bench, folder))
        except (DiskError, CancelledError, KeyboardInterrupt):
            raise
        except FedSimError as error:
            record_failure(artifact, root, str(error), self.attempt)
            return False
        except MemoryError:
            record_failure(artifact, root, "The memory did not suffice.", self.attempt)
            return False
        except Exception as error:  # A bug in one cell must not take the others with it.
            reason = f"A bug of FedSim: {type(error).__name__}: {error}"
            record_failure(artifact, root, reason, self.attempt, traceback.format_exc()[-4000:])
            return False
        spent = {"seconds": time.perf_counter() - began[0], "processor_seconds": time.process_time() - began[1]}
        artifact.finish(root, {**facts, **{name: round(value, 1) for name, value in spent.items()}})
        (folder / FAILURE_NAME).unlink(missing_ok=True)
        return True

    def _require_space(self, folder: Path) -> None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES:
            raise DiskError(
                f"The disk is nearly full ({free / 2**20:.0f} MB left at {folder}); free some space and run the "
                "experiment again: it goes on where it was."
            )


@contextmanager
def _held(artifact: Artifact, root: Path) -> Iterator[bool]:
    folder = artifact.folder(root)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
    try:
        yield True
    finally:
        lock.release()
