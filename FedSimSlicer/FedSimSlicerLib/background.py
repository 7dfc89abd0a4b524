"""Work that neither needs the worker nor may hold up the GUI: functions in threads of Slicer's own process.

For NumPy work on copies of arrays, which lets other threads run meanwhile. Nothing of the scene may be touched there.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import qt

T = TypeVar("T")

POLL_MS = 10


class Background:
    """Runs functions in threads and hands what they return to the GUI's thread."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._running = 0
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def busy(self) -> bool:
        """Whether something is being done, or has not been handed over yet."""
        return self._running > 0

    def run(self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        """Call ``work`` in a thread, then ``done`` with what it returned, or ``failed``, in the GUI's thread."""
        self._running += 1
        self._timer.start()
        threading.Thread(target=self._work, args=(work, done, failed), name="fedsim-background", daemon=True).start()

    def close(self) -> None:
        """Hand nothing over any more."""
        self._timer.stop()
        self._ended = queue.SimpleQueue()
        self._running = 0

    def _work(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        ended = self._ended
        try:
            result = work()
        except Exception as error:
            caught = error
            ended.put(lambda: failed(caught))
        else:
            ended.put(lambda: done(result))

    def _poll(self) -> None:
        while not self._ended.empty():
            tell = self._ended.get()
            self._running -= 1
            tell()
        if not self._running:
            self._timer.stop()
