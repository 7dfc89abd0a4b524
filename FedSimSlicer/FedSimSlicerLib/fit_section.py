"""The section of the Explore panel that fits the heart to a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.distance_colors import hide_distances, show_distances
from FedSimSlicerLib.fit_table import FitTable
from FedSimSlicerLib.heart_editor import WIDE_SIGMA
from FedSimSlicerLib.patient_fit import FitChoice, Fitted, PatientFit
from FedSimSlicerLib.view_centers import bring_views_to
from FedSimSlicerLib.widget_values import WheelGuard, silenced

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.shape.parameters import HeartParameters
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState


class FitSection:
    """Chooses a patient, runs the fit, and shows how well the heart fits.

    Attributes:
        widget: the section's qMRMLWidget.
        ui: its widgets by name.
        fit: what runs.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session, self._editor = session, session.editor
        self._state: ModuleState | None = None
        self._fitted: Fitted | None = None
        self._colored = False
        self.fit = PatientFit(session.worker)
        self.widget = slicer.util.loadUI(resource_path("UI/FitSection.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._table = FitTable(self.ui.fitTable, tuple(part.region for part in session.surface.parts))
        self._choices = self._fill_boxes()
        self._guard = WheelGuard()
        for widget in (self.ui.patientBox, self.ui.fitModesBox, self.ui.fitLimitBox, self.ui.fitTable):
            self._guard.protect(widget)
        # Colours come in an event of their own: together with the heart's move they would hold the GUI up for too long.
        self._coloring = qt.QTimer()
        self._coloring.setSingleShot(True)
        self._coloring.setInterval(0)
        self._coloring.connect("timeout()", self._color)
        self._connect()
        self._show_running()
        self.ui.fitResult.hide()

    def close(self) -> None:
        """End the fit that runs; the heart keeps its own colours."""
        self.fit.close()
        self._forget()

    def fit_to(self, patient: Any) -> None:
        """Fit the heart to a segmentation or label map node, in place of a fit that runs."""
        self.fit.cancel()
        self._set_patient(patient)
        self._start_or_cancel()

    def show_heart(self, heart: HeartParameters) -> None:
        """Take the colours away when the heart is no longer the fitted one, and bring them back when it is again."""
        fitted = self._fitted
        if fitted is None:
            return
        self._show_colors(heart == fitted.heart and bool(self.ui.distanceBox.checked))
        self._show_summary(fitted, heart == fitted.heart)

    def show_state(self, state: ModuleState | None) -> None:
        """Follow the scene: what was fitted in another one is forgotten, and a fit that runs is ended."""
        if state is not self._state:
            self._state = state
            self.fit.cancel()
            self._forget()
        if state is not None and self.ui.patientBox.currentNode() is not state.patient:
            with silenced(self.ui.patientBox) as box:
                box.setCurrentNode(state.patient)

    def _connect(self) -> None:
        self.ui.patientBox.connect("currentNodeChanged(vtkMRMLNode*)", self._set_patient)
        self.ui.fitModesBox.connect("currentIndexChanged(int)", lambda _index: self._show_running())
        self.ui.fitButton.connect("clicked()", self._start_or_cancel)
        self.ui.distanceBox.connect("toggled(bool)", lambda _on: self.show_heart(self._editor.heart))
        self.fit.changed.connect(self._show_running)
        self.fit.progressed.connect(self._show_progress)
        self.fit.fitted.connect(self._take)
        self.fit.failed.connect(self._session.message.emit)

    def _fill_boxes(self) -> tuple[list[int | None], list[float]]:
        """Fill the choices and return what each means: modes (None for the pose only), and limits in sigma."""
        usual, most = len(self._session.surface.mean_heart().weights), self._session.surface.mode_count
        modes: list[int | None] = [usual, None]
        self.ui.fitModesBox.addItem(_("{count} modes").format(count=usual))
        if most > usual:
            modes.insert(1, most)
            self.ui.fitModesBox.addItem(_("{count} modes, closer and slower").format(count=most))
        self.ui.fitModesBox.addItem(_("Keep it, place it only"))
        limits = [self._session.surface.header.limit_sigma, WIDE_SIGMA]
        for limit, text in zip(
            limits, (_("±{sigma:g} σ, usual hearts"), _("±{sigma:g} σ, rare hearts too")), strict=True
        ):
            self.ui.fitLimitBox.addItem(text.format(sigma=limit))
        return modes, limits

    def _choice(self) -> FitChoice:
        modes, limits = self._choices
        return FitChoice(modes[self.ui.fitModesBox.currentIndex], limits[self.ui.fitLimitBox.currentIndex])

    def _set_patient(self, node: Any) -> None:
        if self._session.state is not None:
            self._session.state.patient = node

    def _start_or_cancel(self) -> None:
        if self.fit.running:
            self.fit.cancel()
        elif self._session.state is not None:
            self._session.message.emit("")
            self._editor.commit()
            self.fit.start(self.ui.patientBox.currentNode(), self._choice(), self._editor.heart)

    def _show_running(self) -> None:
        ui, running = self.ui, self.fit.running
        ui.fitButton.text = _("Cancel") if running else _("Fit the heart to the patient")
        ui.patientBox.enabled = ui.fitModesBox.enabled = not running
        ui.fitLimitBox.enabled = not running and self._choice().modes is not None
        ui.fitProgressBar.setVisible(running)
        ui.fitStageLabel.setVisible(running)

    def _show_progress(self, stage: str, fraction: float, remaining_s: float | None) -> None:
        self.ui.fitProgressBar.value = round(1000 * fraction)
        text = stage[:1].upper() + stage[1:]
        if remaining_s is not None:
            text = _("{stage}, about {seconds:.0f} s left").format(stage=text, seconds=max(1.0, remaining_s))
        self.ui.fitStageLabel.text = text

    def _take(self, fitted: Fitted) -> None:
        """Go to the fitted heart, as one step of undo."""
        self._fitted, self._colored = fitted, False
        self._editor.as_one_step(lambda: self._editor.set(fitted.heart))
        self._session.show_heart()
        bring_views_to(self._session.surface.middle(fitted.heart))
        self._table.show(fitted)
        self.ui.fitResult.show()
        self.show_heart(self._editor.heart)

    def _show_summary(self, fitted: Fitted, current: bool) -> None:
        names = {part.region.key: part.region.name for part in self._session.surface.parts}
        text = _("{patient}: mean Dice {dice:.2f} ({before:.2f} before the fit).").format(
            patient=fitted.patient, dice=fitted.mean_dice, before=fitted.initial_dice
        )
        if fitted.missing:
            text += " " + _("Not in the patient, and guessed from the rest: {regions}.").format(
                regions=", ".join(names[key] for key in fitted.missing)
            )
        if not current:
            text += " " + _("The heart was moved since.")
        if self.ui.fitSummaryLabel.text != text:
            self.ui.fitSummaryLabel.text = text
        if bool(self.ui.fitTable.enabled) != current:
            self.ui.fitTable.enabled = current

    def _show_colors(self, wanted: bool) -> None:
        if wanted == self._colored:
            return
        self._colored = wanted
        if wanted:
            self._coloring.start()
        else:
            self._coloring.stop()
            hide_distances(self._session.display)

    def _color(self) -> None:
        if self._fitted is not None and self._colored:
            show_distances(self._session.display, self._fitted.residual_mm)

    def _forget(self) -> None:
        """Forget the result; colours that were saved with a scene go too, for nobody knows their heart."""
        self._fitted, self._colored = None, False
        hide_distances(self._session.display)
        self.ui.fitResult.hide()
