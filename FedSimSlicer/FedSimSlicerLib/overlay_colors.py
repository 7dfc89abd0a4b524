"""The label overlay's own colour table: its opacities say which regions are seen in the slice views, and how much.

A table of its own, because that of :mod:`scene_colors` is shared by every label map FedSim makes. Opacity is kept in
the colours rather than in the slice views, which would ignore it where no volume lies below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.scene_colors import region_colors

_MARK = "FedSim.OverlayColors"
_BYTE = 1 / 255
"""What a colour table keeps of an opacity; a smaller change is none, and would draw the slices anew for nothing."""


def set_overlay_opacities(labels: Any, opacities: Mapping[int, float]) -> None:
    """Give each label of a label map volume an opacity in the slice views.

    Args:
        labels: vtkMRMLLabelMapVolumeNode.
        opacities: label value to opacity, 0 to 1.
    """
    display = labels.GetDisplayNode()
    if display is None:
        return
    table = display.GetColorNode()
    if table is None or table.GetAttribute(_MARK) is None:
        table = _make_table()
        display.SetAndObserveColorNodeID(table.GetID())
    was_modifying = table.StartModify()
    for label, opacity in opacities.items():
        if abs(table.GetLookupTable().GetTableValue(label)[3] - opacity) > _BYTE:
            table.SetOpacity(label, opacity)
    table.EndModify(was_modifying)


def _make_table() -> Any:
    found = [t for t in slicer.util.getNodesByClass("vtkMRMLColorTableNode") if t.GetAttribute(_MARK) is not None]
    if found:
        return found[0]
    shared = region_colors()
    table = slicer.mrmlScene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)  # CreateNodeByClass leaves the reference to its caller
    table.SetName(slicer.mrmlScene.GenerateUniqueName(_("FedSim overlay")))
    table.SetTypeToUser()
    table.SetAttribute(_MARK, "1")
    table.SetAttribute("Category", "FedSim")
    table.SetNumberOfColors(shared.GetNumberOfColors())
    for label in range(shared.GetNumberOfColors()):
        table.SetColor(label, shared.GetColorName(label), *shared.GetLookupTable().GetTableValue(label))
    return slicer.mrmlScene.AddNode(table)
