"""Progress of a task made of parts: one fraction, one estimate of the time that remains, and what is done already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from FedSimCore.progress import Progress as ProgressCallback
from FedSimCore.worker.protocol import Progress, RenderPart

# People read no faster, and the pipe should not be the work.
_SHORTEST_INTERVAL_S = 0.05
# Before that an estimate jumps more than it tells.
_EARLIEST_ESTIMATE_S = 1.0


class Reporter:
    """Turns the progress of parts into that of the whole.

    Args:
        request: id of the request.
        send: where messages go.
        check: called with every report; raises to end the work.
        hand_over: delivers a part of the answer with its arrays, before the rest of it is done.
    """

    def __init__(
        self,
        request: int,
        send: Callable[[Progress], None],
        check: Callable[[], None],
        hand_over: Callable[[RenderPart, Mapping[str, NDArray[Any]]], None],
    ) -> None:
        self.hand_over = hand_over
        self._request = request
        self._send = send
        self.check = check
        self._began = time.monotonic()
        self._sent = -1.0
        self._stage = ""
        self._from, self._to = 0.0, 1.0

    def __call__(self, done: int, total: int, stage: str, /) -> None:
        """Report steps of the current part; this is a :class:`FedSimCore.progress.Progress`."""
        self.check()
        now = time.monotonic()
        if stage == self._stage and done < total and now - self._sent < _SHORTEST_INTERVAL_S:
            return
        self._stage, self._sent = stage, now
        fraction = self._from + (self._to - self._from) * (done / total if total else 1.0)
        elapsed = now - self._began
        known = elapsed >= _EARLIEST_ESTIMATE_S and fraction > 0
        self._send(
            Progress(
                id=self._request,
                stage=stage,
                step=done,
                total=total,
                fraction=min(fraction, 1.0),
                remaining_s=elapsed / fraction * (1 - fraction) if known else None,
            )
        )

    @contextmanager
    def part(self, first: float, last: float) -> Iterator[ProgressCallback]:
        """Within this context all reports count as the part from ``first`` to ``last`` of the enclosing one."""
        outer = self._from, self._to
        width = outer[1] - outer[0]
        self._from, self._to = outer[0] + first * width, outer[0] + last * width
        try:
            yield self
        finally:
            self._from, self._to = outer

    def parts(self, weights: Sequence[float]) -> Iterator[ProgressCallback]:
        """Give one part after the other, as long as their weights say."""
        total, before = sum(weights), 0.0
        for weight in weights:
            with self.part(before / total, (before + weight) / total) as progress:
                yield progress
            before += weight
