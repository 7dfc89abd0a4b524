"""Labels and quick CT that follow the heart, as volumes in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.scene_volumes import put_label_map, put_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.state import ModuleState

LABEL_OPACITY = 0.35
HEART_WINDOW = (800.0, 200.0)
"""Window and level of an enhanced heart, HU."""


class LiveImages:
    """Shows arrays in the same nodes again and again."""

    def __init__(self) -> None:
        self._state: ModuleState | None = None

    def bind(self, state: ModuleState | None) -> None:
        """Use the nodes of this scene's state; None for none."""
        self._state = state

    def show_labels(self, labels: NDArray[Any], grid: Grid) -> None:
        """Show a label map (i, j, k) over whatever the slice views show."""
        if self._state is None:
            return
        known = self._state.live_labels
        node = put_label_map(labels, grid, _("Heart labels (live)"), known)
        if known is None:
            self._state.live_labels = node
            slicer.util.setSliceViewerLayers(label=node, labelOpacity=LABEL_OPACITY, fit=self._is_first())

    def show_preview(self, hu: NDArray[Any], grid: Grid) -> None:
        """Show a quick CT (i, j, k) in the slice views."""
        if self._state is None:
            return
        known = self._state.preview
        node = put_volume(hu, grid, _("CT preview"), known, HEART_WINDOW)
        if known is None:
            self._state.preview = node
            slicer.util.setSliceViewerLayers(background=node, fit=True)

    @staticmethod
    def _is_first() -> bool:
        """Whether the slice views show no volume yet, so that they may be moved to ours."""
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return not any(composite.GetBackgroundVolumeID() for composite in composites)
