"""The requests that are under way, and what is to be told about them; shared by the GUI and the worker's threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Any

from FedSimSlicerLib.worker_events import (
    Event,
    RequestCancelled,
    RequestEvent,
    RequestFailed,
    RequestPart,
    RequestProgress,
    WorkerEvent,
)


class Fate(Enum):
    """What has become of the wish for an answer."""

    WANTED = auto()
    SUPERSEDED = auto()
    CANCELLED = auto()


@dataclass(eq=False)
class Pending:
    """A request whose end was not delivered yet.

    Attributes:
        number: rises with every request.
        channel: of its requests the newest wins.
        task: a task model, or its fields.
        arrays: that go with it.
        follow: older requests of the channel may come to their end.
        fate: whether an answer is still wanted.
        sent: it was handed to the worker.
        settled: its last event is in the queue.
        parts: arrays of its answer that have come already.
    """

    number: int
    channel: str
    task: Any
    arrays: Mapping[str, Any]
    follow: bool
    fate: Fate = field(default=Fate.WANTED, init=False)
    sent: bool = field(default=False, init=False)
    settled: bool = field(default=False, init=False)
    parts: dict[str, Any] = field(default_factory=dict, init=False)


@dataclass(frozen=True)
class CancelOrder:
    """The worker is to end a channel's requests up to a number."""

    channel: str
    number: int


class Ledger:
    """Requests by number, with a queue to the worker and a queue of events to the GUI.

    Every method may be called from any thread; only :meth:`take` waits.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._pending: dict[int, Pending] = {}
        self._cancels: deque[CancelOrder] = deque()
        self._events: SimpleQueue[tuple[Pending | None, Event]] = SimpleQueue()
        self._next = 1

    def add(self, channel: str, task: Any, arrays: Mapping[str, Any], follow: bool) -> Pending:
        """Enter a request; older ones of its channel are superseded, see :meth:`WorkerClient.submit`."""
        with self._change:
            for older in self._wanted_in(channel):
                if not older.sent and not older.settled:
                    del self._pending[older.number]
                elif not follow:
                    older.fate = Fate.SUPERSEDED
            request = Pending(self._next, channel, task, arrays, follow)
            self._next += 1
            self._pending[request.number] = request
            self._change.notify_all()
        return request

    def cancel(self, channel: str) -> None:
        """Want no answer of a channel any more."""
        with self._change:
            sent = [p.number for p in self._pending.values() if p.channel == channel and p.sent and not p.settled]
            if sent:
                self._cancels.append(CancelOrder(channel, max(sent)))
            for request in self._wanted_in(channel):
                request.fate = Fate.CANCELLED
                if not request.sent:
                    self._settle(request, RequestCancelled(channel, request.number))
            self._change.notify_all()

    def busy(self, channel: str) -> bool:
        """Tell whether an answer is still wanted and on its way."""
        with self._change:
            return bool(self._wanted_in(channel))

    def wanted(self, number: int) -> Pending | None:
        """Return the request if its answer is still wanted."""
        with self._change:
            request = self._pending.get(number)
            return request if request is not None and request.fate is Fate.WANTED else None

    def take(self, over: threading.Event) -> Pending | CancelOrder | None:
        """Wait for the next thing to send, and count it as sent; None when ``over`` is set."""
        with self._change:
            while not over.is_set():
                if self._cancels:
                    return self._cancels.popleft()
                for request in self._pending.values():
                    if not request.sent and not request.settled:
                        request.sent = True
                        return request
                self._change.wait()
        return None

    def wake(self) -> None:
        """Let :meth:`take` look at ``over`` again."""
        with self._change:
            self._change.notify_all()

    def note(self, number: int, event: Callable[[str], RequestEvent]) -> None:
        """Tell what ``event`` makes of the channel of a request that goes on."""
        with self._change:
            request = self._pending.get(number)
            if request is not None and not request.settled:
                self._events.put((request, event(request.channel)))

    def keep(self, number: int, arrays: Mapping[str, Any]) -> None:
        """Keep arrays of a part of an answer until the request ends."""
        with self._change:
            request = self._pending.get(number)
            if request is not None:
                request.parts.update(arrays)

    def settle(self, number: int, event: Callable[[str], RequestEvent]) -> None:
        """Tell the end of a request: what ``event`` makes of its channel."""
        with self._change:
            request = self._pending.get(number)
            if request is not None and not request.settled:
                self._settle(request, event(request.channel))

    def lose(self, sentence: str, only_sent: bool) -> None:
        """Settle requests that the worker will never answer."""
        with self._change:
            self._cancels.clear()
            for request in list(self._pending.values()):
                if not request.settled and (request.sent or not only_sent):
                    self._settle(request, RequestFailed(request.channel, request.number, "lost", sentence))

    def tell(self, event: WorkerEvent) -> None:
        """Tell something of the worker itself."""
        self._events.put((None, event))

    def clear(self) -> None:
        """Forget everything."""
        with self._change:
            self._pending.clear()
            self._cancels.clear()
            self._events = SimpleQueue()
            self._change.notify_all()

    def next_event(self) -> Event | None:
        """Return the next event that is still of interest, or None.

        Here, at the last moment, stale ones are dropped.
        """
        while True:
            try:
                request, event = self._events.get_nowait()
            except Empty:
                return None
            if request is None:
                return event
            with self._change:
                last = not isinstance(event, RequestProgress | RequestPart)
                if last:
                    self._pending.pop(request.number, None)
                if request.fate is Fate.WANTED and not isinstance(event, RequestCancelled):
                    return event
                if request.fate is Fate.CANCELLED and last:
                    return RequestCancelled(request.channel, request.number)

    def _wanted_in(self, channel: str) -> list[Pending]:
        return [p for p in self._pending.values() if p.channel == channel and p.fate is Fate.WANTED]

    def _settle(self, request: Pending, event: RequestEvent) -> None:
        request.settled = True
        self._events.put((request, event))
