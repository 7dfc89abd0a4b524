"""The sections "Privacy" and "What has left a site"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.federation_ledger import export_ledger, sentence, totals_text
from FedSimSlicerLib.federation_privacy import budget_text, explanation, noise_text, without_text
from FedSimSlicerLib.federation_tables import MOST_MESSAGES, ledger_rows, ledger_table

if TYPE_CHECKING:
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.federation_seen import SiteSeen, StudyDetails


class FederationLedger:
    """Shows the ledger of the chosen site, and the privacy budgets of all.

    Attributes:
        table: the newest messages.

    Args:
        ui: the panel's widgets.
        background: for what writes files.
        tell: called with a sentence for the user.
    """

    def __init__(self, ui: Any, background: Background, tell: Callable[[str], None]) -> None:
        self._ui, self._background, self._tell = ui, background, tell
        self._site: SiteSeen | None = None
        self._method = ""
        self._shown: tuple[object, ...] = ()
        self.table = ledger_table(ui.ledgerTable, self._show_entry)
        ui.privacyNote.text = explanation()
        ui.exportButton.connect("clicked()", self._export)

    def show(self, details: StudyDetails | None, site: SiteSeen | None) -> None:
        """Show a study's privacy and a site's ledger."""
        self._method = details.method if details is not None else ""
        self._show_privacy(details)
        self._site = site
        key = (site.ledger, len(site.entries), site.problem, site.name) if site is not None else ()
        if key == self._shown:
            return
        self._shown = key
        ui = self._ui
        ui.exportButton.enabled = site is not None and site.ledger is not None
        if site is None:
            ui.totalsLabel.text = _("Choose a study, and a site in its table.")
        elif site.ledger is None:
            text = _("The ledger of {site} lies there, or nothing has left it yet.")
            ui.totalsLabel.text = text.format(site=site.name)
        else:
            totals = totals_text(site.entries, site.bytes, site.problem)
            more = _("Below are the newest {count}.").format(count=MOST_MESSAGES)
            ui.totalsLabel.text = f"{site.name}: {totals}" + (f"\n{more}" if len(site.entries) > MOST_MESSAGES else "")
        self.table.show(ledger_rows(site.entries, self._method) if site is not None else [])
        self._show_entry()

    def _show_privacy(self, details: StudyDetails | None) -> None:
        ui = self._ui
        here = [site for site in (details.sites if details is not None else ()) if site.ledger or site.budget]
        lines = [budget_text(site.name, site.budget) for site in here if site.budget is not None]
        noises = dict.fromkeys(site.budget.privacy for site in here if site.budget is not None)
        for noise in noises:
            same = [site.name for site in here if site.budget is not None and site.budget.privacy == noise]
            lines.append(noise_text(same, noise))
        if without := [site.name for site in here if site.budget is None]:
            lines.append(without_text(without))
        ui.privacyLabel.text = "\n".join(lines) or _("Of sites on this machine, their privacy is told here.")
        shares = [site.budget.share for site in here if site.budget is not None and site.budget.share is not None]
        ui.privacyBar.visible = bool(shares)
        ui.privacyBar.value = round(1000 * max(shares, default=0.0))
        ui.privacyNote.visible = any(site.budget is not None for site in here)

    def _show_entry(self) -> None:
        entries = self._site.entries if self._site is not None else ()
        chosen = self.table.chosen
        entry = entries[chosen - 1] if chosen is not None and chosen <= len(entries) else None
        entry = entry or (entries[-1] if entries else None)
        self._ui.entryLabel.visible = entry is not None
        if entry is not None:
            self._ui.entryLabel.text = sentence(entry, self._method)

    def _export(self) -> None:
        site, method = self._site, self._method
        if site is None or site.ledger is None:
            return
        ledger, entries = site.ledger, site.entries
        name = qt.QFileDialog.getSaveFileName(
            self._ui.exportButton,
            _("Export the ledger"),
            f"ledger-{site.name}.csv",
            _("Table in plain words (*.csv);;Ledger as it is (*.jsonl)"),
        )
        name = name[0] if isinstance(name, list | tuple) else name
        if name:
            self._background.run(
                lambda: export_ledger(ledger, entries, Path(name), method),
                lambda _done: self._tell(_("The ledger was written to {file}.").format(file=name)),
                lambda error: self._tell(str(error)),
            )
