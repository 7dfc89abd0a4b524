"""Bringing the heart into a real scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.heart_editor import HeartEditor
    from FedSimSlicerLib.heart_surface import HeartSurface, Points
    from FedSimSlicerLib.patient_labels import LabelSource
    from FedSimSlicerLib.view_centers import Point

REFERENCE = "referenceImageGeometryRef"
"""Role of a segmentation's reference to the volume that it was made on (vtkMRMLSegmentationNode)."""


def place_at(target: Point, editor: HeartEditor, surface: HeartSurface) -> None:
    """Move the middle of the heart to a point (3,), RAS mm, as one step of undo."""
    heart = editor.heart
    vertices = surface.vertices(heart)
    shift = target - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    moved = tuple((np.asarray(heart.pose.translation_mm) + shift).tolist())
    editor.commit()
    editor.set_pose(heart.pose.model_copy(update={"translation_mm": moved}))
    editor.commit()


def middle_of_labels(source: LabelSource) -> Point:
    """Return the middle (3,), RAS mm, of the box round all regions; takes up to a second, in any thread.

    Raises:
        InputError: there are none.
    """
    found = source.read()
    present = np.argwhere(found.labels)
    return found.grid.to_world((present.min(axis=0) + present.max(axis=0)) / 2)


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
