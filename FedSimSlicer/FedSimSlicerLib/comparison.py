"""A real scan beside the simulation, or one over the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from FedSimCore.errors import InputError
from FedSimSlicerLib.checkerboard import cut_out_squares, make_transparent
from FedSimSlicerLib.compare_layout import ORIENTATIONS, View
from FedSimSlicerLib.linked_windows import LinkedWindows
from FedSimSlicerLib.scene_volumes import array_of, grid_of, new_image, put_image
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.slice_layers import Layers, Place, fit_standard_views, standard_composites
from FedSimSlicerLib.view_centers import STANDARD_SLICES, Point, bring_views_to

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.session import Session

SIDE_BY_SIDE, BLEND, CHECKERBOARD = "side by side", "blend", "checkerboard"
ALL_PLANES = "All"


@dataclass(frozen=True)
class Options:
    """How scans are compared.

    Attributes:
        style: one of :data:`SIDE_BY_SIDE`, :data:`BLEND`, :data:`CHECKERBOARD`.
        plane: one of ``ORIENTATIONS`` or :data:`ALL_PLANES`, side by side.
        opacity: of the simulation in a blend, 0 to 1.
        square_mm: side of the checkerboard's squares.
        same_window: whether both have the same window and level.
        chart: whether the histograms are shown too.
    """

    style: str
    plane: str = "Axial"
    opacity: float = 0.5
    square_mm: float = 20.0
    same_window: bool = True
    chart: bool = False


class Comparison(VTKObservationMixin):
    """Sets up the views for two volumes, and puts back what was there.

    Attributes:
        options: what is shown; None for nothing.
        changed: emitted when something else is shown.
        failed: emitted with a sentence for the user.

    Args:
        session: what is behind the panels.
        background: makes checkerboards.
    """

    def __init__(self, session: Session, background: Background) -> None:
        VTKObservationMixin.__init__(self)
        self._session, self._background = session, background
        self._windows = LinkedWindows()
        self._layers: dict[str, Layers] = {}
        self._places: dict[str, Place] = {}
        self._board: Any = None
        self._board_number = 0
        self._shown: tuple[Any, Any] = (None, None)
        self.options: Options | None = None
        self.changed: Signal[[]] = Signal()
        self.failed: Signal[[str]] = Signal()

    def show(self, options: Options, real: Any, simulated: Any, chart: Any = None) -> None:
        """Show two volumes.

        Args:
            options: how.
            real, simulated: volume nodes.
            chart: vtkMRMLPlotChartNode, if the options want one.

        Raises:
            InputError: one of them cannot be shown.
        """
        grid_of(real)
        if simulated is None:
            raise InputError(_("There is no simulated volume yet; make one in the tab “Simulate”."))
        grid = grid_of(simulated)
        anew = self.options is None or self._shown != (real, simulated)
        if anew and self.options is not None:
            self._put_back()
        chart = chart if options.chart else None
        if options.style == SIDE_BY_SIDE:
            self._put_layers_back()
            self._show_side_by_side(options, real, simulated, chart)
        else:
            self._lay_over(options, real, simulated, grid, chart, anew)
        self.options, self._shown = options, (real, simulated)
        self._watch(simulated)
        self._link_windows()
        self.changed.emit()

    @property
    def shown(self) -> tuple[Any, Any] | None:
        """Real scan and simulation that are shown; None for nothing."""
        return None if self.options is None else self._shown

    @property
    def busy(self) -> bool:
        """Whether a checkerboard is being made."""
        return self._background.busy

    def center(self) -> None:
        """Bring the views to the heart."""
        if self.options is not None and self.options.style == SIDE_BY_SIDE:
            self._session.layout.center(self.middle())
        else:
            bring_views_to(self.middle())

    def leave(self) -> None:
        """Put everything back as it was before the comparison."""
        if self._session.layout.active and self.options is not None:
            self._session.layout.back()

    def middle(self) -> Point:
        """Return the middle of the heart (3,), RAS mm."""
        vertices = self._session.surface.vertices(self._session.editor.heart)
        return np.asarray((vertices.min(axis=0) + vertices.max(axis=0)) / 2)

    def _show_side_by_side(self, options: Options, real: Any, simulated: Any, chart: Any) -> None:
        state = self._session.state
        labels = None if state is None else state.live_labels
        planes = ORIENTATIONS if options.plane == ALL_PLANES else (options.plane,)
        rows = [
            [View(_("Real"), real, plane, labels), View(_("Simulated"), simulated, plane, labels)] for plane in planes
        ]
        self._session.layout.show(rows, self.middle(), self._on_left, chart)

    def _lay_over(self, options: Options, real: Any, simulated: Any, grid: Grid, chart: Any, anew: bool) -> None:
        came = anew or not self._layers
        self._session.layout.show_standard(self._on_left, chart)
        over, opacity = simulated, options.opacity
        if options.style == CHECKERBOARD:
            self._make_board(simulated, grid, options.square_mm)
            over, opacity = self._board, 1.0
        else:
            self._drop_board()
        for composite in standard_composites():
            self._layers.setdefault(composite.GetID(), Layers.of(composite))
            was_modifying = composite.StartModify()
            composite.SetBackgroundVolumeID(real.GetID())
            composite.SetForegroundVolumeID(None if over is None else over.GetID())
            composite.SetForegroundOpacity(opacity)
            composite.SetCompositing(composite.Alpha)
            composite.EndModify(was_modifying)
        if came:
            for name in STANDARD_SLICES:
                logic = slicer.app.layoutManager().sliceWidget(name).sliceLogic()
                self._places[logic.GetSliceNode().GetID()] = Place.of(logic.GetSliceNode())
            fit_standard_views()
            bring_views_to(self.middle())

    def _make_board(self, simulated: Any, grid: Grid, square_mm: float) -> None:
        """Cut the squares out in a thread; the views get them when they are there."""
        array = array_of(simulated)
        self._board_number = number = self._board_number + 1

        def show(image: Any) -> None:
            if number == self._board_number:
                self._put_board(image, grid, simulated)

        self._background.run(
            lambda: new_image(cut_out_squares(array, grid, square_mm)),
            show,
            lambda error: self.failed.emit(_("The checkerboard could not be made ({why}).").format(why=error)),
        )

    def _put_board(self, image: Any, grid: Grid, simulated: Any) -> None:
        display = simulated.GetDisplayNode()
        new = self._board is None
        window = (display.GetWindow(), display.GetLevel())
        self._board = put_image(image, grid, _("Checkerboard"), self._board, window)
        if new:
            self._board.SetHideFromEditors(True)
            self._board.SetSaveWithScene(False)
            make_transparent(self._board.GetDisplayNode())
            for composite in standard_composites():
                composite.SetForegroundVolumeID(self._board.GetID())
            self._link_windows()

    def _drop_board(self) -> None:
        self._board_number += 1  # one that is being made is not wanted any more
        if self._board is not None and self._board.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._board)
        self._board = None

    def _link_windows(self) -> None:
        real, simulated = self._shown
        linked = [simulated] if self._board is None else [simulated, self._board]
        if self.options is not None and self.options.same_window:
            linked.append(real)
        self._windows.link(linked)

    def _watch(self, simulated: Any) -> None:
        self.removeObservers()
        self.addObserver(simulated, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._on_image_changed)

    def _on_image_changed(self, simulated: Any, _event: Any) -> None:
        if self.options is not None and self.options.style == CHECKERBOARD:
            self._make_board(simulated, grid_of(simulated), self.options.square_mm)

    def _put_layers_back(self) -> None:
        for name, layers in self._layers.items():
            composite = slicer.mrmlScene.GetNodeByID(name)
            if composite is not None:
                layers.put_back(composite)
        for name, place in self._places.items():
            node = slicer.mrmlScene.GetNodeByID(name)
            if node is not None:
                place.put_back(node)
        self._layers, self._places = {}, {}
        self._drop_board()

    def _put_back(self) -> None:
        self.removeObservers()
        self._put_layers_back()
        self._windows.put_back()

    def _on_left(self) -> None:
        """Our views are gone: the user, the scene or somebody else's views took their place."""
        self._put_back()
        self.options, self._shown = None, (None, None)
        self.changed.emit()
