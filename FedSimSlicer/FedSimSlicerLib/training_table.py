"""Tables of the panel "Train": the runs that there are, and where those that are chosen differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.row_table import Row, RowTable, fit_height, new_item, prepare_table

if TYPE_CHECKING:
    from FedSimCore.runs.comparison import Comparison
    from FedSimCore.runs.history import RunStatus

LOSS = "loss"


def run_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of runs; what a row stands for is the path of its run."""
    headers = [_("Run"), _("State"), _("Steps"), _("Left"), _("Loss")]
    return RowTable(table, headers, (2, 3, 4), on_chosen)


class ComparisonTable:
    """Fills a qt.QTableWidget with a comparison: a column for each run, a row for each field that differs.

    Args:
        table: the widget.
        label: qt.QLabel above it.
    """

    def __init__(self, table: Any, label: Any) -> None:
        self._table, self._label = table, label
        self._shown: Comparison | None = None
        prepare_table(table)
        self.show(None)

    def show(self, comparison: Comparison | None) -> None:
        """Show a comparison, or that there is none."""
        self._table.visible = comparison is not None
        if comparison is None:
            self._label.text = _("Choose two runs or more in the list to compare them (Ctrl or Shift and click).")
        elif comparison != self._shown:
            self._label.text = _("Settings that differ, then the newest metrics.")
            self._fill(comparison)
        self._shown = comparison

    def _fill(self, comparison: Comparison) -> None:
        rows: list[tuple[str, Sequence[Any]]] = [
            *comparison.config.items(),
            (_("state"), [state_text(state) for state in comparison.states]),
            (_("step"), comparison.steps),
            *comparison.metrics.items(),
        ]
        names = [Path(path).name for path in comparison.runs]
        table = self._table
        table.clear()
        table.setColumnCount(1 + len(names))
        table.setHorizontalHeaderLabels(["", *names])
        table.setRowCount(len(rows))
        for row, (name, values) in enumerate(rows):
            texts = [_value_text(value) for value in values]
            table.setItem(row, 0, new_item(name, left=True))
            for column, text in enumerate(texts):
                table.setItem(row, 1 + column, new_item(text, left=False))
                table.item(row, 1 + column).setToolTip(f"{names[column]}: {text}")
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.resizeRowsToContents()
        fit_height(table, most=20, may_be_wider=True)


def run_row(status: RunStatus, waiting: str | None) -> Row:
    """Return a run's row.

    Args:
        status: of the run.
        waiting: what its process prepares; None if none is starting.
    """
    running = status.state in ("running", "stopping")
    left = duration_text(status.seconds_left) if running and status.seconds_left is not None else ""
    loss = newest_loss(status.metrics)
    state = state_text(status.state) if waiting is None else _("starting")
    texts = (
        status.name,
        state,
        f"{status.step}/{status.total}",
        left or "–",
        "–" if loss is None else f"{loss:.4g}",
    )
    tip = [status.path, status.recipe, status.device, *status.warnings, status.reason]
    return Path(status.path), texts, "\n".join(filter(None, tip))


def starting_row(path: Path) -> Row:
    """Return the row of a run that has told nothing yet."""
    return path, (path.name, _("starting"), "–", "–", "–"), str(path)


def newest_loss(metrics: dict[str, float]) -> float | None:
    """Return the loss that is minimised; of several phases the last one's, which is the generator's of a GAN."""
    names = [name for name in metrics if name.rpartition("/")[2] == LOSS]
    return metrics[names[-1]] if names else None


def state_text(state: str) -> str:
    """Return a run's state in words."""
    return {
        "new": _("new"),
        "running": _("running"),
        "stopping": _("stopping"),
        "stopped": _("stopped"),
        "finished": _("finished"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
    }.get(state, state)


def duration_text(seconds: float) -> str:
    """Return a duration in words, no more exact than it can be."""
    if seconds < 90:
        return _("{seconds:.0f} s").format(seconds=max(1.0, seconds))
    if seconds < 5400:
        return _("{minutes:.0f} min").format(minutes=seconds / 60)
    return _("{hours:.1f} h").format(hours=seconds / 3600)


def _value_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_value_text(part) for part in value)
    return str(value)
