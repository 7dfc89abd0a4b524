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


def silent(done: int, total: int, stage: str, /) -> None:
    """Ignore progress."""
