"""Work that neither needs the worker nor may hold up the GUI: functions in a thread of Slicer's own process.

For NumPy work, which lets other threads run meanwhile. Nothing of the scene may be touched there.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import qt

T = TypeVar("T")

POLL_MS = 10


class Background:
    """Runs functions in a thread, one after the other, and hands what they return to the GUI's thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fedsim-background")
        self._ended: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._running, self._closed = 0, False
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def busy(self) -> bool:
        """Whether something is being done, or has not been handed over yet."""
        return self._running > 0

    def run(self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]) -> None:
        """Call ``work`` in the thread, then ``done`` with what it returned, or ``failed``, in the GUI's thread.

        Once closed, nothing is done: timers of a panel that is being replaced may still come.
        """
        if self._closed:
            return

        def tell(future: Future[T]) -> None:
            error = future.exception()
            if error is None:
                done(future.result())
            else:
                failed(error)

        ended = self._ended
        self._running += 1
        self._timer.start()
        self._executor.submit(work).add_done_callback(lambda future: ended.put(lambda: tell(future)))

    def close(self) -> None:
        """Hand nothing over any more."""
        self._closed = True
        self._timer.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._ended = queue.SimpleQueue()
        self._running = 0

    def _poll(self) -> None:
        while not self._ended.empty():
            self._running -= 1
            self._ended.get()()
        if not self._running:
            self._timer.stop()
