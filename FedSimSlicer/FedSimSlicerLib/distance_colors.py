"""Distances on the heart's surface as colours, and the legend that tells them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_display import HeartDisplay

_MARK = "FedSim.DistanceColors"
_STEPS = 101
_INSIDE, _MIDDLE, _OUTSIDE = (0.13, 0.30, 0.75), (0.94, 0.94, 0.94), (0.75, 0.10, 0.13)
SMALLEST_LIMIT_MM, LARGEST_LIMIT_MM = 2.0, 10.0


def show_distances(display: HeartDisplay, distance_mm: NDArray[np.float32]) -> None:
    """Colour the heart's surface: blue inside, red outside, the regions' own colours where a distance is unknown.

    Args:
        display: the heart in the scene.
        distance_mm: (V,) signed, NaN where unknown.
    """
    limit = limit_of(distance_mm)
    colors = distance_colors()
    display.color_by_distance(distance_mm, colors.GetID(), limit)
    _remove_legends(display)
    shown = [node for _part, node in display.nodes() if node.GetDisplayNode().GetScalarVisibility()]
    if not shown:
        return
    add_legend(shown[0], _("Distance (mm)"))


def hide_distances(display: HeartDisplay) -> None:
    """Give the regions their own colours again."""
    display.color_plainly()
    _remove_legends(display)


def limit_of(distance_mm: NDArray[np.float32]) -> float:
    """Return the end of the colours: whole millimetres that 98 % of the surface does not exceed, within reason."""
    known = np.abs(distance_mm[np.isfinite(distance_mm)])
    if not known.size:
        return SMALLEST_LIMIT_MM
    return float(min(max(math.ceil(np.percentile(known, 98)), SMALLEST_LIMIT_MM), LARGEST_LIMIT_MM))


def add_legend(node: Any, title: str) -> None:
    """Explain a node's colours in the 3D views."""
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(title)
    legend.SetLabelFormat("%+.1f")
    legend.SetNumberOfLabels(5)
    legend.SetVisibility2D(False)
    legend.SetSaveWithScene(False)


def remove_legend(node: Any) -> None:
    """Take a node's legend away, if it has one."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is not None:
        slicer.mrmlScene.RemoveNode(legend)


def _remove_legends(display: HeartDisplay) -> None:
    for _part, node in list(display.nodes()):
        remove_legend(node)


def distance_colors() -> Any:
    """Return the colours from inside to outside, made where the scene lacks them."""
    for table in slicer.util.getNodesByClass("vtkMRMLColorTableNode"):
        if table.GetAttribute(_MARK) is not None:
            return table
    table = slicer.mrmlScene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)  # CreateNodeByClass leaves the reference to its caller
    table.SetName(_("FedSim distance"))
    table.SetTypeToUser()
    table.SetAttribute(_MARK, "1")
    table.SetAttribute("Category", "FedSim")
    table.SetHideFromEditors(True)
    table.SetSaveWithScene(False)
    table.SetNumberOfColors(_STEPS)
    for step, position in enumerate(np.linspace(-1.0, 1.0, _STEPS)):
        end = np.array(_OUTSIDE if position > 0 else _INSIDE)
        color = np.array(_MIDDLE) + abs(position) * (end - np.array(_MIDDLE))
        table.SetColor(step, f"{position:+.2f}", *map(float, color), 1.0)
    return slicer.mrmlScene.AddNode(table)
