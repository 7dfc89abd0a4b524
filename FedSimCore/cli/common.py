"""What the verbs share: a progress bar, and results for people or for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from FedSimCore.progress import Progress

JSON_OPTION = typer.Option(False, "--json", help="Print the result as one JSON object on standard output.")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Draw a bar on standard error from the calls of a :class:`Progress`; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(done: int, total: int, stage: str, /) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object for machines."""
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; every cell is shown with ``str``."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        # The first column names the row and stays whole; where room is short, the others wrap, and none is cut.
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    Console(width=None).print(table)
