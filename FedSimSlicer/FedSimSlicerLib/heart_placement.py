"""Bringing the heart into a real scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from FedSimSlicerLib.scene_volumes import grid_of

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.heart_editor import HeartEditor
    from FedSimSlicerLib.heart_surface import HeartSurface, Points
    from FedSimSlicerLib.view_centers import Point

REFERENCE = "referenceImageGeometryRef"
"""Role of a segmentation's reference to the volume that it was made on (vtkMRMLSegmentationNode)."""


def place_in(scan: Any, patient: Any, editor: HeartEditor, surface: HeartSurface) -> None:
    """Move the middle of the heart to the middle of the patient's heart, or to that of the scan.

    Args:
        scan: volume node of the real scan.
        patient: segmentation of its heart; not used if None or elsewhere.
        editor: whose heart is moved, as one step of undo.
        surface: the shape model.

    Raises:
        InputError: the scan is no volume with one value a voxel.
    """
    grid = grid_of(scan)
    target = _middle_of_segmentation(patient if patient is not None else segmentation_of(scan))
    if target is None or not overlaps(grid, target[None]):
        target = grid.center_mm
    heart = editor.heart
    vertices = surface.vertices(heart)
    shift = target - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    moved = tuple((np.asarray(heart.pose.translation_mm) + shift).tolist())
    editor.commit()
    editor.set_pose(heart.pose.model_copy(update={"translation_mm": moved}))
    editor.commit()


def overlaps(grid: Grid, points: Points) -> bool:
    """Tell whether any of the points (n, 3), RAS mm, lies within the grid."""
    index = grid.to_index(points)
    return bool(((index >= -0.5) & (index <= np.array(grid.shape) - 0.5)).all(axis=1).any())


def segmentation_of(scan: Any) -> Any:
    """Return a segmentation node that was made on this scan; None if there is none."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if scan is not None and node.GetNodeReference(REFERENCE) is scan:
            return node
    return None


def _middle_of_segmentation(node: Any) -> Point | None:
    if node is None or not node.IsA("vtkMRMLSegmentationNode"):
        return None
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    return None if (low > high).any() else (low + high) / 2
