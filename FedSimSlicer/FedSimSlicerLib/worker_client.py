"""The GUI's side of the worker: asks, is told, never waits.

All pipes and files are handled by threads; the GUI calls :meth:`WorkerClient.submit` and, from a timer,
:meth:`WorkerClient.poll`, both of which take microseconds. No import of Qt here: the panels bring the timer. The thread
that starts the worker imports pydantic and FedSimCore, this module does not.

Of the requests of one channel the newest wins: older ones that are not sent are forgotten, those that are sent are
ended, and no answer to them is delivered any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from FedSimSlicerLib.worker_events import Event
from FedSimSlicerLib.worker_ledger import Ledger
from FedSimSlicerLib.worker_process import WorkerLaunch
from FedSimSlicerLib.worker_supervisor import CrashPolicy, Supervisor, WorkerState

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import Task

__all__ = ["CrashPolicy", "WorkerClient", "WorkerLaunch", "WorkerState"]

Listener = Callable[[Event], None]


class WorkerClient:
    """Keeps a worker running and hands requests and answers to and fro.

    All methods are for one thread, the GUI's, and none of them blocks (but ``close`` if told to wait).

    Args:
        launch: how to start the worker.
        crashes: when to give up.
        start_timeout_s: how long the worker may take to load its libraries.
    """

    def __init__(
        self, launch: WorkerLaunch, crashes: CrashPolicy | None = None, start_timeout_s: float = 180.0
    ) -> None:
        self._launch = launch
        self._crashes = crashes or CrashPolicy()
        self._start_timeout_s = start_timeout_s
        self._listeners: list[Listener] = []
        self._ledger = Ledger()
        self._supervisor: Supervisor | None = None

    @property
    def state(self) -> WorkerState:
        """Where the worker stands now."""
        return WorkerState.STOPPED if self._supervisor is None else self._supervisor.state

    @property
    def log(self) -> list[str]:
        """The last lines the worker wrote to its standard error."""
        return [] if self._supervisor is None else self._supervisor.log

    @property
    def pid(self) -> int | None:
        """Process id of the running worker."""
        return None if self._supervisor is None else self._supervisor.pid

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; returns a function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def start(self) -> None:
        """Start the worker if it never was or was closed; ``submit`` does so too."""
        if self._supervisor is None:
            self._supervisor = Supervisor(self._launch, self._ledger, self._crashes, self._start_timeout_s)
            self._supervisor.start()

    def restart(self, launch: WorkerLaunch | None = None) -> None:
        """End the worker if it runs and start another one, e.g. with another device, or after it failed.

        Requests that were sent to the old one are told as lost.
        """
        self._launch = launch or self._launch
        self._crashes.forget()
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
            self._ledger.lose("The worker was started anew meanwhile; ask again.", only_sent=True)
        self.start()

    def submit(
        self,
        channel: str,
        task: Task | Mapping[str, Any],
        arrays: Mapping[str, Any] | None = None,
        follow: bool = False,
    ) -> int:
        """Ask for a task.

        Args:
            channel: the newest request of a channel supersedes the older ones.
            task: a task model of :mod:`FedSimCore.worker.protocol`, or its fields.
            arrays: NumPy arrays that go with it; they must not change until the request has ended.
            follow: let an older request of the channel come to its end, and deliver it, if the worker has already begun
                with it. So pictures follow a slider that never rests; without it each move would end the last one.

        Returns:
            The request's number, found again in its events.
        """
        self.start()
        request = self._ledger.add(channel, task, dict(arrays or {}), follow)
        if self._supervisor is not None and self._supervisor.state is WorkerState.FAILED:
            self._ledger.lose(self._supervisor.failure, only_sent=False)
        return request.number

    def cancel(self, channel: str) -> None:
        """End the channel's requests; each that was wanted is told as :class:`RequestCancelled` once it has ended."""
        self._ledger.cancel(channel)

    def busy(self, channel: str) -> bool:
        """Tell whether an answer of the channel is still wanted and on its way."""
        return self._ledger.busy(channel)

    def poll(self, budget_s: float = 0.02) -> int:
        """Deliver events to the listeners, until there are none or the time is used up.

        An exception of a listener leaves the events after it for the next call.

        Returns:
            Number of events delivered.
        """
        delivered, end = 0, time.monotonic() + budget_s
        while (event := self._ledger.next_event()) is not None:
            for listener in list(self._listeners):
                listener(event)
            delivered += 1
            if time.monotonic() >= end:
                break
        return delivered

    def close(self, wait_s: float = 0.0) -> None:
        """End the worker, its children, its files and our threads; pending requests are forgotten.

        Args:
            wait_s: how long to wait until all is gone; 0 to return at once.
        """
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.stop()
            if wait_s > 0:
                supervisor.join(wait_s)
        self._ledger.clear()
