"""How long work tells of its progress and learns that it should stop.

A function that takes longer than a second accepts ``progress: Progress`` and calls it between steps.
The command line draws a bar from it, the Slicer module an event; a caller that wants to cancel
raises :class:`FedSimCore.errors.CancelledError` from inside the call.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the number of steps done, their total, and what is being done."""

    def __call__(self, done: int, total: int, stage: str, /) -> None:
        """Report that ``done`` of ``total`` steps of ``stage`` are finished."""


def part_of(progress: Progress, first: float, last: float, stage: str) -> Progress:
    """Return the progress of a part of some work, told to the whole's in thousandths.

    Args:
        progress: of the whole.
        first: share of the whole that is done when the part begins, 0 to 1.
        last: share that is done when it ends.
        stage: what is being done, whatever the part itself calls it.
    """

    def told(done: int, total: int, _: str, /) -> None:
        progress(round(1000 * (first + (last - first) * done / max(total, 1))), 1000, stage)

    return told


def silent(done: int, total: int, stage: str, /) -> None:
    """Ignore progress."""
