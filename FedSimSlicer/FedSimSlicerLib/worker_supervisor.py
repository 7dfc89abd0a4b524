"""The thread that starts the worker, reads what it says, and starts it again when it dies."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from FedSimSlicerLib.worker_events import (
    RequestCancelled,
    RequestDone,
    RequestFailed,
    RequestPart,
    RequestProgress,
    WorkerCrashed,
    WorkerFailed,
    WorkerReady,
)
from FedSimSlicerLib.worker_ledger import CancelOrder, Ledger, Pending
from FedSimSlicerLib.worker_process import WorkerLaunch, WorkerProcess, was_killed, why_it_ended

if TYPE_CHECKING:
    from FedSimCore.worker import protocol


class WorkerState(Enum):
    """Where the worker stands."""

    STOPPED = auto()
    STARTING = auto()
    READY = auto()
    FAILED = auto()


@dataclass
class CrashPolicy:
    """How many crashes within how many seconds are too many."""

    most: int = 3
    within_s: float = 30.0
    _times: deque[float] = field(default_factory=deque, repr=False)

    def too_many(self) -> bool:
        """Count a crash; tell whether the worker should be left alone now."""
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > self.within_s:
            self._times.popleft()
        return len(self._times) >= self.most

    def forget(self) -> None:
        """Begin anew."""
        self._times.clear()


class _CannotServe(Exception):  # noqa: N818 (an outcome, caught here)
    """The worker will not work however often it is started; the text is one sentence."""


class Supervisor:
    """One worker after the other, until stopped or hopeless.

    Args:
        launch: how to start it.
        ledger: what to send, and where to tell what comes back.
        crashes: when to give up.
        start_timeout_s: how long a worker may take to load its libraries.
    """

    def __init__(self, launch: WorkerLaunch, ledger: Ledger, crashes: CrashPolicy, start_timeout_s: float) -> None:
        self._launch = launch
        self._ledger = ledger
        self._crashes = crashes
        self._start_timeout_s = start_timeout_s
        self._stopped = threading.Event()
        self._over = threading.Event()
        self._process: WorkerProcess | None = None
        self._thread = threading.Thread(target=self._run, name="fedsim-worker-reader", daemon=True)
        self.state = WorkerState.STARTING
        self.failure = ""

    @property
    def log(self) -> list[str]:
        """The last lines the worker wrote to its standard error."""
        return [] if self._process is None else self._process.log

    @property
    def pid(self) -> int | None:
        """Process id of the worker."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker and, once it is gone, the thread; returns at once."""
        self._stopped.set()
        # Before another worker takes over the ledger, this one's writer must not take anything from it.
        self._over.set()
        self._ledger.wake()
        process = self._process
        if process is not None:
            process.kill()

    def join(self, timeout_s: float) -> None:
        """Wait until worker, files and thread are gone."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                code, log = self._one_life()
            except _CannotServe as why:
                if not self._stopped.is_set():
                    self._give_up(str(why))
                return
            if self._stopped.is_set():
                return
            sentence = f"The worker {why_it_ended(code, log)}."
            if self._crashes.too_many():
                times = f"That happened {self._crashes.most} times within {self._crashes.within_s:g} seconds"
                self._give_up(
                    f"{sentence} {times}, so it is not started again by itself; see its log, then restart it."
                )
                return
            self.state = WorkerState.STARTING
            self._ledger.tell(WorkerCrashed(f"{sentence} It is being started again; your scene is untouched."))
            self._ledger.lose(f"{sentence} Ask again.", only_sent=True)

    def _give_up(self, sentence: str) -> None:
        self.failure = sentence
        self.state = WorkerState.FAILED
        self._ledger.tell(WorkerFailed(sentence))
        self._ledger.lose(sentence, only_sent=False)

    def _one_life(self) -> tuple[int, list[str]]:
        """Serve one process to its end; return its exit code and log.

        Raises:
            _CannotServe: it ended by itself before it was ready, or took too long.
        """
        process = self._process = self._launched()
        over = self._over = threading.Event()
        if self._stopped.is_set():  # while it was launched, nobody could do this
            over.set()
            process.kill()
        writer = threading.Thread(target=self._write, args=(process, over), name="fedsim-worker-writer", daemon=True)
        patience = threading.Timer(self._start_timeout_s, process.kill)
        patience.daemon = True
        patience.start()
        began, ready = time.monotonic(), False
        try:
            for line in process.lines():
                if self._is_ready(line):
                    ready = True
                    patience.cancel()
                    writer.start()
        finally:
            patience.cancel()
            over.set()
            self._ledger.wake()
            code = process.finish()
            if ready:
                writer.join()
        waited = time.monotonic() - began
        if not ready and waited >= self._start_timeout_s:
            raise _CannotServe(f"The worker was not ready within {waited:.0f} seconds; restart it when idle.")
        if not ready and not was_killed(code):
            raise _CannotServe(
                f"The worker {why_it_ended(code, process.log)} before it was ready; check that FedSim and its "
                f"dependencies are installed for {self._launch.python}."
            )
        return code, process.log

    def _launched(self) -> WorkerProcess:
        try:
            # First use of pydantic here, on this thread: loading it takes longer than a GUI may wait.
            import FedSimCore.worker.protocol  # noqa: F401

            return WorkerProcess(self._launch)
        except ImportError as error:
            raise _CannotServe(
                f"The Python package {error.name!r} is missing in this application's Python; install FedSim's "
                f"dependencies and restart the worker."
            ) from error
        except OSError as error:
            raise _CannotServe(
                f"The worker cannot be started with {self._launch.python} ({error.strerror or error}); choose a Python "
                f"that exists and may be run, and a temporary folder with free space."
            ) from error

    def _is_ready(self, line: bytes) -> bool:
        """Handle a line; tell whether it says that requests are served from now on.

        Raises:
            _CannotServe: the worker says that it cannot work, or is of another version.
        """
        from FedSimCore.errors import InputError
        from FedSimCore.worker import PROTOCOL, protocol

        try:
            reply = protocol.read_reply(line)
        except InputError as error:
            raise _CannotServe(f"The worker does not answer as this module understands ({error}).") from error
        if isinstance(reply, protocol.Hello) and reply.protocol != PROTOCOL:
            raise _CannotServe(
                f"The worker is FedSim {reply.fedsim} (protocol {reply.protocol}), this module speaks protocol "
                f"{PROTOCOL}; install the same version of both."
            )
        if isinstance(reply, protocol.Unusable):
            raise _CannotServe(reply.sentence)
        if isinstance(reply, protocol.Ready) and not self._stopped.is_set():
            self.state = WorkerState.READY
            self._ledger.tell(WorkerReady(reply.device))
            return True
        if not isinstance(reply, protocol.Hello | protocol.Unusable | protocol.Ready):
            self._deliver(reply)
        return False

    def _deliver(
        self, reply: protocol.Progress | protocol.Part | protocol.Done | protocol.Failure | protocol.Cancelled
    ) -> None:
        from FedSimCore.worker import protocol

        if isinstance(reply, protocol.Progress):
            told = reply.model_dump(exclude={"type", "id"})
            self._ledger.note(reply.id, partial(RequestProgress, request=reply.id, **told))
        elif isinstance(reply, protocol.Part | protocol.Done):
            self._deliver_arrays(reply)
        elif isinstance(reply, protocol.Cancelled):
            self._ledger.settle(reply.id, partial(RequestCancelled, request=reply.id))
        elif reply.id is not None:
            told = reply.model_dump(include={"cause", "sentence", "details"})
            self._ledger.settle(reply.id, partial(RequestFailed, request=reply.id, **told))

    def _deliver_arrays(self, reply: protocol.Part | protocol.Done) -> None:
        """Fetch the arrays, here and not in the GUI's thread; those that nobody wants are removed unread."""
        from FedSimCore.errors import InputError
        from FedSimCore.worker import protocol
        from FedSimCore.worker.exchange import read_arrays, remove_arrays

        assert self._process is not None
        number, arrays = reply.id, dict[str, Any]()
        request = self._ledger.wanted(number)
        try:
            if request is not None:
                arrays = read_arrays(self._process.exchange, reply.arrays)
            else:
                remove_arrays(self._process.exchange, reply.arrays)
        except InputError as error:
            lost = partial(RequestFailed, request=number, cause="lost", sentence=str(error))
            self._ledger.settle(number, lost)
            return
        if isinstance(reply, protocol.Part):
            self._ledger.keep(number, arrays)
            self._ledger.note(number, partial(RequestPart, request=number, result=reply.result, arrays=arrays))
            return
        whole = {**(request.parts if request is not None else {}), **arrays}
        done = partial(RequestDone, request=number, result=reply.result, arrays=whole, seconds=reply.seconds)
        self._ledger.settle(number, done)

    def _write(self, process: WorkerProcess, over: threading.Event) -> None:
        while (order := self._ledger.take(over)) is not None:
            line = self._line(process, order)
            if line is None:
                continue
            try:
                process.send(line)
            except (OSError, ValueError):
                return  # The process is gone; the reading thread tells so.

    def _line(self, process: WorkerProcess, order: Pending | CancelOrder) -> bytes | None:
        """Return the message; None if it cannot be made, which is told."""
        from FedSimCore.errors import FedSimError
        from FedSimCore.worker.exchange import write_arrays

        if isinstance(order, CancelOrder):
            return _json({"type": "cancel", "channel": order.channel, "id": order.number})
        try:
            files = write_arrays(process.exchange, order.arrays)
            dump = getattr(order.task, "model_dump", None)
            message = {
                "type": "request",
                "id": order.number,
                "channel": order.channel,
                "follow": order.follow,
                "task": dict(order.task) if dump is None else dump(mode="json"),
                "arrays": {name: entry.model_dump(mode="json") for name, entry in files.items()},
            }
            return _json(message)
        except (FedSimError, OSError, TypeError, ValueError) as error:
            self._ledger.settle(
                order.number, partial(RequestFailed, request=order.number, cause="input", sentence=str(error))
            )
            return None


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
