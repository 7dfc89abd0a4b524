"""Tables of the panel "Train": the runs that there are, and where those that are chosen differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimCore.runs.comparison import Comparison
    from FedSimCore.runs.history import RunStatus

MOST_ROWS = 8
"""Of the runs that are seen at once; the table scrolls for more."""
LOSS = "loss"


class RunTable:
    """Fills a qt.QTableWidget with runs; what is chosen stays chosen while rows come, go and change.

    Args:
        table: the widget.
        on_chosen: called when other runs are chosen.
    """

    def __init__(self, table: Any, on_chosen: Callable[[], None]) -> None:
        self._table, self._on_chosen = table, on_chosen
        self._paths: list[Path] = []
        table.setColumnCount(5)
        table.setHorizontalHeaderLabels([_("Run"), _("State"), _("Steps"), _("Left"), _("Loss")])
        _prepare(table)
        table.connect("itemSelectionChanged()", on_chosen)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The runs in their order."""
        return tuple(self._paths)

    @property
    def chosen(self) -> tuple[Path, ...]:
        """The chosen runs; the one that was clicked last comes first."""
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        current = self._table.currentRow()
        rows.sort(key=lambda row: row != current)
        return tuple(self._paths[row] for row in rows if row < len(self._paths))

    def show(self, rows: Sequence[tuple[Path, Sequence[str], str]]) -> None:
        """Show runs: path, texts of the columns, tooltip."""
        paths = [path for path, _texts, _tip in rows]
        if paths != self._paths:
            self._arrange(paths)
        for number, (_path, texts, tip) in enumerate(rows):
            for column, text in enumerate(texts):
                item = self._table.item(number, column)
                if item.text() != text:
                    item.setText(text)
                if item.toolTip() != tip:
                    item.setToolTip(tip)
        self._table.visible = bool(rows)
        _fit_height(self._table)

    def choose(self, paths: Sequence[Path]) -> None:
        """Choose these runs, as if the user had."""
        self._select(paths)
        self._on_chosen()

    def _arrange(self, paths: list[Path]) -> None:
        """Bring the rows into another order, with what was chosen in it."""
        chosen = self.chosen
        self._paths = paths
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(paths))
        for row in range(len(paths)):
            for column in range(self._table.columnCount):
                if self._table.item(row, column) is None:
                    self._table.setItem(row, column, _item("", left=column < 2))
        self._table.blockSignals(blocked)
        self._select(chosen)
        if self.chosen != chosen:
            self._on_chosen()

    def _select(self, paths: Sequence[Path]) -> None:
        table = self._table
        blocked = table.blockSignals(True)
        table.clearSelection()
        model, flags = table.selectionModel(), qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
        wanted = [self._paths.index(path) for path in paths if path in self._paths]
        if wanted:
            table.setCurrentCell(wanted[0], 0, qt.QItemSelectionModel.NoUpdate)
        for row in wanted:
            model.select(table.model().index(row, 0), flags)
        table.blockSignals(blocked)
        table.viewport().update()


class ComparisonTable:
    """Fills a qt.QTableWidget with a comparison: a column for each run, a row for each field that differs.

    Args:
        table: the widget.
        label: qt.QLabel above it.
    """

    def __init__(self, table: Any, label: Any) -> None:
        self._table, self._label = table, label
        self._shown: Comparison | None = None
        _prepare(table)
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
            table.setItem(row, 0, _item(name, left=True))
            for column, text in enumerate(texts):
                table.setItem(row, 1 + column, _item(text, left=False))
                table.item(row, 1 + column).setToolTip(f"{names[column]}: {text}")
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.resizeRowsToContents()
        _fit_height(table, most=20)


def run_row(status: RunStatus, waiting: str | None) -> tuple[Path, Sequence[str], str]:
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


def starting_row(path: Path) -> tuple[Path, Sequence[str], str]:
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


def _prepare(table: Any) -> None:
    table.verticalHeader().hide()
    table.setHorizontalScrollMode(qt.QAbstractItemView.ScrollPerPixel)
    table.setWordWrap(False)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(20)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    if table.columnCount:
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def _fit_height(table: Any, most: int = MOST_ROWS) -> None:
    rows = min(table.rowCount, most)
    height = sum(table.rowHeight(row) for row in range(rows)) + table.horizontalHeader().sizeHint.height() + 4
    if table.columnCount != 5:  # runs side by side may be wider than the panel
        height += table.horizontalScrollBar().sizeHint.height()
    if table.height != height:
        table.setFixedHeight(height)


def _item(text: str, left: bool) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setTextAlignment(int(qt.Qt.AlignVCenter) | int(qt.Qt.AlignLeft if left else qt.Qt.AlignRight))
    return item


def _value_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_value_text(part) for part in value)
    return str(value)
