"""A table of rows that come, go and change, while those that are chosen stay so."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import qt

MOST_ROWS = 8
"""That are seen at once; a table scrolls for more."""

Row = tuple[Any, Sequence[str], str]
"""What a row stands for, the texts of its columns, and its tooltip."""


class RowTable:
    """Fills a qt.QTableWidget; what is chosen stays so while rows come, go and change.

    Args:
        table: the widget; its selection mode tells whether several rows can be chosen.
        headers: of the columns.
        right: columns of numbers.
        on_chosen: called when other rows are chosen.
        stretched: the column that takes what width is left.
    """

    def __init__(
        self,
        table: Any,
        headers: Sequence[str],
        right: Sequence[int],
        on_chosen: Callable[[], None],
        stretched: int = 0,
    ) -> None:
        self._table, self._right, self._on_chosen = table, frozenset(right), on_chosen
        self._keys: list[Hashable] = []
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(list(headers))
        prepare_table(table, stretched)
        table.connect("itemSelectionChanged()", on_chosen)

    @property
    def keys(self) -> tuple[Any, ...]:
        """What the rows stand for, in their order."""
        return tuple(self._keys)

    @property
    def all_chosen(self) -> tuple[Any, ...]:
        """What the chosen rows stand for; the one that was clicked last comes first."""
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        current = self._table.currentRow()
        rows.sort(key=lambda row: row != current)
        return tuple(self._keys[row] for row in rows if row < len(self._keys))

    @property
    def chosen(self) -> Any:
        """What the chosen row stands for, of several the one that was clicked last; None without one."""
        return next(iter(self.all_chosen), None)

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows."""
        keys = [key for key, _texts, _tip in rows]
        if keys != self._keys:
            self._arrange(keys)
        for number, (_key, texts, tip) in enumerate(rows):
            for column, text in enumerate(texts):
                item = self._table.item(number, column)
                if item.text() != text:
                    item.setText(text)
                if item.toolTip() != tip:
                    item.setToolTip(tip)
        self._table.visible = bool(rows)
        fit_height(self._table)

    def choose(self, *keys: Hashable) -> None:
        """Choose rows, as if the user had."""
        self._select(keys)
        self._on_chosen()

    def _arrange(self, keys: list[Hashable]) -> None:
        """Bring the rows into another order, with what was chosen in it."""
        chosen = self.all_chosen
        self._keys = keys
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(keys))
        for row in range(len(keys)):
            for column in range(self._table.columnCount):
                if self._table.item(row, column) is None:
                    self._table.setItem(row, column, new_item("", left=column not in self._right))
        self._table.blockSignals(blocked)
        self._select(chosen)
        if self.all_chosen != chosen:
            self._on_chosen()

    def _select(self, keys: Sequence[Hashable]) -> None:
        table = self._table
        blocked = table.blockSignals(True)
        table.clearSelection()
        model, flags = table.selectionModel(), qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
        wanted = [self._keys.index(key) for key in keys if key in self._keys]
        if wanted:
            table.setCurrentCell(wanted[0], 0, qt.QItemSelectionModel.NoUpdate)
        for row in wanted:
            model.select(table.model().index(row, 0), flags)
        table.blockSignals(blocked)
        table.viewport().update()


def prepare_table(table: Any, stretched: int = 0) -> None:
    """Set how a qt.QTableWidget looks in a panel: narrow columns, of which one takes what width is left."""
    table.verticalHeader().hide()
    table.setHorizontalScrollMode(qt.QAbstractItemView.ScrollPerPixel)
    table.setWordWrap(False)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(20)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    if table.columnCount:
        header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)


def fit_height(table: Any, most: int = MOST_ROWS, may_be_wider: bool = False) -> None:
    """Make a qt.QTableWidget as high as its rows.

    Args:
        table: the widget.
        most: rows that are seen at once.
        may_be_wider: leave room for a scroll bar, since its columns can need more width than the panel has.
    """
    rows = min(table.rowCount, most)
    height = sum(table.rowHeight(row) for row in range(rows)) + table.horizontalHeader().sizeHint.height() + 4
    if may_be_wider:
        height += table.horizontalScrollBar().sizeHint.height()
    if table.height != height:
        table.setFixedHeight(height)


def new_item(text: str, left: bool) -> Any:
    """Return an item of a table; numbers are read easier from the right."""
    item = qt.QTableWidgetItem(text)
    item.setTextAlignment(int(qt.Qt.AlignVCenter) | int(qt.Qt.AlignLeft if left else qt.Qt.AlignRight))
    return item
