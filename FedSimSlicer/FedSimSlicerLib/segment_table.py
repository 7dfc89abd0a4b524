"""The table of the panel "Segment": the scene's scans, which of them are to be segmented, and how far each is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.row_table import fit_height, new_item, prepare_table

_NAME, _STATE, _VOLUME = range(3)


@dataclass(frozen=True)
class ScanRow:
    """A scan as it is shown.

    Attributes:
        scan_id: of its node.
        name: of its node.
        state: in words.
        volume: of the heart, in words.
        tip: more about the state.
    """

    scan_id: str
    name: str
    state: str = ""
    volume: str = ""
    tip: str = ""


class ScanTable:
    """Fills a qt.QTableWidget with scans; what is ticked or chosen stays so while rows come, go and change.

    Args:
        table: the widget.
        on_ticked: called when other scans are ticked.
        on_chosen: called when another row is chosen.
    """

    def __init__(self, table: Any, on_ticked: Callable[[], None], on_chosen: Callable[[], None]) -> None:
        self._table, self._on_ticked = table, on_ticked
        self._ids: list[str] = []
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Scan"), _("State"), _("Heart")])
        prepare_table(table, stretched=_NAME)
        table.connect("itemChanged(QTableWidgetItem*)", self._on_item)
        table.connect("itemSelectionChanged()", on_chosen)

    @property
    def ticked(self) -> list[str]:
        """Ids of the ticked scans, in their order."""
        return [each for row, each in enumerate(self._ids) if self._is_ticked(row)]

    @property
    def chosen(self) -> str:
        """Id of the chosen scan; empty for none."""
        rows = [index.row() for index in self._table.selectionModel().selectedRows()]
        return self._ids[rows[0]] if rows and rows[0] < len(self._ids) else ""

    def show(self, rows: Sequence[ScanRow]) -> None:
        """Show scans."""
        ids = [row.scan_id for row in rows]
        blocked = self._table.blockSignals(True)
        if ids != self._ids:
            self._arrange(ids)
        for number, row in enumerate(rows):
            for column, text in enumerate((row.name, row.state, row.volume)):
                item = self._table.item(number, column)
                if item.text() != text:
                    item.setText(text)
                if item.toolTip() != (row.tip or row.name):
                    item.setToolTip(row.tip or row.name)
        self._table.blockSignals(blocked)
        fit_height(self._table)

    def tick(self, ids: Sequence[str]) -> None:
        """Tick these scans and no others, as if the user had."""
        blocked = self._table.blockSignals(True)
        for row, each in enumerate(self._ids):
            self._table.item(row, _NAME).setCheckState(qt.Qt.Checked if each in ids else qt.Qt.Unchecked)
        self._table.blockSignals(blocked)
        self._on_ticked()

    def choose(self, scan_id: str) -> None:
        """Choose a scan's row, as if the user had."""
        if scan_id in self._ids and scan_id != self.chosen:
            self._table.selectRow(self._ids.index(scan_id))

    def _is_ticked(self, row: int) -> bool:
        return bool(self._table.item(row, _NAME).checkState() == qt.Qt.Checked)

    def _arrange(self, ids: list[str]) -> None:
        ticked, chosen = set(self.ticked), self.chosen
        self._ids = []
        self._table.setRowCount(len(ids))
        for row, each in enumerate(ids):
            for column in range(3):
                item = self._table.item(row, column)
                if item is None:
                    item = _new_item(column)
                    self._table.setItem(row, column, item)
                if column == _NAME:
                    item.setCheckState(qt.Qt.Checked if each in ticked else qt.Qt.Unchecked)
        self._ids = ids
        if chosen in ids:
            self._table.selectRow(ids.index(chosen))
        else:
            self._table.clearSelection()

    def _on_item(self, item: Any) -> None:
        if item.column() == _NAME:
            self._on_ticked()


def _new_item(column: int) -> Any:
    item = new_item("", left=column != _VOLUME)
    if column == _NAME:
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        item.setCheckState(qt.Qt.Unchecked)
    else:
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    return item
