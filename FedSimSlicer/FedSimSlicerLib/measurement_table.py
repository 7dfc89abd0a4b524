"""The heart's measurements beside their norms, in a table whose rows stay while their numbers change."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.norm_sources import source_of
from FedSimSlicerLib.table_height import TableHeight

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import MeasurementRow

VERDICTS = {"low": "▼", "high": "▲", "normal": "✓", "": ""}
_FLAGGED = (178, 24, 43)
_NAME, _VALUE, _NORM, _VERDICT = range(4)


class MeasurementTable:
    """Fills a qt.QTableWidget with measurements.

    Items are made once; a move of a slider changes texts only, so nothing flickers, and a selected row stays selected.

    Args:
        table: the widget.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        self._rows: Sequence[MeasurementRow] = ()
        self._fresh = True
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Measurement"), _("Value"), _("Normal"), ""])
        self._height = TableHeight(table)

    @property
    def rows(self) -> Sequence[MeasurementRow]:
        """What is shown."""
        return self._rows

    def show(self, rows: Sequence[MeasurementRow]) -> None:
        """Show measurements, which are up to date."""
        self._rows = rows
        if self._table.rowCount != len(rows):
            self._make_items(len(rows))
        for number, row in enumerate(rows):
            self._show_row(number, row)
        self.set_fresh(True)

    def set_fresh(self, fresh: bool) -> None:
        """Grey the numbers out while they are not those of the heart that is shown."""
        if fresh != self._fresh:
            self._fresh = fresh
            self._table.enabled = fresh
            for number, row in enumerate(self._rows):
                self._set_look(number, row)

    def as_text(self) -> str:
        """Return the table as tab separated values, one row a line, with a heading."""
        return "\n".join("\t".join(cells) for cells in self._cells()) + "\n"

    def as_html(self) -> str:
        """Return the table as HTML."""
        heading, *rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in cells) for cells in self._cells()]
        return f"<table><tr>{heading.replace('td>', 'th>')}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _cells(self) -> list[tuple[str, ...]]:
        heading = _("Measurement"), _("Value"), _("Unit"), _("Low"), _("High"), _("Verdict"), _("Source")
        return [
            heading,
            *(
                (
                    row.name,
                    f"{row.value:.{_decimals(row)}f}",
                    _plain_unit(row.unit),
                    _bound(row, row.low),
                    _bound(row, row.high),
                    row.verdict,
                    source_of(row) if row.verdict else "",
                )
                for row in self._rows
            ),
        ]

    def _make_items(self, count: int) -> None:
        self._table.setRowCount(count)
        for row in range(count):
            for column in range(4):
                item = qt.QTableWidgetItem("")
                if column != _NAME:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
        self._height.update()

    def _show_row(self, number: int, row: MeasurementRow) -> None:
        name = f"{row.name} ({_plain_unit(row.unit)})" if row.unit else row.name
        texts = name, f"{row.value:.{_decimals(row)}f}", _interval(row), VERDICTS[row.verdict]
        for column, text in enumerate(texts):
            item = self._table.item(number, column)
            if item.text() != text:
                item.setText(text)
        if self._table.item(number, _NAME).data(qt.Qt.UserRole) != _look(row):
            self._set_look(number, row)

    def _set_look(self, number: int, row: MeasurementRow) -> None:
        """Colour the row and tell its source; done only when that changes."""
        flagged = row.verdict in ("low", "high")
        brush = qt.QBrush(qt.QColor(*_FLAGGED)) if flagged and self._fresh else None
        for column in range(4):
            item = self._table.item(number, column)
            item.setData(qt.Qt.ForegroundRole, brush)
            font = item.font()
            font.setBold(flagged)
            item.setFont(font)
            item.setToolTip(_tool_tip(row))
        self._table.item(number, _NAME).setData(qt.Qt.UserRole, _look(row))


def _look(row: MeasurementRow) -> str:
    return f"{row.verdict} {row.low} {row.high} {row.citation} {row.unit}"


def _tool_tip(row: MeasurementRow) -> str:
    if not row.verdict:
        return _("{name}: no norm is known").format(name=row.name)
    return _("{name}, normal {interval} {unit}\n{source}").format(
        name=row.name, interval=_interval(row), unit=_plain_unit(row.unit), source=source_of(row)
    )


def _interval(row: MeasurementRow) -> str:
    low, high = _bound(row, row.low), _bound(row, row.high)
    if low and high:
        return f"{low}–{high}"
    return f"≥ {low}" if low else f"≤ {high}" if high else ""


def _bound(row: MeasurementRow, value: float | None) -> str:
    return "" if value is None else f"{value:.{_decimals(row)}f}"


def _decimals(row: MeasurementRow) -> int:
    """Return how many decimals tell something: a tenth of a millimetre, a millilitre, a gram."""
    return {"": 2, "ml": 0, "g": 0, "ml/m2": 0, "g/m2": 0}.get(row.unit, 1)


def _plain_unit(unit: str) -> str:
    return unit.replace("m2", "m²").replace("cm3", "cm³")
