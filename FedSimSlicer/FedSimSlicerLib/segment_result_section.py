"""The section of "Segment" about one result: volumes beside norms, doubts, a reference, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from FedSimSlicerLib.measurement_table import MeasurementTable
from FedSimSlicerLib.segment_distances import remove_distances, show_distances
from FedSimSlicerLib.segment_measures import COMPARE, MEASURE, Comparison, SegmentMeasures, plain_rows
from FedSimSlicerLib.segment_scores import ScoreTable
from FedSimSlicerLib.uncertainty_overlay import UncertaintyOverlay
from FedSimSlicerLib.widget_values import WheelGuard, silenced

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import MeasurementRow, SegmentResult
    from FedSimSlicerLib.segment_results import SegmentedScan
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState


EDITED_MS = 1000
"""After the last change of a segmentation that is edited it is measured."""


class SegmentResultSection(VTKObservationMixin):
    """Shows one result.

    Attributes:
        shown: the segmentation that is shown; None for none.
        measures: works its figures out.

    Args:
        session: what is behind the panel.
        ui: the panel's widgets by name.
    """

    def __init__(self, session: Session, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._session, self.ui = session, ui
        self.shown: SegmentedScan | None = None
        self._comparison: Comparison | None = None
        self._norms: tuple[str | None, float | None] = (None, None)
        self._overlay = UncertaintyOverlay()
        # Somebody who edits the segmentation changes it many times a second.
        self._edited = qt.QTimer()
        self._edited.setSingleShot(True)
        self._edited.setInterval(EDITED_MS)
        self._edited.connect("timeout()", self.look_again)
        self.measures = SegmentMeasures(session.worker)
        self._volumes = MeasurementTable(ui.volumeTable)
        self._scores = ScoreTable(ui.scoreTable)
        self._guard = WheelGuard()
        for widget in (ui.referenceBox, ui.volumeTable, ui.scoreTable):
            self._guard.protect(widget)
        ui.referenceBox.connect("currentNodeChanged(vtkMRMLNode*)", self._set_reference)
        ui.segmentDistanceBox.connect("toggled(bool)", lambda _on: self._show_distances())
        ui.overlayBox.connect("toggled(bool)", lambda _on: self._show_overlay())
        ui.fitResultButton.connect("clicked()", self._fit)
        ui.editButton.connect("clicked()", self._edit)
        self.measures.measured.connect(self._on_measured)
        self.measures.compared.connect(self._on_compared)
        self.measures.failed.connect(self._on_failed)
        self.show(None, "")

    def close(self) -> None:
        """End what is being worked out, and show the views' own layers again."""
        self._follow_edits(None)
        self.measures.close()
        self._overlay.hide()

    def scene_is_going(self) -> None:
        """Forget what was shown of a scene that is being closed."""
        self._overlay.forget()
        self._follow_edits(None)
        self._forget_figures()
        self.shown = None

    def show(self, segmented: SegmentedScan | None, sentence: str) -> None:
        """Show another result, or a sentence where there is none."""
        self._forget()
        self.shown = segmented
        self._follow_edits(segmented)
        ui = self.ui
        ui.resultControls.visible = segmented is not None
        ui.resultLabel.text = sentence
        if segmented is None:
            return
        self._volumes.show(plain_rows(segmented))
        ui.overlayBox.enabled = segmented.uncertainty is not None
        ui.overlayBox.toolTip = (
            _("Yellow where the segmenter hesitates between regions, red where it guesses.")
            if segmented.uncertainty is not None
            else _("Tick “Uncertainty” above and segment again.")
        )
        ui.fitResultButton.enabled = not segmented.whole
        ui.fitResultButton.toolTip = (
            _("This segmenter does not tell the regions apart, which the shape model is fitted to.")
            if segmented.whole
            else _("Go to Explore and fit the shape model to this segmentation.")
        )
        with silenced(ui.referenceBox) as box:
            box.setCurrentNode(segmented.reference)
        self._measure()
        self._compare()
        self._show_overlay()

    def show_state(self, state: ModuleState) -> None:
        """Follow the norms that the scene wants."""
        sex = None if state.sex == "any" else state.sex
        wanted = sex, state.body_surface_m2 or None
        if wanted != self._norms:
            self._norms = wanted
            self._measure()

    def look_again(self) -> None:
        """Measure the segmentation as it is now; it may have been edited."""
        self._measure()
        self._compare()

    def _follow_edits(self, segmented: SegmentedScan | None) -> None:
        self._edited.stop()
        self.removeObservers()
        if segmented is not None:
            event = slicer.vtkSegmentation.SourceRepresentationModified
            self.addObserver(segmented.node.GetSegmentation(), event, lambda *_: self._edited.start())

    # ---- measurements

    def _measure(self) -> None:
        if self.shown is not None:
            self.measures.measure(self.shown, *self._norms)

    def _on_measured(self, segmented: SegmentedScan, rows: tuple[MeasurementRow, ...]) -> None:
        if segmented is self.shown:
            self._volumes.show(rows)

    def _on_failed(self, sentence: str) -> None:
        self._session.message.emit(sentence)
        self._show_scores()

    # ---- the reference

    def _set_reference(self, node: Any) -> None:
        if self.shown is not None:
            self.shown.reference = node
            self._compare()

    def _compare(self) -> None:
        self._comparison = None
        if self.shown is not None and self.shown.reference is not None:
            self.measures.compare(self.shown, self.shown.reference)
        else:
            self.measures.forget(COMPARE)
        self._show_scores()
        self._show_distances()

    def _on_compared(self, segmented: SegmentedScan, comparison: Comparison) -> None:
        if segmented is self.shown:
            self._comparison = comparison
            self._scores.show(comparison.result)
            self._show_scores()
            self._show_distances()

    def _show_scores(self) -> None:
        ui, there = self.ui, self._comparison is not None
        ui.scoreTable.visible = ui.segmentDistanceBox.visible = there
        waiting = self.measures.waits_for(COMPARE)
        ui.scoreLabel.text = _("Being compared...") if waiting else ""
        ui.scoreLabel.visible = waiting

    def _show_distances(self) -> None:
        """Colour the surface by its distance to the reference, in place of the segmentation's own colours."""
        surface = None if self._comparison is None else self._comparison.surface
        wanted = bool(self.ui.segmentDistanceBox.checked) and surface is not None
        if wanted and self.shown is not None and self._comparison is not None:
            name = _("{segmentation} to {reference}")
            name = name.format(segmentation=self.shown.node.GetName(), reference=self._comparison.reference)
            show_distances(surface, name, self.shown.node)
        else:
            remove_distances()
        self._show_own_surface(not wanted)

    def _show_own_surface(self, visible: bool) -> None:
        if self.shown is not None and self.shown.node.GetDisplayNode() is not None:
            self.shown.node.GetDisplayNode().SetVisibility3D(visible)

    # ---- uncertainty

    def _show_overlay(self) -> None:
        volume = None if self.shown is None else self.shown.uncertainty
        if volume is not None and self.ui.overlayBox.checked:
            assert self.shown is not None
            self._overlay.show(volume, self.shown.scan)
        else:
            self._overlay.hide()

    # ---- what to do next

    def _fit(self) -> None:
        if self.shown is not None:
            self._session.fit_wanted.emit(self.shown.node)

    def _edit(self) -> None:
        if self.shown is None:
            return
        if not edit_segmentation(self.shown.node, self.shown.scan):
            self._session.message.emit(_("There is no Segment Editor in this window; it is a part of 3D Slicer."))

    def _forget(self) -> None:
        """Leave the scene as it is without the result that is shown."""
        if self._comparison is not None:
            self._show_own_surface(True)
            remove_distances()
        self._overlay.hide()
        self._forget_figures()

    def _forget_figures(self) -> None:
        self._comparison = None
        for what in (MEASURE, COMPARE):
            self.measures.forget(what)
        self._show_scores()


def edit_segmentation(segmentation: Any, scan: Any) -> bool:
    """Open a segmentation in the Segment Editor; returns False where there is none."""
    if not hasattr(slicer.modules, "segmenteditor"):
        return False
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self()
    editor.parameterSetNode.SetAndObserveSegmentationNode(segmentation)
    if scan is not None:
        editor.parameterSetNode.SetAndObserveSourceVolumeNode(scan)
    return True


def result_text(name: str, result: SegmentResult) -> str:
    """Return in words what was found in a scan."""
    if not result.found:
        lines = [_("{scan}: no heart was found.").format(scan=name)]
        doubts = [sentence for sentence in result.warnings if not sentence.startswith("No heart")]
    else:
        volume = sum(region.volume_ml for region in result.regions)
        told = _("{scan}: a heart of {volume:.0f} ml; mean probability of its labels {confidence:.2f}.")
        lines, doubts = [told.format(scan=name, volume=volume, confidence=result.confidence)], list(result.warnings)
    return "\n".join([*lines, *(f"⚠ {sentence}" for sentence in doubts)])
