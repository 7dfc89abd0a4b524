"""A segmenter's uncertainty laid over the scan in the slice views: yellow where it hesitates, red where it guesses."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.distance_colors import remove_legend
from FedSimSlicerLib.slice_layers import Layers, standard_composites

_MARK = "FedSim.UncertaintyColors"
LEAST_PERCENT, MOST_PERCENT = 10.0, 70.0
"""Below the one nothing is shown: every edge has a little. With eight labels 70 % stand for four that are alike."""
_OPACITY = 0.6
_LEGEND_SIZE, _LEGEND_FONT = (0.12, 0.4), 14
_SURE, _DOUBTFUL, _GUESSED = (1.0, 0.97, 0.62), (0.99, 0.55, 0.20), (0.70, 0.0, 0.15)


class UncertaintyOverlay:
    """Shows one volume of uncertainty at a time, and puts the slice views' layers back afterwards."""

    def __init__(self) -> None:
        self._before: dict[str, Layers] = {}
        self._volume_id = ""

    @property
    def shown(self) -> bool:
        """Whether a volume is laid over the scan."""
        return bool(self._volume_id)

    def show(self, volume: Any, scan: Any) -> None:
        """Lay a volume (percent) over its scan in all slice views."""
        self.hide()
        _prepare_display(volume)
        self._volume_id = volume.GetID()
        for composite in standard_composites():
            self._before[composite.GetID()] = Layers.of(composite)
            was_modifying = composite.StartModify()
            if scan is not None:
                composite.SetBackgroundVolumeID(scan.GetID())
            composite.SetForegroundVolumeID(self._volume_id)
            composite.SetForegroundOpacity(_OPACITY)
            composite.EndModify(was_modifying)
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(volume)
        legend.SetTitleText(_("Uncertainty (%)"))
        legend.SetLabelFormat("%.0f")
        legend.SetNumberOfLabels(4)
        legend.SetVisibility3D(False)
        legend.SetSize(*_LEGEND_SIZE)
        legend.GetTitleTextProperty().SetFontSize(_LEGEND_FONT)
        legend.GetLabelTextProperty().SetFontSize(_LEGEND_FONT)
        for composite in standard_composites()[:1]:  # one view is enough to tell the colours
            legend.AddViewNodeID(f"vtkMRMLSliceNode{composite.GetLayoutName()}")
        legend.SetSaveWithScene(False)

    def hide(self) -> None:
        """Show what the views showed before, but where the user has chosen another overlay since."""
        if not self._volume_id:
            return
        volume = slicer.mrmlScene.GetNodeByID(self._volume_id)
        for composite in standard_composites():
            layers = self._before.get(composite.GetID())
            if layers is not None and composite.GetForegroundVolumeID() == self._volume_id:
                layers.put_back(composite)
        if volume is not None:
            remove_legend(volume)
        self.forget()

    def forget(self) -> None:
        """Leave the views as they are, because their scene is going."""
        self._before, self._volume_id = {}, ""


def _prepare_display(volume: Any) -> None:
    if volume.GetDisplayNode() is None:
        volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    was_modifying = display.StartModify()
    display.SetAndObserveColorNodeID(_colors().GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(LEAST_PERCENT, MOST_PERCENT)
    display.SetAutoThreshold(False)
    display.SetThreshold(LEAST_PERCENT, 100.0)
    display.SetApplyThreshold(True)
    display.EndModify(was_modifying)


def _colors() -> Any:
    """Return the colours, made where the scene lacks them."""
    for table in slicer.util.getNodesByClass("vtkMRMLColorTableNode"):
        if table.GetAttribute(_MARK) is not None:
            return table
    table = slicer.mrmlScene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)  # CreateNodeByClass leaves the reference to its caller
    table.SetName(slicer.mrmlScene.GenerateUniqueName(_("FedSim uncertainty")))
    table.SetTypeToUser()
    table.SetAttribute(_MARK, "1")
    table.SetAttribute("Category", "FedSim")
    steps = 256
    table.SetNumberOfColors(steps)
    stops = np.array((_SURE, _DOUBTFUL, _GUESSED))
    for step, position in enumerate(np.linspace(0.0, 1.0, steps)):
        color = [float(np.interp(position, (0.0, 0.5, 1.0), stops[:, channel])) for channel in range(3)]
        table.SetColor(step, f"{LEAST_PERCENT + position * (MOST_PERCENT - LEAST_PERCENT):.0f} %", *color, 1.0)
    return slicer.mrmlScene.AddNode(table)
