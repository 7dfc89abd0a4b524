"""The section of the Explore panel with live measurements and the norms they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.measurement_table import MeasurementTable
from FedSimSlicerLib.state import SEXES
from FedSimSlicerLib.widget_values import WheelGuard, silenced

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.shape.parameters import HeartParameters
    from FedSimCore.worker.protocol import MeasureResult
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

STALE_MS = 1000
"""Numbers older than this after a change of the heart are greyed out; while a slider moves they come sooner."""


class MeasurementSection:
    """Shows the measurements of the heart as they come.

    Attributes:
        widget: the section's qt.QWidget.
        ui: its widgets by name.
        table: the measurements.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self.widget = slicer.util.loadUI(resource_path("UI/MeasureSection.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.table = MeasurementTable(self.ui.measureTable)
        for text in (_("either sex"), _("women"), _("men")):
            self.ui.sexBox.addItem(text)
        self._compared: tuple[str | None, float | None] = (None, None)
        self._stale = qt.QTimer()
        self._stale.setSingleShot(True)
        self._stale.setInterval(STALE_MS)
        self._guard = WheelGuard()
        for widget in (self.ui.sexBox, self.ui.surfaceBox, self.ui.measureTable):
            self._guard.protect(widget)
        self._stale.connect("timeout()", self._on_stale)
        self.ui.sexBox.connect("currentIndexChanged(int)", self._set_sex)
        self.ui.surfaceBox.connect("valueChanged(double)", self._set_body_surface)
        self.ui.copyButton.connect("clicked()", self.copy)
        self.ui.copyButton.enabled = False
        session.live.measured.connect(self._on_measured)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._stale.stop()

    def show_heart(self, _heart: HeartParameters) -> None:
        """Expect the measurements of another heart."""
        if self._session.state is not None:
            self._stale.start()

    def show_state(self, state: ModuleState | None) -> None:
        """Show whose norms the scene wants."""
        if state is None:
            self._stale.stop()
            return
        with silenced(self.ui.sexBox) as box:
            box.currentIndex = SEXES.index(state.sex)
        with silenced(self.ui.surfaceBox) as box:
            box.value = state.body_surface_m2  # 0 becomes the least, which reads "unknown"
        sex = None if state.sex == "any" else state.sex
        wanted = sex, state.body_surface_m2 or None
        if wanted != self._compared:
            self._compared = wanted
            self._stale.start()
            self._session.live.compare_with(*wanted)

    def copy(self) -> None:
        """Put the table on the clipboard, as tab separated text and as HTML."""
        data = qt.QMimeData()
        data.setText(self.table.as_text())
        data.setHtml(self.table.as_html())
        qt.QApplication.clipboard().setMimeData(data)
        self.ui.measureNoteLabel.text = _("Copied {count} rows.").format(count=len(self.table.rows))

    def _set_sex(self, index: int) -> None:
        if self._session.state is not None:
            self._session.state.sex = SEXES[index]

    def _set_body_surface(self, value: float) -> None:
        if self._session.state is not None:
            unknown = value <= self.ui.surfaceBox.minimum
            self._session.state.body_surface_m2 = 0.0 if unknown else value

    def _on_measured(self, result: MeasureResult) -> None:
        self._stale.stop()
        self.table.show(result.rows)
        self.ui.copyButton.enabled = bool(result.rows)
        flagged = sum(row.verdict in ("low", "high") for row in result.rows)
        self._note(
            _("{count} outside the norm; hold the mouse over a row for its source.").format(count=flagged)
            if flagged
            else _("None outside the norm; hold the mouse over a row for its source.")
        )

    def _on_stale(self) -> None:
        self.table.set_fresh(False)
        self._note(_("These are the numbers of an earlier heart; waiting for the worker."))

    def _note(self, text: str) -> None:
        if self.ui.measureNoteLabel.text != text:
            self.ui.measureNoteLabel.text = text
