"""Tables of the panel "Federate": studies, the sites of one, and the messages of a site."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.federation_ledger import clock, size_text, what
from FedSimSlicerLib.federation_states import DOING_TIPS, doing_text
from FedSimSlicerLib.training_table import duration_text, state_text

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry
    from FedSimSlicerLib.federation_seen import SiteSeen, StudyRow

MOST_ROWS = 8
"""That are seen at once; a table scrolls for more."""
MOST_MESSAGES = 200
"""Of a ledger that are listed, the newest first; the export has all."""


class RowTable:
    """Fills a qt.QTableWidget of which one row can be chosen, and stays so while rows come, go and change.

    Args:
        table: the widget.
        headers: of the columns.
        stretched: the column that takes what width is left.
        right: columns of numbers.
        on_chosen: called when another row is chosen.
    """

    def __init__(
        self, table: Any, headers: Sequence[str], stretched: int, right: Sequence[int], on_chosen: Callable[[], None]
    ) -> None:
        self._table, self._right, self._on_chosen = table, frozenset(right), on_chosen
        self._keys: list[Any] = []
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(list(headers))
        table.verticalHeader().hide()
        table.setWordWrap(False)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)
        table.connect("itemSelectionChanged()", on_chosen)

    @property
    def keys(self) -> tuple[Any, ...]:
        """What the rows stand for, in their order."""
        return tuple(self._keys)

    @property
    def chosen(self) -> Any:
        """What the chosen row stands for; None without one."""
        rows = [index.row() for index in self._table.selectionModel().selectedRows()]
        return self._keys[rows[0]] if rows and rows[0] < len(self._keys) else None

    def show(self, rows: Sequence[tuple[Any, Sequence[str], str]]) -> None:
        """Show rows: what each stands for, the texts of its columns, its tooltip."""
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
        self._fit()

    def choose(self, key: Any) -> None:
        """Choose a row, as if the user had."""
        self._select(key)
        self._on_chosen()

    def _arrange(self, keys: list[Any]) -> None:
        chosen = self.chosen
        self._keys = keys
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(keys))
        for row in range(len(keys)):
            for column in range(self._table.columnCount):
                if self._table.item(row, column) is None:
                    item = qt.QTableWidgetItem("")
                    side = qt.Qt.AlignRight if column in self._right else qt.Qt.AlignLeft
                    item.setTextAlignment(int(qt.Qt.AlignVCenter) | int(side))
                    self._table.setItem(row, column, item)
        self._table.blockSignals(blocked)
        self._select(chosen)
        if self.chosen != chosen:
            self._on_chosen()

    def _select(self, key: Any) -> None:
        table = self._table
        blocked = table.blockSignals(True)
        table.clearSelection()
        if key in self._keys:
            row = self._keys.index(key)
            table.setCurrentCell(row, 0, qt.QItemSelectionModel.NoUpdate)
            flags = qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
            table.selectionModel().select(table.model().index(row, 0), flags)
        table.blockSignals(blocked)
        table.viewport().update()

    def _fit(self) -> None:
        table = self._table
        rows = min(table.rowCount, MOST_ROWS)
        height = sum(table.rowHeight(row) for row in range(rows)) + table.horizontalHeader().sizeHint.height() + 4
        if table.height != height:
            table.setFixedHeight(height)


def study_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of studies."""
    headers = [_("Study"), _("State"), _("Rounds"), _("Left")]
    return RowTable(table, headers, 0, (2, 3), on_chosen)


def study_row(row: StudyRow) -> tuple[Any, Sequence[str], str]:
    """Return a study's row."""
    name = row.name if row.kind == "study" else _("{site} (kit)").format(site=row.name)
    state = {"starting": _("starting"), "waiting": _("waiting")}.get(row.state) or state_text(row.state)
    left = duration_text(row.seconds_left) if row.seconds_left is not None else "–"
    rounds = f"{row.step}/{row.total}" if row.total else "–"
    return row.path, (name, state, rounds, left), "\n".join(filter(None, [str(row.path), *row.warnings, row.reason]))


def site_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of the sites of a study."""
    headers = [_("Site"), _("State"), _("Cases"), _("Round"), _("Heard"), _("Sent")]
    return RowTable(table, headers, 0, (2, 3, 4, 5), on_chosen)


def site_row(site: SiteSeen, now: float) -> tuple[Any, Sequence[str], str]:
    """Return a site's row."""
    texts = (
        site.name,
        doing_text(site.state.doing),
        site.cases or "–",
        "–" if site.last_round is None else str(site.last_round),
        "–" if site.last_contact is None else heard_text(site.last_contact, now),
        size_text(site.bytes) if site.ledger is not None else "–",
    )
    cases = _("Cases: as the site has told the server, which hears no more of its data.")
    heard = "" if site.last_contact is None else _("Heard of at {time}.").format(time=clock(site.last_contact))
    tips = [site.name, DOING_TIPS[site.state.doing], site.state.reason, heard, cases]
    return site.name, texts, "\n".join(filter(None, tips))


def heard_text(then: float, now: float) -> str:
    """Return when a site was heard of, short: the time of day, or the date of another day."""
    same_day = time.localtime(then)[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if same_day else "%m-%d", time.localtime(then))


def ledger_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of a site's messages."""
    return RowTable(table, [_("Time"), _("Round"), _("What"), _("Size")], 2, (1, 3), on_chosen)


def ledger_rows(entries: Sequence[LedgerEntry], method: str) -> Sequence[tuple[Any, Sequence[str], str]]:
    """Return the rows of the newest messages, the newest first."""
    rows = []
    for entry in entries[: -MOST_MESSAGES - 1 : -1]:
        text = what(entry, method)
        round_ = str(entry.round + 1) if entry.message == "update" else "–"
        rows.append((entry.number, (clock(entry.time), round_, text, size_text(entry.bytes)), text))
    return rows
