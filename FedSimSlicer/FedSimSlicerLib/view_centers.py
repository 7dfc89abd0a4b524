"""What the views look at: reading it, and bringing them to a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

STANDARD_SLICES = ("Red", "Green", "Yellow")

Point = NDArray[np.float64]

HEART_RADIUS_MM = 90.0
"""Of the ball that a heart of usual size fits into."""


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
    """Bring the standard slices and the 3D views to a point (3,), RAS mm, around which a heart lies."""
    for node in _slice_nodes():
        node.JumpSliceByCentering(*map(float, point))
    bring_3d_views_to(point)


def bring_3d_views_to(point: Point) -> None:
    """Look at a heart round a point (3,), RAS mm, from where the 3D views look now.

    Slicer's own reset takes in the box round the origin, beside which a heart of a scan is small or out of sight.
    """
    layout = slicer.app.layoutManager()
    for index in range(layout.threeDViewCount):
        view = layout.threeDWidget(index).threeDView()
        renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
        camera = renderer.GetActiveCamera()
        distance = HEART_RADIUS_MM / np.sin(np.radians(camera.GetViewAngle() / 2))
        direction = np.asarray(camera.GetDirectionOfProjection())
        camera.SetFocalPoint(*map(float, point))
        camera.SetPosition(*map(float, point - distance * direction))
        renderer.ResetCameraClippingRange()
        view.scheduleRender()


def _slice_nodes() -> list[Any]:
    found = [slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in STANDARD_SLICES]
    return [node for node in found if node is not None]
