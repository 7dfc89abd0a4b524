"""The panel "Compare": a real scan beside the simulation, the heart in its place, and HU against HU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.checked_edit import fill_combo_box, make_quiet
from FedSimSlicerLib.compare_layout import ORIENTATIONS
from FedSimSlicerLib.comparison import ALL_PLANES, BLEND, CHECKERBOARD, SIDE_BY_SIDE, Comparison, Options
from FedSimSlicerLib.heart_handles import HeartHandles
from FedSimSlicerLib.heart_placement import middle_of_labels, overlaps, place_at, segmentation_of
from FedSimSlicerLib.histogram_section import HistogramSection
from FedSimSlicerLib.region_comparison import RegionComparison, RegionPair
from FedSimSlicerLib.scene_segmentations import label_source_of
from FedSimSlicerLib.scene_volumes import grid_of
from FedSimSlicerLib.simulation_output import heart_of, labels_of
from FedSimSlicerLib.slice_layers import SIMULATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.shape.parameters import HeartParameters
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.view_centers import Point

# What slice views show of the heart (state.slice_style), by contours and labels.
STYLES = {(True, True): "both", (True, False): "contours", (False, True): "overlay", (False, False): "nothing"}


class ComparePanel:
    """Choose two scans, bring the heart to its place, look at both, and measure.

    Attributes:
        widget: the panel's qt.QWidget.
        comparison: sets up the views.
        regions: measures.
        handles: the heart's handles in the views.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._background = Background()
        self.comparison = Comparison(session, self._background)
        self.regions = RegionComparison(session.worker, self._background)
        self.handles = HeartHandles(session.editor, session.surface)
        self._measured_of: tuple[Any, ...] = ()
        self.widget = slicer.util.loadUI(resource_path("UI/ComparePanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.ui.simulatedBox.addAttribute("vtkMRMLScalarVolumeNode", SIMULATION)
        make_quiet(self.ui.planeBox)
        planes = [(_(name), name) for name in ORIENTATIONS]
        fill_combo_box(self.ui.planeBox, [*planes, (_("All three"), ALL_PLANES)])
        self.histograms = HistogramSection(self.ui, self._show_again)
        self.histograms.clear()
        self._styles = {
            self.ui.sideButton: SIDE_BY_SIDE,
            self.ui.blendButton: BLEND,
            self.ui.boardButton: CHECKERBOARD,
        }
        self._connect()
        self._on_state(session.state)

    def close(self) -> None:
        """Put the views back and end what is being measured."""
        self.comparison.leave()
        self.handles.hide()
        self.regions.cancel()
        self._background.close()

    def _connect(self) -> None:
        ui, session = self.ui, self._session
        ui.realBox.connect("currentNodeChanged(vtkMRMLNode*)", self._choose_real)
        ui.simulatedBox.connect("currentNodeChanged(vtkMRMLNode*)", self._choose_simulated)
        for button, style in self._styles.items():
            button.connect("clicked()", lambda style=style: self._choose_style(style))
        ui.planeBox.connect("currentIndexChanged(int)", lambda _index: self._show_again())
        for slider in (ui.opacitySlider, ui.squareSlider):
            slider.connect("valueChanged(double)", lambda _value: self._show_again())
        ui.windowBox.connect("toggled(bool)", lambda _on: self._show_again())
        for box in (ui.contourBox, ui.labelBox):
            box.connect("toggled(bool)", lambda _on: self._set_slice_style())
        ui.backButton.connect("clicked()", self.comparison.leave)
        ui.placeButton.connect("clicked()", self._place)
        ui.dragButton.connect("toggled(bool)", self._drag)
        ui.fitButton.connect("clicked()", self._go_to_fit)
        ui.measureButton.connect("clicked()", self._measure)
        session.state_changed.connect(self._on_state)
        session.editor.changed.connect(self._on_heart)
        self.comparison.changed.connect(self._refresh)
        self.comparison.failed.connect(session.message.emit)
        self.regions.measured.connect(self._on_measured)
        self.regions.failed.connect(self._on_measure_failed)

    def _choose_real(self, node: Any) -> None:
        if self._session.state is not None:
            self._session.state.real_scan = node

    def _choose_simulated(self, node: Any) -> None:
        if self._session.state is not None:
            self._session.state.simulated = node

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        self.histograms.plot.bind(None if state is None else state.parameterNode)
        if state is None:
            self.regions.cancel()
            self._forget_measured()
            if slicer.mrmlScene.IsClosing():
                self.comparison.leave()
                self.handles.hide()
            return
        for box, node in ((self.ui.realBox, state.real_scan), (self.ui.simulatedBox, state.simulated)):
            blocked = box.blockSignals(True)
            box.setCurrentNode(node)
            box.blockSignals(blocked)
        contours, labels = next(shown for shown, style in STYLES.items() if style == state.slice_style)
        for box, on in ((self.ui.contourBox, contours), (self.ui.labelBox, labels)):
            blocked = box.blockSignals(True)
            box.checked = on
            box.blockSignals(blocked)
        if self._measured_of and self._measured_of != self._sources(state):
            self._forget_measured()
        shown = self.comparison.shown
        if shown is not None and shown != (state.real_scan, state.simulated):
            self._show_again()
        self._refresh()

    def _on_heart(self, _heart: HeartParameters) -> None:
        if self._session.state is not None:
            self._refresh_hint(self._session.state)

    # The views

    def _choose_style(self, style: str) -> None:
        self._show(self._options(style))

    def _options(self, style: str) -> Options:
        ui = self.ui
        return Options(
            style=style,
            plane=ui.planeBox.currentData,
            opacity=ui.opacitySlider.value / 100,
            square_mm=ui.squareSlider.value,
            same_window=ui.windowBox.checked,
            chart=bool(self.histograms.pairs),
        )

    def _show(self, options: Options) -> None:
        state = self._session.state
        if state is None:
            return
        try:
            self.comparison.show(options, state.real_scan, state.simulated, self.histograms.plot.chart)
        except FedSimError as error:
            self.comparison.leave()
            self._session.message.emit(str(error))
        else:
            self._session.message.emit("")
        self._refresh()

    def _show_again(self) -> None:
        if self.comparison.options is not None:
            self._show(self._options(self.comparison.options.style))

    def _set_slice_style(self) -> None:
        if self._session.state is not None:
            self._session.state.slice_style = STYLES[self.ui.contourBox.checked, self.ui.labelBox.checked]

    # The heart's place

    def _place(self) -> None:
        """Move the heart to the patient's, found in a thread, or to the middle of the scan."""
        state = self._session.state
        if state is None:
            return
        try:
            grid = grid_of(state.real_scan)
        except FedSimError as error:
            self._session.message.emit(str(error))
            return
        self._session.message.emit("")
        patient = state.patient if state.patient is not None else segmentation_of(state.real_scan)
        if patient is None:
            self._place_at(grid.center_mm)
            return
        try:
            source = label_source_of(patient)
        except FedSimError as error:
            self._place_in_the_middle(grid, error)
            return
        self._background.run(
            lambda: middle_of_labels(source),
            lambda found: self._place_at(found if overlaps(grid, found[None]) else grid.center_mm),
            lambda error: self._place_in_the_middle(grid, error),
        )

    def _place_in_the_middle(self, grid: Grid, error: BaseException) -> None:
        self._place_at(grid.center_mm)
        told = _("{why} The heart was placed in the middle of the scan.")
        self._session.message.emit(told.format(why=error))

    def _place_at(self, target: Point) -> None:
        if self._session.state is not None:
            place_at(target, self._session.editor, self._session.surface)
            self.comparison.center()

    def _drag(self, on: bool) -> None:
        if on:
            self.handles.show()
        else:
            self.handles.hide()

    def _go_to_fit(self) -> None:
        state = self._session.state
        if state is not None and state.patient is None:
            state.patient = segmentation_of(state.real_scan)
        self._session.tab_wanted.emit("ExplorePanel")

    # The HU

    def _measure(self) -> None:
        state = self._session.state
        if state is None:
            return
        real, simulated, labels = sources = self._sources(state)
        try:
            self.regions.measure(real, simulated, labels)
        except FedSimError as error:
            self._forget_measured()
            self._session.message.emit(str(error))
            return
        self._session.message.emit("")
        self._measured_of = sources
        self._refresh()

    def _sources(self, state: ModuleState) -> tuple[Any, Any, Any]:
        """Return real scan, simulation, and the labels under which both are looked at."""
        return state.real_scan, state.simulated, labels_of(state.simulated) or state.live_labels

    def _on_measured(self, pairs: tuple[RegionPair, ...]) -> None:
        self.histograms.show(pairs)
        options = self.comparison.options
        if options is not None and not options.chart:
            self._show(replace(options, chart=True))
        self._refresh()

    def _on_measure_failed(self, sentence: str) -> None:
        self._forget_measured()
        self._refresh()
        self._session.message.emit(sentence)

    def _forget_measured(self) -> None:
        self._measured_of = ()
        self.histograms.clear()
        if self.comparison.options is not None and self.comparison.options.chart:
            self._show_again()

    # What can be done now

    def _refresh(self) -> None:
        ui, state = self.ui, self._session.state
        if state is None:
            return
        options = self.comparison.options
        style = None if options is None else options.style
        for button, its_style in self._styles.items():
            button.checked = its_style == style
        for label, widget, its_style in (
            (ui.planeLabel, ui.planeBox, SIDE_BY_SIDE),
            (ui.opacityLabel, ui.opacitySlider, BLEND),
            (ui.squareLabel, ui.squareSlider, CHECKERBOARD),
        ):
            label.visible = widget.visible = style == its_style
        ui.backButton.enabled = style is not None
        ui.measureButton.enabled = not self.regions.busy
        if ui.dragButton.checked != self.handles.shown:
            ui.dragButton.checked = self.handles.shown
        self._refresh_hint(state)

    def _refresh_hint(self, state: ModuleState) -> None:
        self.ui.hintLabel.text = hint = self._hint(state)
        self.ui.hintLabel.visible = bool(hint)
        if self.regions.busy:
            told = _("Counting...")
        elif self.histograms.pairs:
            told = _("Mean ± standard deviation, HU, under the labels of the simulated heart.")
        else:
            told = _("Not measured yet.")
        self.ui.measureHintLabel.text = told

    def _hint(self, state: ModuleState) -> str:
        """Return what is in the way of a comparison, and the way out."""
        if state.real_scan is None:
            return _("Choose a real scan; load one first if there is none (Slicer: File, Add Data).")
        try:
            grid = grid_of(state.real_scan)
        except FedSimError as error:
            return str(error)
        heart = self._session.editor.heart
        if not overlaps(grid, np.asarray(self._session.surface.vertices(heart))):
            return _("The heart lies outside this scan; press “Place in this scan”.")
        if state.simulated is None:
            return _("There is no simulation yet; make one in the tab “Simulate”.")
        if heart_of(state.simulated) not in (None, heart):
            return _("The heart has changed since this simulation; simulate it again.")
        return ""
