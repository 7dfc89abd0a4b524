"""Learning that a training should stop: a file in its folder, SIGTERM, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from FedSimCore.runs.folder import RunFolder

_LOOK_EVERY_S = 0.2


class StopRequest:
    """Whether somebody wants the run to stop, and who.

    Attributes:
        reason: how it was asked; empty while nobody has.
    """

    def __init__(self, run: RunFolder) -> None:
        """Watch a run's folder."""
        self.reason = ""
        self._run = run
        self._looked_at = -_LOOK_EVERY_S

    def __call__(self) -> bool:
        """Tell whether to stop; cheap enough for every step."""
        now = time.monotonic()
        if not self.reason and now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            if self._run.stop_file.exists():
                self.reason = "it was asked to stop"
        return bool(self.reason)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take SIGTERM and Ctrl-C as requests; a second one ends the process at once, as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {}

        def asked(number: int, _: FrameType | None) -> None:
            self.reason = f"it received {signal.Signals(number).name}"
            signal.signal(number, before[number])

        for wanted in (signal.SIGTERM, signal.SIGINT):
            before[wanted] = signal.signal(wanted, asked)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
