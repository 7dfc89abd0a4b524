"""An experiment's processes: one for each device, watched by one that makes nothing itself.

A process that dies (a segmentation fault, the system's out-of-memory killer) takes only what it was making with it:
that is recorded as failed, and a new process takes up the other cells. Where the watching process dies, the others end
at once, as by kill -9; what they were training goes on from its newest checkpoint when the experiment is run again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from FedSimCore.errors import CancelledError, DiskError, ExitCode, FedSimError, InputError
from FedSimCore.experiments.artifact import BEGUN_NAME, Artifact, Bench
from FedSimCore.experiments.definition import read_experiment
from FedSimCore.experiments.planning import Cell, Plan, make_plan
from FedSimCore.experiments.scale import read_scale
from FedSimCore.experiments.workshop import Workshop, failure_of, record_failure
from FedSimCore.files import disk_errors, read_json

ARTIFACTS_NAME, LOG_NAME = "artifacts", "log.txt"
_TELL_EVERY_S = 30.0
_END_WITHIN_S = 300.0


@dataclass(frozen=True)
class Order:
    """What was asked for, so that every process can plan it by itself.

    Attributes:
        experiment: name or file.
        scale: name or file.
        out: folder of the experiments.
        cohorts: site and path of each given cohort.
        only: patterns of cells.
        threads: of the CPU, for each process.
        device: of the process.
        attempt: of this call.
    """

    experiment: str
    scale: str
    out: Path
    cohorts: tuple[tuple[str, Path], ...] = ()
    only: tuple[str, ...] = ()
    threads: int | None = None
    device: str = "cpu"
    attempt: str = ""

    def plan(self) -> Plan:
        """Plan it.

        Raises:
            InputError: see :func:`~FedSimCore.experiments.planning.make_plan`.
        """
        return make_plan(read_experiment(self.experiment), read_scale(self.scale), dict(self.cohorts))

    @property
    def root(self) -> Path:
        """Folder of all artifacts."""
        return self.out / ARTIFACTS_NAME


def checked_devices(devices: Sequence[str]) -> tuple[str, ...]:
    """Check names of devices: ``cpu``, ``cuda`` or ``cuda:NUMBER``; one may stand several times.

    Raises:
        InputError: there is none, or one has another name.
    """
    for device in devices:
        kind, _, number = device.partition(":")
        if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdigit())):
            raise InputError(f"--devices {device!r} is not known; give cpu, cuda or cuda:NUMBER, separated by commas.")
    if not devices:
        raise InputError("--devices names no device; give cpu, cuda or cuda:NUMBER.")
    return tuple(devices)


def run_processes(order: Order, devices: Sequence[str] = ("cpu",)) -> None:
    """Make an order's cells.

    Args:
        order: what was asked for.
        devices: one process for each.

    Raises:
        InputError: it can't be planned.
        DiskError: the disk is full.
        CancelledError: somebody stopped it.
    """
    devices = checked_devices(devices)
    cells = order.plan().chosen(order.only)
    if all(cell.scores.is_done(order.root) for cell in cells):
        return
    order = replace(order, attempt=uuid.uuid4().hex)
    with disk_errors(order.root):
        order.root.mkdir(parents=True, exist_ok=True)
    _Watch(order, devices, cells).run()


class _Watch:
    def __init__(self, order: Order, devices: Sequence[str], cells: Sequence[Cell]) -> None:
        self._order, self._devices = order, devices
        self._artifacts = {one.key: one for cell in cells for one in cell.scores.with_needs()}
        self._context = get_context("spawn")
        self._running: dict[SpawnProcess, tuple[str, connection.Connection]] = {}

    def run(self) -> None:
        before = (
            signal.signal(signal.SIGTERM, _interrupt) if threading.current_thread() is threading.main_thread() else None
        )
        try:
            for device in self._devices:
                self._start(device)
            while self._running:
                connection.wait([process.sentinel for process in self._running])
                for process in [one for one in self._running if not one.is_alive()]:
                    self._ended(process)
        except BaseException as error:
            self._stop()
            if isinstance(error, KeyboardInterrupt):
                raise CancelledError("Stopped; what was begun is kept, and the same command goes on with it.") from None
            raise
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def _start(self, device: str) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(replace(self._order, device=device), theirs))
        process.start()
        theirs.close()
        self._running[process] = device, ours

    def _ended(self, process: SpawnProcess) -> None:
        device, pipe = self._running.pop(process)
        code = process.exitcode
        told = _message_in(pipe) if code != 0 else None
        pipe.close()
        if code == 0:
            return
        if told is not None:
            kind, sentence = told
            raise {ExitCode.DISK: DiskError, ExitCode.CANCELLED: CancelledError}.get(kind, InputError)(sentence)
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        lost = [one for one in self._artifacts.values() if self._was_making(one, process.pid)]
        if not lost:
            raise FedSimError(f"A process for {device} ended {how} before it made anything; see {self._order.out}.")
        for artifact in lost:
            reason = f"Its process ended {how}; if the system killed it, memory ran out."
            record_failure(artifact, self._order.root, reason, self._order.attempt)
        self._start(device)

    def _was_making(self, artifact: Artifact, pid: int | None) -> bool:
        root = self._order.root
        begun = artifact.folder(root) / BEGUN_NAME
        if artifact.is_done(root) or not begun.is_file():
            return False
        failure = failure_of(artifact, root)
        if failure is not None and failure.attempt == self._order.attempt:
            return False
        told = read_json(begun)
        return bool(told["attempt"] == self._order.attempt and told["pid"] == pid)

    def _stop(self) -> None:
        """Let every process save and end."""
        for process in self._running:
            process.terminate()
        deadline = time.monotonic() + _END_WITHIN_S
        for process in self._running:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()


def _message_in(pipe: connection.Connection) -> tuple[ExitCode, str] | None:
    """Return what a process that has ended told; None where it was killed, whose pipe is at its end."""
    try:
        told: tuple[ExitCode, str] | None = pipe.recv() if pipe.poll() else None
    except (EOFError, OSError):
        return None
    return told


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def work(order: Order, pipe: connection.Connection) -> None:
    """Make cells in this process, until there are none left; tell through the pipe why not, if so."""
    kind, _, number = order.device.partition(":")
    if kind == "cuda":
        # Before torch is imported: then every part of FedSim that takes "cuda" takes this card.
        os.environ["CUDA_VISIBLE_DEVICES"] = number or os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    _end_with_parent()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    log = Log(order.out / LOG_NAME, order.device)
    try:
        import torch

        if order.threads is not None:
            torch.set_num_threads(order.threads)
        if kind == "cuda" and not torch.cuda.is_available():
            raise InputError(f"There is no {order.device} here; take --devices cpu.")
        bench = Bench(order.root, kind, order.threads, log.progress)
        Workshop(bench, order.attempt, log.tell).run(order.plan().chosen(order.only))
    except FedSimError as error:
        pipe.send((error.exit_code, str(error)))
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        pipe.send((ExitCode.CANCELLED, "Stopped; what was begun is kept, and the same command goes on with it."))
        sys.exit(int(ExitCode.CANCELLED))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(int(ExitCode.BUG))

    threading.Thread(target=watch, daemon=True).start()


class Log:
    """Sentences on standard error and in a file, and progress from time to time.

    Args:
        path: of the file.
        device: stands before every sentence.
        echo: also told; standard error by default.
    """

    def __init__(self, path: Path, device: str, echo: Callable[[str], Any] | None = None) -> None:
        self._path, self._device = path, device
        self._echo = echo or (lambda line: print(line, file=sys.stderr, flush=True))
        self._told = time.monotonic()

    def tell(self, sentence: str) -> None:
        """Tell a sentence."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{self._device}] {sentence}"
        self._told = time.monotonic()
        self._echo(line)
        with disk_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def progress(self, done: int, total: int, stage: str, /) -> None:
        """Tell of progress, at most every half minute."""
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self.tell(f"{stage}: {done} of {total}")
