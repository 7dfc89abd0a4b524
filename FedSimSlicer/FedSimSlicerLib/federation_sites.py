"""The sites of a new study: a row with name and data folder for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.checked_edit import REASON_STYLE
from FedSimSlicerLib.signal import Signal

HISTORY_SETTING = "FedSim/Training/cohort"
"""Where the folders of cohorts that were used before are kept; the form of a training offers them too."""
FIRST = 3
"""Sites of a study that nobody has said anything of."""


class _SiteRow:
    """The widgets of a site.

    Attributes:
        fields: as the study's file has them.
        widget: with all of them.
    """

    def __init__(self, fields: Mapping[str, Any], changed: Any, remove: Any) -> None:
        self.fields = dict(fields)
        self.widget = qt.QWidget()
        grid = qt.QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self.name = qt.QLineEdit(str(fields.get("name", "")))
        self.name.toolTip = _("Name of the site: letters, digits, - and _.")
        self.name.maximumWidth = 90
        self.folder = ctk.ctkPathLineEdit()
        self.folder.filters = ctk.ctkPathLineEdit.Dirs
        self.folder.settingKey = HISTORY_SETTING
        self.folder.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        self.folder.minimumContentsLength = 6
        self.folder.currentPath = str(fields.get("cohort") or "")
        own = fields.get("cohort_site")
        self.folder.toolTip = _("Folder of the site’s cases: CT volumes with label maps.") + (
            _(" Only the cases of “{site}” in it.").format(site=own) if own else ""
        )
        button = qt.QToolButton()
        button.text = "✕"
        button.autoRaise = True
        button.toolTip = _("Take this site out of the study.")
        self.reason = qt.QLabel()
        self.reason.wordWrap = True
        self.reason.styleSheet = REASON_STYLE
        self.reason.hide()
        for column, widget in enumerate((self.name, self.folder, button)):
            grid.addWidget(widget, 0, column)
        grid.addWidget(self.reason, 1, 0, 1, 3)
        self.name.connect("textEdited(QString)", lambda _text: changed())
        self.folder.connect("currentPathChanged(QString)", lambda _path: changed())
        button.connect("clicked()", lambda: remove(self))

    def given(self) -> dict[str, Any]:
        """Return the site as the study's file has it."""
        path = str(self.folder.currentPath).strip()
        cohort = str(Path(path).expanduser().absolute()) if path else None
        return {**self.fields, "name": str(self.name.text).strip(), "cohort": cohort}

    def tell(self, reason: str) -> None:
        """Tell what is wrong with it, or that nothing is."""
        self.reason.text = reason
        self.reason.setVisible(bool(reason))


class SitesForm:
    """Rows of sites that are added and taken away.

    Attributes:
        changed: emitted when a name or folder is another one.

    Args:
        layout: qt.QVBoxLayout for the rows.
    """

    def __init__(self, layout: Any) -> None:
        self.changed: Signal[[]] = Signal()
        self._layout = layout
        self._rows: list[_SiteRow] = []
        self.show([{"name": _("site-{number}").format(number=number + 1)} for number in range(FIRST)])

    @property
    def rows(self) -> Sequence[_SiteRow]:
        """The rows in their order."""
        return tuple(self._rows)

    def show(self, sites: Sequence[Mapping[str, Any]]) -> None:
        """Show these sites."""
        for row in list(self._rows):
            self._take_away(row)
        for site in sites:
            self._add(site)
        self.changed.emit()

    def add(self) -> None:
        """Add a site whose name is not taken."""
        number = len(self._rows) + 1
        while _("site-{number}").format(number=number) in self.names():
            number += 1
        self._add({"name": _("site-{number}").format(number=number)})
        self.changed.emit()

    def names(self) -> list[str]:
        """Return the names that can be those of sites."""
        found = [row.given()["name"] for row in self._rows]
        return list(dict.fromkeys(name for name in found if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name)))

    def given(self) -> list[dict[str, Any]]:
        """Return the sites as the study's file has them."""
        return [row.given() for row in self._rows]

    def tell(self, reasons: Mapping[int, str]) -> None:
        """Tell what is wrong with which rows; the first of them gets the focus."""
        for number, row in enumerate(self._rows):
            row.tell(reasons.get(number, ""))
        first = next((row for number, row in enumerate(self._rows) if number in reasons), None)
        if first is not None:
            first.name.setFocus()

    def remember(self) -> None:
        """Offer the folders again another time."""
        for row in self._rows:
            if str(row.folder.currentPath).strip():
                row.folder.addCurrentPathToHistory()

    def _add(self, site: Mapping[str, Any]) -> None:
        row = _SiteRow(site, self.changed.emit, self._remove)
        self._rows.append(row)
        self._layout.addWidget(row.widget)

    def _remove(self, row: _SiteRow) -> None:
        self._take_away(row)
        self.changed.emit()

    def _take_away(self, row: _SiteRow) -> None:
        self._rows.remove(row)
        self._layout.removeWidget(row.widget)
        # A section that is opened shows all its children, until the event loop has deleted them.
        row.widget.setParent(None)
        row.widget.deleteLater()


def missing_data(sites: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Return the rows whose data folder is not there, which may be slow to find out."""
    found = {}
    for number, site in enumerate(sites):
        if not site.get("cohort"):
            found[number] = _("Choose the folder of this site’s cases.")
        elif not Path(site["cohort"]).exists():
            found[number] = _("This does not exist: {path}").format(path=site["cohort"])
    return found
