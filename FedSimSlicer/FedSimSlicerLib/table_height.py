"""A table that is as high as its rows, so that the panel scrolls and not the table in it."""

from __future__ import annotations

from typing import Any

import qt


class TableHeight:
    """Keeps a qt.QTableWidget as high as its rows.

    Args:
        table: the widget; texts of its first column are broken into lines where the panel is narrow.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in range(1, table.columnCount):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        # Row heights follow the first column's width, once all columns have theirs.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._fit)
        header.connect("sectionResized(int,int,int)", self._on_resized)
        self.update()

    def update(self) -> None:
        """Fit the height after the present event: rows or their texts are others."""
        self._timer.start()

    def _on_resized(self, column: int, _before: int, _now: int) -> None:
        if column == 0:
            self.update()

    def _fit(self) -> None:
        self._table.resizeRowsToContents()
        heights = sum(self._table.rowHeight(row) for row in range(self._table.rowCount))
        self._table.setFixedHeight(heights + self._table.horizontalHeader().sizeHint.height() + 4)
