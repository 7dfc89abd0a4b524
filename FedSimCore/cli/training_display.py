"""A training on the terminal: a bar with the run's own estimate of the time left, and its newest metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from FedSimCore.runs.events import Event

_METRICS_SHOWN = 2


@contextmanager
def training_display() -> Iterator[Callable[[Event], None]]:
    """Give a listener that draws events on standard error; warnings are printed where that is no terminal too."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    from FedSimCore.runs.events import Evaluated, Noted, Progressed

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20, table_column=Column(min_width=5)),
        MofNCompleteColumn(table_column=Column(min_width=9, no_wrap=True)),
        TextColumn("{task.fields[left]}", table_column=Column(min_width=11, no_wrap=True)),
        TextColumn("{task.fields[metrics]}", style="cyan", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("starting", total=None, left="", metrics="")
        metrics: dict[str, float] = {}

        def listen(event: Event) -> None:
            if isinstance(event, Noted) and event.level == "warning":
                typer.echo(f"fedsim: note: {event.text}", err=True)
            if isinstance(event, Progressed | Evaluated):
                metrics.update(event.metrics)
                bars.update(bar, metrics=_in_words(metrics))
            if isinstance(event, Progressed):
                left = time_left(event.seconds_left) if event.total else ""
                bars.update(bar, description=event.stage, completed=event.step, total=event.total or None, left=left)

        yield listen


def _in_words(metrics: dict[str, float]) -> str:
    shown = [(name, value) for name, value in metrics.items() if not name.startswith("time/")]
    return "  ".join(f"{name} {value:.4g}" for name, value in shown[:_METRICS_SHOWN])


def time_left(seconds: float | None) -> str:
    """Return a duration in words, no more exact than it can be."""
    if seconds is None:
        return "time left unknown"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
