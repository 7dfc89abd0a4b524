"""Labels and quick CT that follow the heart, as volumes in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.scene_volumes import put_label_map, put_volume
from FedSimSlicerLib.slice_layers import HEART_WINDOW, SIMULATION, fit_standard_views, standard_composites

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.state import ModuleState

LABEL_OPACITY = 1.0
"""Of the layer; how much of the labels is seen is kept in their colours, see :mod:`overlay_colors`."""


class LiveImages:
    """Shows arrays in the same nodes again and again."""

    def __init__(self) -> None:
        self._state: ModuleState | None = None
        self._backgrounds: dict[str, str | None] = {}

    def bind(self, state: ModuleState | None) -> None:
        """Use the nodes of this scene's state; None for none."""
        self._state = state
        self._backgrounds = {}

    def show_labels(self, labels: NDArray[Any], grid: Grid) -> None:
        """Show a label map (i, j, k) over whatever the slice views show."""
        if self._state is None:
            return
        known = self._state.live_labels
        node = put_label_map(labels, grid, _("Heart labels (live)"), known)
        if known is None:
            self._state.live_labels = node
            slicer.util.setSliceViewerLayers(label=node, labelOpacity=LABEL_OPACITY)
            if self._is_first():
                fit_standard_views()

    def drop_labels(self) -> None:
        """Take the labels away, because they are no longer the heart's."""
        if self._state is not None and self._state.live_labels is not None:
            slicer.mrmlScene.RemoveNode(self._state.live_labels)

    def show_preview(self, hu: NDArray[Any], grid: Grid) -> None:
        """Show a quick CT (i, j, k) as the background of the standard slice views."""
        if self._state is None:
            return
        known = self._state.preview
        node = put_volume(hu, grid, _("CT preview"), known, HEART_WINDOW)
        if known is None:
            self._state.preview = node
            self._bring_to_background(node, standard_composites())
        else:
            # The simulation that took its place is one of an earlier heart or scanner by now.
            self._bring_to_background(node, list(filter(_shows_simulation, standard_composites())))

    def drop_preview(self) -> None:
        """Take the quick CT away; the views show again what they showed before it."""
        if self._state is None or self._state.preview is None:
            return
        node = self._state.preview
        shown = [c for c in standard_composites() if c.GetBackgroundVolumeID() == node.GetID()]
        slicer.mrmlScene.RemoveNode(node)
        for composite in shown:
            before = self._backgrounds.get(composite.GetID())
            if before is not None and slicer.mrmlScene.GetNodeByID(before) is not None:
                composite.SetBackgroundVolumeID(before)
        self._backgrounds = {}

    def _bring_to_background(self, node: Any, composites: list[Any]) -> None:
        fit = self._is_first()
        for composite in composites:
            self._backgrounds[composite.GetID()] = composite.GetBackgroundVolumeID()
            composite.SetBackgroundVolumeID(node.GetID())
        if fit:
            fit_standard_views()

    @staticmethod
    def _is_first() -> bool:
        """Whether the slice views show no volume yet, so that they may be moved to ours."""
        return not any(composite.GetBackgroundVolumeID() for composite in standard_composites())


def _shows_simulation(composite: Any) -> bool:
    volume = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
    return volume is not None and volume.GetAttribute(SIMULATION) is not None
