"""How long a run will still take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW = 200
_FEWEST = 3


class Pace:
    """Estimates the time left from the last steps, with everything that came between them.

    Saving, measuring and pictures count; the first step, in which libraries warm up, does not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin; ``clock`` gives seconds."""
        self._clock = clock
        self._ends: deque[float] = deque(maxlen=_WINDOW + 1)

    def step_done(self) -> None:
        """Remember that a step has just ended."""
        self._ends.append(self._clock())

    def seconds_left(self, steps: int) -> float | None:
        """Return the seconds that so many more steps will take; None before the pace is known."""
        if steps <= 0:
            return 0.0
        if len(self._ends) <= _FEWEST:
            return None
        return steps * (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
