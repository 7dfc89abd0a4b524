"""The worker as the panels use it: a question with the functions that take its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import qt

from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_events import (
    Event,
    RequestCancelled,
    RequestDone,
    RequestFailed,
    RequestPart,
    RequestProgress,
    WorkerEvent,
)

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import Task
    from FedSimSlicerLib.worker_client import WorkerClient

POLL_MS = 5


def _nothing(_event: Any) -> None:
    """Take an event that nobody waits for."""


@dataclass(frozen=True)
class Reply:
    """Functions that take what becomes of a request; each is called in the GUI's thread.

    Attributes:
        done: takes the answer.
        progress: takes every step.
        failed: takes the failure, whose sentence is for the user.
        cancelled: called after a cancellation.
        part: takes a part of the answer that is done before the rest.
    """

    done: Callable[[RequestDone], None]
    progress: Callable[[RequestProgress], None] = _nothing
    failed: Callable[[RequestFailed], None] = _nothing
    cancelled: Callable[[RequestCancelled], None] = _nothing
    part: Callable[[RequestPart], None] = _nothing


class WorkerService:
    """Asks the worker and hands each event to whom it concerns.

    Attributes:
        status: emitted with what happens to the worker itself (ready, crashed, failed).

    Args:
        client: the worker's client.
    """

    def __init__(self, client: WorkerClient) -> None:
        self.client = client
        self.status: Signal[[WorkerEvent]] = Signal()
        self._replies: dict[int, Reply] = {}
        self._channels: dict[int, str] = {}
        self._unsubscribe = client.subscribe(self._on_event)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)
        self._timer.start()

    def ask(
        self,
        channel: str,
        task: Task,
        reply: Reply,
        arrays: Mapping[str, Any] | None = None,
        follow: bool = False,
    ) -> int:
        """Ask for a task; see :meth:`WorkerClient.submit`. Returns the request's number."""
        number = self.client.submit(channel, task, arrays, follow)
        self._replies[number] = reply
        self._channels[number] = channel
        return number

    def cancel(self, channel: str) -> None:
        """End the channel's requests."""
        self.client.cancel(channel)

    def busy(self, channel: str) -> bool:
        """Tell whether an answer of the channel is on its way."""
        return self.client.busy(channel)

    def close(self, wait_s: float = 0.0) -> None:
        """End the worker; nothing is told any more."""
        self._timer.stop()
        self._unsubscribe()
        self._replies.clear()
        self._channels.clear()
        self.client.close(wait_s)

    def _poll(self) -> None:
        self.client.poll()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RequestProgress):
            if event.request in self._replies:
                self._replies[event.request].progress(event)
            return
        if isinstance(event, RequestPart):
            if event.request in self._replies:
                self._replies[event.request].part(event)
            return
        if not isinstance(event, RequestDone | RequestFailed | RequestCancelled):
            self.status.emit(event)
            return
        reply = self._end(event.channel, event.request)
        if reply is None:
            return
        if isinstance(event, RequestDone):
            reply.done(event)
        elif isinstance(event, RequestFailed):
            if event.details:
                logging.error(f"FedSim worker: {event.sentence}\n{event.details}")
            reply.failed(event)
        else:
            reply.cancelled(event)

    def _end(self, channel: str, number: int) -> Reply | None:
        """Forget a request and the older ones of its channel, which are told no more; returns its reply."""
        reply = self._replies.get(number)
        for older in [n for n, name in self._channels.items() if name == channel and n <= number]:
            del self._replies[older], self._channels[older]
        return reply
