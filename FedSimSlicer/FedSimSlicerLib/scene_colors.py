"""The colours and codes of the seven regions, as the scene's nodes carry them."""

from __future__ import annotations

from typing import Any

import slicer

from FedSimCore import anatomy
from FedSimCore.volumes.segmentation import terminology_entry

_MARK = "FedSim.RegionColors"
Color = tuple[float, float, float]


def color_of(region: anatomy.Region) -> Color:
    """Return a region's colour, 0 to 1."""
    red, green, blue = (value / 255 for value in region.color)
    return red, green, blue


def region_of_terminology(entry: str | None) -> anatomy.Region | None:
    """Return the region that a serialized term names, None if it is another one or damaged."""
    fields = (entry or "").split("~")
    if len(fields) < 3:
        return None
    scheme_and_value = tuple(fields[2].split("^")[:2])
    codes = {(region.code.scheme, region.code.value): region for region in anatomy.regions()}
    return codes.get(scheme_and_value)  # type: ignore[arg-type]  # a damaged tag has fewer fields


def region_colors() -> Any:
    """Return the colour table of FedSim's labels; it is made once a scene and saved with it."""
    for table in slicer.util.getNodesByClass("vtkMRMLColorTableNode"):
        if table.GetAttribute(_MARK) is not None and table.GetNumberOfColors() > max(anatomy.labels()):
            return table
    table = slicer.mrmlScene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)  # CreateNodeByClass leaves the reference to its caller
    table.SetName(slicer.mrmlScene.GenerateUniqueName("FedSim regions"))
    table.SetTypeToUser()
    table.SetAttribute(_MARK, "1")
    table.SetAttribute("Category", "FedSim")
    table.SetNumberOfColors(max(anatomy.labels()) + 1)
    table.SetColor(anatomy.BACKGROUND, "Background", 0.0, 0.0, 0.0, 0.0)
    for region in anatomy.regions():
        table.SetColor(region.label, region.name, *color_of(region), 1.0)
        table.SetTerminologyFromString(region.label, terminology_entry(region))
    return slicer.mrmlScene.AddNode(table)
