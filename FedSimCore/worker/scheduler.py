"""Which request runs next: the newest of its channel, first come first served, quick ones apart from long ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from FedSimCore.errors import CancelledError
from FedSimCore.worker.protocol import Cancel, Request

Lane = Literal["labels", "numbers", "quick", "results", "long"]

# Each lane is a thread: labels follow a slider while a preview is made, and both while a full rendering runs. What is
# found in one scan is measured while the next is segmented.
LANES: dict[Lane, tuple[str, ...]] = {
    "labels": ("labels",),
    "numbers": (
        "describe",
        "measure",
        "region_histogram",
        "open_model",
        "sample_heart",
        "walk",
        "training_heart",
        "open_segmenter",
    ),
    "quick": ("preview", "enhance"),
    "results": ("surfaces", "measure_labels", "compare_labels"),
    "long": ("mode_table", "fit", "render", "segment"),
}


@dataclass(eq=False)
class Job:
    """A request on its way.

    Attributes:
        request: what was asked for.
        cancelled: set from another thread; the work looks at it between its steps.
    """

    request: Request
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Stop here if nobody wants the answer any more.

        Raises:
            CancelledError: it was cancelled or superseded.
        """
        if self.cancelled.is_set():
            raise CancelledError("The request was cancelled.")


class Scheduler:
    """Runs jobs on one thread for each lane; the latest request of a channel wins.

    A new request takes the place of an older one of its channel that has not begun, and cancels one that has, unless
    it is sent with ``follow``.

    Args:
        run: does a job; it must not raise.
        drop: told of jobs that will never run.
    """

    def __init__(self, run: Callable[[Job], None], drop: Callable[[Job], None]) -> None:
        self._run = run
        self._drop = drop
        self._waiting: list[Job] = []
        self._running: dict[Lane, Job] = {}
        self._change = threading.Condition()

    def start(self) -> None:
        """Start the lanes; they end with the process."""
        for lane in LANES:
            threading.Thread(target=self._serve, args=(lane,), name=f"fedsim-{lane}", daemon=True).start()

    def submit(self, request: Request) -> None:
        """Add a request; it supersedes the older ones of its channel."""
        self._end(request.channel, request.id, running=not request.follow)
        with self._change:
            self._waiting.append(Job(request))
            self._change.notify_all()

    def cancel(self, command: Cancel) -> None:
        """End a channel's requests up to the given one."""
        self._end(command.channel, command.id + 1, running=True)

    def _end(self, channel: str, before: int, running: bool) -> None:
        with self._change:
            old = [job for job in self._waiting if job.request.channel == channel and job.request.id < before]
            self._waiting = [job for job in self._waiting if job not in old]
            if running:
                for job in self._running.values():
                    if job.request.channel == channel and job.request.id < before:
                        job.cancelled.set()
        for job in old:
            self._drop(job)

    def _serve(self, lane: Lane) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._next(lane) is not None)
                job = self._next(lane)
                assert job is not None
                self._waiting.remove(job)
                self._running[lane] = job
            self._run(job)
            with self._change:
                del self._running[lane]

    def _next(self, lane: Lane) -> Job | None:
        return next((job for job in self._waiting if job.request.task.kind in LANES[lane]), None)
