"""Layouts of our own: slice views side by side that show the same place, each with its volume and its name.

The views are Slicer's own slice views with names of ours, so nothing that the user had set up in the red, green and
yellow ones is touched. They are in a group of their own and linked: what is done in one is done in all of its
orientation (vtkMRMLSliceLinkLogic).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from FedSimSlicerLib.slice_layers import OWN_VIEWS
from FedSimSlicerLib.view_centers import STANDARD_SLICES as STANDARD
from FedSimSlicerLib.view_centers import Point

LAYOUT = 20611
"""Number of our layout; Slicer asks extensions to stay far above its own."""
VIEW_GROUP = 611
CHART_VIEW = f"{OWN_VIEWS}Chart"
CURVES_VIEW = f"{OWN_VIEWS}Curves"
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
FIELD_MM = 150.0
"""Shorter side of what a view shows."""
_COLOR = "#8C9CB0"
_PLOT_ITEM = (
    '<item><view class="vtkMRMLPlotViewNode" singletontag="{tag}">'
    '<property name="viewlabel" action="default">{label}</property></view></item>'
)
_CHART_ITEM = _PLOT_ITEM.format(tag=CHART_VIEW, label="HU")
_CURVES_ITEM = _PLOT_ITEM.format(tag=CURVES_VIEW, label="T")


@dataclass(frozen=True, eq=False)
class View:
    """One slice view.

    Attributes:
        label: what it says over the picture.
        volume: vtkMRMLVolumeNode that it shows.
        orientation: one of :data:`ORIENTATIONS`.
        labels: vtkMRMLLabelMapVolumeNode over it, or None.
    """

    label: str
    volume: Any
    orientation: str = "Axial"
    labels: Any = None


class CompareLayout(VTKObservationMixin):
    """Shows views in place of the layout that is there, and brings that back.

    Whoever shows something gives a function that puts its own things back; it is called when the views go, whether
    by :meth:`back`, because somebody else shows something, or because the user chooses another layout.
    """

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._before = 0
        self._left: Callable[[], None] | None = None
        node = _layout_node()
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, lambda *_: self._leave_if_gone())

    @property
    def active(self) -> bool:
        """Whether a layout of ours is on the screen."""
        return bool(_layout_node().GetViewArrangement() == LAYOUT)

    def show(
        self, rows: Sequence[Sequence[View]], middle_mm: Point, left: Callable[[], None], chart: Any = None
    ) -> None:
        """Show views of our own, all of them with the same place in the middle.

        Args:
            rows: of views.
            middle_mm: RAS mm.
            left: called when they go.
            chart: vtkMRMLPlotChartNode to show below, or None.
        """
        names = _names(rows)
        lines = [[_slice_item(name) for name in row] for row in names]
        self._switch([*lines, [_CHART_ITEM]] if chart is not None else lines, left)
        shown = [pair for row, tags in zip(rows, names, strict=True) for pair in zip(row, tags, strict=True)]
        for view, name in shown:
            _fill(name, view)
        _place([name for _view, name in shown], middle_mm)
        # Once more when the views have got their sizes on the screen.
        qt.QTimer.singleShot(0, lambda: _place([name for _view, name in shown], middle_mm))
        self._show_chart(chart)

    def show_standard(self, left: Callable[[], None], chart: Any = None) -> None:
        """Show the red, green and yellow slice views as they are, with the 3D view or a chart.

        Args:
            left: called when they go.
            chart: vtkMRMLPlotChartNode, or None for the 3D view.
        """
        red, green, yellow = (f'<item><view class="vtkMRMLSliceNode" singletontag="{n}"/></item>' for n in STANDARD)
        fourth = '<item><view class="vtkMRMLViewNode" singletontag="1"/></item>' if chart is None else _CHART_ITEM
        self._switch([[red, fourth], [green, yellow]], left)
        self._show_chart(chart)

    def show_chart(self, chart: Any, left: Callable[[], None]) -> None:
        """Show a chart over the 3D view and the red slice view.

        Args:
            chart: vtkMRMLPlotChartNode.
            left: called when they go.
        """
        red = f'<item><view class="vtkMRMLSliceNode" singletontag="{STANDARD[0]}"/></item>'
        self._switch([[_CURVES_ITEM], ['<item><view class="vtkMRMLViewNode" singletontag="1"/></item>', red]], left)
        _show_in(CURVES_VIEW, chart)

    def center(self, middle_mm: Point) -> None:
        """Bring our own views to a place, RAS mm."""
        for name in slicer.app.layoutManager().sliceViewNames():
            if name.startswith(OWN_VIEWS):
                slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().JumpSliceByCentering(
                    *map(float, middle_mm)
                )

    def back(self) -> None:
        """Bring the layout back that ours took the place of."""
        if self.active:
            _layout_node().SetViewArrangement(self._before or _layout_node().SlicerLayoutFourUpView)

    def recover(self) -> None:
        """Leave a layout of ours that was saved with a scene: its views have nobody who fills them now."""
        if self.active and self._left is None:
            self.back()

    def close(self) -> None:
        """Bring the layout back and follow the scene no longer."""
        self.back()
        self.removeObservers()

    def _switch(self, rows: list[list[str]], left: Callable[[], None]) -> None:
        if self._left not in (None, left):
            self._leave()
        node = _layout_node()
        if not self.active:
            self._before = node.GetViewArrangement()
        lines = "".join(f'<item><layout type="horizontal">{"".join(row)}</layout></item>' for row in rows)
        description = f'<layout type="vertical">{lines}</layout>'
        if self.active and node.GetLayoutDescription(LAYOUT) == description:
            self._left = left
            return
        if node.IsLayoutDescription(LAYOUT):
            node.SetLayoutDescription(LAYOUT, description)
        else:
            node.AddLayoutDescription(LAYOUT, description)
        node.SetViewArrangement(LAYOUT)
        self._left = left

    def _show_chart(self, chart: Any) -> None:
        if chart is not None:
            _show_in(CHART_VIEW, chart)

    def _leave_if_gone(self) -> None:
        if not self.active:
            self._leave()

    def _leave(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left()


def _show_in(view: str, chart: Any) -> None:
    slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLPlotViewNode").SetPlotChartNodeID(chart.GetID())


def _layout_node() -> Any:
    return slicer.app.layoutManager().layoutLogic().GetLayoutNode()


def _names(rows: Sequence[Sequence[View]]) -> list[list[str]]:
    width = max(map(len, rows))
    return [[f"{OWN_VIEWS}{1 + r * width + c}" for c in range(len(row))] for r, row in enumerate(rows)]


def _slice_item(name: str) -> str:
    properties = {"orientation": "Axial", "viewlabel": name, "viewcolor": _COLOR, "viewgroup": str(VIEW_GROUP)}
    lines = "".join(f'<property name="{key}" action="default">{value}</property>' for key, value in properties.items())
    return f'<item><view class="vtkMRMLSliceNode" singletontag={quoteattr(name)}>{lines}</view></item>'


def _fill(name: str, view: View) -> None:
    widget = slicer.app.layoutManager().sliceWidget(name)
    composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
    was_modifying = composite.StartModify()
    composite.SetBackgroundVolumeID(view.volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None if view.labels is None else view.labels.GetID())
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.EndModify(was_modifying)
    node.SetLayoutLabel(view.label)
    node.SetViewGroup(VIEW_GROUP)
    node.SetOrientation(view.orientation)


def _place(names: Sequence[str], middle_mm: Point) -> None:
    """Show the same place with the same magnification in all views that are on the screen."""
    widgets = [slicer.app.layoutManager().sliceWidget(name) for name in names]
    nodes = [widget.mrmlSliceNode() for widget in widgets if widget is not None]
    pixels = min((min(node.GetDimensions()[:2]) for node in nodes), default=1)
    scale = FIELD_MM / max(1, pixels)
    for node in nodes:
        width, height, _depth = node.GetDimensions()
        node.SetFieldOfView(width * scale, height * scale, node.GetFieldOfView()[2])
        node.SetXYZOrigin(0.0, 0.0, 0.0)
        node.JumpSliceByCentering(*map(float, middle_mm))
