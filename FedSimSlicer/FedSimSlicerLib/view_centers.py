"""What the views look at: reading it, and bringing them to a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

STANDARD_SLICES = ("Red", "Green", "Yellow")

Point = NDArray[np.float64]

CLOSER = 1.7


def slices_cross_at() -> Point:
    """Return where the three standard slices cross (3,), RAS mm; the red one's middle if they do not."""
    nodes = _slice_nodes()
    if not nodes:
        return np.zeros(3)
    matrices = [np.array(node.GetSliceToRAS().GetData()).reshape(4, 4) for node in nodes]
    normals = np.array([matrix[:3, 2] for matrix in matrices])
    offsets = np.array([matrix[:3, 2] @ matrix[:3, 3] for matrix in matrices])
    if len(nodes) < 3 or abs(np.linalg.det(normals)) < 1e-3:
        return matrices[0][:3, 3].copy()
    return np.linalg.solve(normals, offsets)


def bring_views_to(point: Point) -> None:
    """Bring the standard slices to a point (3,), RAS mm, and let the 3D views show all there is."""
    for node in _slice_nodes():
        node.JumpSliceByCentering(*map(float, point))
    fill_3d_views()


def fill_3d_views() -> None:
    """Fill the 3D views with all there is: Slicer's own reset leaves room for a field of view of 200 mm."""
    layout = slicer.app.layoutManager()
    layout.resetThreeDViews()
    for index in range(layout.threeDViewCount):
        renderer = layout.threeDWidget(index).threeDView().renderWindow().GetRenderers().GetFirstRenderer()
        renderer.GetActiveCamera().Dolly(CLOSER)
        renderer.ResetCameraClippingRange()


def _slice_nodes() -> list[Any]:
    found = [slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in STANDARD_SLICES]
    return [node for node in found if node is not None]
