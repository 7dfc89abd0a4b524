"""The section of the Explore panel with how the regions look: in 3D, and in the slices as contours and overlay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctk
import qt
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from FedSimSlicerLib.overlay_colors import set_overlay_opacities
from FedSimSlicerLib.state import SLICE_STYLES
from FedSimSlicerLib.widget_values import WheelGuard, silenced

if TYPE_CHECKING:
    from FedSimCore.anatomy import Region
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState


class RegionSection(VTKObservationMixin):
    """A row for each region (shown or not, colour, opacity) and what the slice views show of all.

    The display nodes of the heart's models are what counts, so it is the same whether the user changes them here or
    elsewhere in Slicer, and they are saved with the scene; the overlay follows them.

    Attributes:
        boxes, opacities: check box and slider of each region, by its key.

    Args:
        session: what is behind the panel.
        ui: widgets of ExplorePanel.ui by name.
    """

    def __init__(self, session: Session, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._session, self._ui = session, ui
        self._watched: list[Any] = []
        self._guard = WheelGuard()
        self.boxes: dict[str, Any] = {}
        self.opacities: dict[str, Any] = {}
        for text in (_("Contours and overlay"), _("Contours"), _("Overlay"), _("Nothing")):
            ui.sliceStyleBox.addItem(text)
        for text in (_("in 3D"), _("in slices")):
            ui.opacityBox.addItem(text)
        for row, part in enumerate(session.surface.parts):
            self._add(ui.regionGrid, row, part.region)
        ui.regionGrid.setColumnStretch(1, 1)
        for widget in (ui.overlaySlider, ui.sliceStyleBox, ui.opacityBox):
            self._guard.protect(widget)
        ui.sliceStyleBox.connect("currentIndexChanged(int)", self._set_style)
        ui.overlaySlider.connect("valueChanged(double)", self._set_overlay_opacity)
        ui.opacityBox.connect("currentIndexChanged(int)", lambda _index: self.refresh())

    def close(self) -> None:
        """Let go of the scene."""
        self._watch([])

    def show_state(self, state: ModuleState | None) -> None:
        """Show the scene's settings, and make the views follow them."""
        if state is None:
            self._watch([])
            return
        with silenced(self._ui.sliceStyleBox) as box:
            box.currentIndex = SLICE_STYLES.index(state.slice_style)
        with silenced(self._ui.overlaySlider) as slider:
            slider.value = state.overlay_opacity
        self._watch([display for _region, display in self._displays()])
        self.refresh()

    def refresh(self) -> None:
        """Show what the display nodes say, and make contours and overlay follow it."""
        state = self._session.state
        if state is None:
            return
        contours = state.slice_style in ("both", "contours")
        overlay = state.overlay_opacity if state.slice_style in ("both", "overlay") else 0.0
        alphas = {}
        for region, display in self._displays():
            shown = bool(display.GetVisibility())
            opacity = display.GetSliceIntersectionOpacity() if self._in_slices else display.GetOpacity()
            self._show_row(region, shown, opacity)
            alphas[region.label] = overlay * display.GetSliceIntersectionOpacity() if shown else 0.0
            if bool(display.GetVisibility2D()) != contours:
                display.SetVisibility2D(contours)
        if state.live_labels is not None and alphas:
            set_overlay_opacities(state.live_labels, alphas)

    @property
    def _in_slices(self) -> bool:
        return int(self._ui.opacityBox.currentIndex) == 1

    def _displays(self) -> list[tuple[Region, Any]]:
        found = [(part.region, node.GetDisplayNode()) for part, node in self._session.display.nodes()]
        return [(region, display) for region, display in found if display is not None]

    def _watch(self, displays: list[Any]) -> None:
        """Follow changes of the display nodes that are made elsewhere, e.g. with the eye in the Data module."""
        if displays == self._watched:
            return
        self.removeObservers()
        self._watched = displays
        for display in displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, lambda *_: self.refresh())

    def _add(self, grid: Any, row: int, region: Region) -> None:
        box = qt.QCheckBox(region.name)
        box.checked = True
        icon = qt.QPixmap(14, 14)
        icon.fill(qt.QColor(*region.color))
        box.icon = qt.QIcon(icon)
        box.toolTip = _("Show {name} in all views").format(name=region.name)
        opacity = ctk.ctkSliderWidget()
        opacity.minimum, opacity.maximum = 0.0, 1.0
        opacity.singleStep, opacity.decimals = 0.05, 2
        opacity.spinBoxVisible = False  # the name needs the room
        opacity.minimumWidth = 40
        opacity.toolTip = _("Opacity of {name}").format(name=region.name)
        self._guard.protect(opacity)
        grid.addWidget(box, row, 0)
        grid.addWidget(opacity, row, 1)
        self.boxes[region.key], self.opacities[region.key] = box, opacity
        box.connect("toggled(bool)", lambda on: self._set_visible(region, on))
        opacity.connect("valueChanged(double)", lambda value: self._set_opacity(region, value))

    def _show_row(self, region: Region, shown: bool, opacity: float) -> None:
        box, slider = self.boxes[region.key], self.opacities[region.key]
        if bool(box.checked) != shown:
            with silenced(box):
                box.checked = shown
        if abs(slider.value - opacity) > 1e-6:
            with silenced(slider):
                slider.value = opacity

    def _set_visible(self, region: Region, on: bool) -> None:
        for found, display in self._displays():
            if found == region:
                display.SetVisibility(on)

    def _set_opacity(self, region: Region, value: float) -> None:
        for found, display in self._displays():
            if found == region and self._in_slices:
                display.SetSliceIntersectionOpacity(value)
            elif found == region:
                display.SetOpacity(value)

    def _set_style(self, index: int) -> None:
        if self._session.state is not None:
            self._session.state.slice_style = SLICE_STYLES[index]

    def _set_overlay_opacity(self, value: float) -> None:
        if self._session.state is not None:
            self._session.state.overlay_opacity = value
