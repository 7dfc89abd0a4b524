"""Tables of the panel "Federate": studies, the sites of one, and the messages of a site."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimSlicerLib.federation_ledger import clock, size_text, what
from FedSimSlicerLib.federation_states import DOING_TIPS, doing_text
from FedSimSlicerLib.row_table import Row, RowTable
from FedSimSlicerLib.training_table import duration_text, state_text

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry
    from FedSimSlicerLib.federation_seen import SiteSeen, StudyRow

MOST_MESSAGES = 200
"""Of a ledger that are listed, the newest first; the export has all."""


def study_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of studies."""
    headers = [_("Study"), _("State"), _("Rounds"), _("Left")]
    return RowTable(table, headers, (2, 3), on_chosen)


def study_row(row: StudyRow) -> Row:
    """Return a study's row."""
    name = row.name if row.kind == "study" else _("{site} (kit)").format(site=row.name)
    state = {"starting": _("starting"), "waiting": _("waiting")}.get(row.state) or state_text(row.state)
    left = duration_text(row.seconds_left) if row.seconds_left is not None else "–"
    rounds = f"{row.step}/{row.total}" if row.total else "–"
    return row.path, (name, state, rounds, left), "\n".join(filter(None, [str(row.path), *row.warnings, row.reason]))


def site_table(table: Any, on_chosen: Callable[[], None]) -> RowTable:
    """Return the table of the sites of a study."""
    headers = [_("Site"), _("State"), _("Cases"), _("Round"), _("Heard"), _("Sent")]
    return RowTable(table, headers, (2, 3, 4, 5), on_chosen)


def site_row(site: SiteSeen, now: float) -> Row:
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
    return RowTable(table, [_("Time"), _("Round"), _("What"), _("Size")], (1, 3), on_chosen, stretched=2)


def ledger_rows(entries: Sequence[LedgerEntry], method: str) -> Sequence[Row]:
    """Return the rows of the newest messages, the newest first."""
    rows = []
    for entry in entries[: -MOST_MESSAGES - 1 : -1]:
        text = what(entry, method)
        round_ = str(entry.round + 1) if entry.message == "update" else "–"
        rows.append((entry.number, (clock(entry.time), round_, text, size_text(entry.bytes)), text))
    return rows
