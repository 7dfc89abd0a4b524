"""Layouts of our own: slice views side by side that show the same place, each with its volume and its name.

The views are Slicer's own slice views with names of ours, so nothing that the user had set up in the red, green and
yellow ones is touched. They are in a group of their own and linked: what is done in one is done in all of its
orientation (vtkMRMLSliceLinkLogic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import qt
import slicer

from FedSimSlicerLib.slice_layers import OWN_VIEWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUT = 20611
"""Number of our layout; Slicer asks extensions to stay far above its own."""
VIEW_GROUP = 611
CHART_VIEW = f"{OWN_VIEWS}Chart"
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
FIELD_MM = 150.0
"""Shorter side of what a view shows."""
_COLOR = "#8C9CB0"


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


class CompareLayout:
    """Shows rows of views in place of the layout that is there, and brings that back.

    It is known by the layout node only, so several may be used in turn: the layout before ours is remembered by
    whichever replaced it, in the attribute :attr:`BEFORE` of the layout node.
    """

    BEFORE = "FedSim.LayoutBefore"

    @property
    def active(self) -> bool:
        """Whether a layout of ours is on the screen."""
        return bool(_layout_node().GetViewArrangement() == LAYOUT)

    def show(self, rows: Sequence[Sequence[View]], middle_mm: NDArray[Any], chart: Any = None) -> None:
        """Show views, all of them with the same place in the middle.

        Args:
            rows: of views, all equally long.
            middle_mm: RAS mm.
            chart: vtkMRMLPlotChartNode to show below, or None.
        """
        node = _layout_node()
        if not self.active:
            node.SetAttribute(self.BEFORE, str(node.GetViewArrangement()))
        names = _names(rows)
        description = _describe(names, chart is not None)
        if node.IsLayoutDescription(LAYOUT):
            node.SetLayoutDescription(LAYOUT, description)
        else:
            node.AddLayoutDescription(LAYOUT, description)
        node.SetViewArrangement(LAYOUT)
        shown = [pair for row, tags in zip(rows, names, strict=True) for pair in zip(row, tags, strict=True)]
        for view, name in shown:
            _fill(name, view)
        _place([name for _view, name in shown], middle_mm)
        # Once more when the views have got their sizes on the screen.
        qt.QTimer.singleShot(0, lambda: _place([name for _view, name in shown], middle_mm))
        if chart is not None:
            plot_view = slicer.mrmlScene.GetSingletonNode(CHART_VIEW, "vtkMRMLPlotViewNode")
            plot_view.SetPlotChartNodeID(chart.GetID())

    def back(self) -> None:
        """Bring the layout back that ours took the place of."""
        node = _layout_node()
        if self.active:
            before = node.GetAttribute(self.BEFORE)
            node.SetViewArrangement(int(before) if before else node.SlicerLayoutFourUpView)

    def recover(self) -> None:
        """Leave a layout of ours that was saved with a scene: its views have nobody who fills them now."""
        if self.active:
            _layout_node().SetViewArrangement(_layout_node().SlicerLayoutFourUpView)


def composites() -> list[Any]:
    """Return the vtkMRMLSliceCompositeNodes of our views that are on the screen."""
    manager = slicer.app.layoutManager()
    return [
        manager.sliceWidget(name).mrmlSliceCompositeNode()
        for name in manager.sliceViewNames()
        if name.startswith(OWN_VIEWS)
    ]


def _layout_node() -> Any:
    return slicer.app.layoutManager().layoutLogic().GetLayoutNode()


def _names(rows: Sequence[Sequence[View]]) -> list[list[str]]:
    width = max(map(len, rows))
    return [[f"{OWN_VIEWS}{1 + r * width + c}" for c in range(len(row))] for r, row in enumerate(rows)]


def _describe(names: list[list[str]], chart: bool) -> str:
    """Return the layout's XML, see vtkMRMLLayoutLogic."""
    lines = "".join(
        f'<item><layout type="horizontal">{"".join(map(_slice_item, row))}</layout></item>' for row in names
    )
    if chart:
        view = f'<view class="vtkMRMLPlotViewNode" singletontag="{CHART_VIEW}">'
        lines += f'<item>{view}<property name="viewlabel" action="default">P</property></view></item>'
    return f'<layout type="vertical">{lines}</layout>'


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


def _place(names: Sequence[str], middle_mm: NDArray[Any]) -> None:
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
