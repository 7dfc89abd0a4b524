"""The scene's scans that can be segmented, and how one is read for the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from FedSimCore.volumes import Grid
from FedSimSlicerLib.scene_volumes import array_of, grid_of
from FedSimSlicerLib.slice_layers import standard_composites

MADE = "FedSim.Made"
"""Attribute of volumes that the module makes and that are no scans."""


def scans(preview: Any = None) -> list[Any]:
    """Return the volume nodes that may be scans: no label maps, nothing hidden, nothing that is only an overlay.

    Colour volumes and the like are among them, so that somebody who chooses one is told why it is none.

    Args:
        preview: the quick CT that follows the heart, which is left out.
    """
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if not node.IsA("vtkMRMLLabelMapVolumeNode")
        and not node.GetHideFromEditors()
        and node.GetAttribute(MADE) is None
        and node is not preview
    ]


def scan_in_views() -> Any:
    """Return the volume that the slice views show in the background; None if there is none."""
    for composite in standard_composites():
        node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        if node is not None:
            return node
    return None


@dataclass(frozen=True, eq=False)
class ScanSource:
    """A scan to be read in any thread: a view of its node's memory.

    Attributes:
        name: of the node.
        array: (i, j, k), HU.
        grid: RAS mm, transforms included.
    """

    name: str
    array: NDArray[Any]
    grid: Grid

    @classmethod
    def of(cls, node: Any) -> ScanSource:
        """Return what a volume node holds; takes no time.

        Raises:
            InputError: it is no volume with one value a voxel, or cannot be placed in the world.
        """
        return cls(node.GetName(), array_of(node), grid_of(node))

    def read(self) -> NDArray[Any]:
        """Return a copy of the voxels as the worker takes them: int16 or float32, in C order."""
        kind = np.int16 if self.array.dtype.name in ("int16", "int8", "uint8") else np.float32
        return np.array(self.array, dtype=kind, order="C")
