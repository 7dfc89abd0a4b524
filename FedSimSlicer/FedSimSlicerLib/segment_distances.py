"""The distance of a segmentation's surface to a reference's, as a coloured model with a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from FedSimSlicerLib.distance_colors import add_legend, distance_colors, limit_of, remove_legend
from FedSimSlicerLib.scene_models import surface_of
from FedSimSlicerLib.subject_hierarchy import put_into_folder

DISTANCE = "Distance to reference (mm)"
_MARK = "FedSim.SegmentationDistances"


def distance_surface(labels: Sequence[int], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return all regions' surfaces as one vtkPolyData with distances at its points; None if there are no regions.

    May be called in a thread.

    Args:
        labels: of the regions.
        arrays: ``points_1``, ``faces_1``, ``distance_1``, ... of a ``CompareLabelsTask``.
    """
    if not labels:
        return None
    counts = [0, *np.cumsum([len(arrays[f"points_{label}"]) for label in labels])[:-1]]
    points = np.concatenate([arrays[f"points_{label}"] for label in labels]).astype(np.float64)
    faces = np.concatenate([arrays[f"faces_{label}"] + start for label, start in zip(labels, counts, strict=True)])
    surface = surface_of(points, faces.astype(np.int64))
    values = numpy_to_vtk(np.concatenate([arrays[f"distance_{label}"] for label in labels]), deep=True)
    values.SetName(DISTANCE)
    surface.GetPointData().AddArray(values)
    return surface


def show_distances(surface: Any, name: str, beside: Any) -> Any:
    """Show a surface of :func:`distance_surface` in place of the one before, with a legend; returns its model node.

    Args:
        surface: with distances at its points.
        name: of the node.
        beside: the node in whose folder it goes.
    """
    node = _model() or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetName(name)
    node.SetAttribute(_MARK, "1")
    node.SetSaveWithScene(False)
    node.SetAndObservePolyData(surface)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    put_into_folder(node, _("FedSim segmentations"), beside=beside)
    limit = limit_of(vtk_to_numpy(surface.GetPointData().GetArray(DISTANCE)))
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    was_modifying = display.StartModify()
    display.SetActiveScalar(DISTANCE, vtk.vtkAssignAttribute.POINT_DATA)
    display.SetAndObserveColorNodeID(distance_colors().GetID())
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit, limit)
    display.SetScalarVisibility(True)
    display.SetVisibility2D(False)
    display.SetVisibility(True)
    display.EndModify(was_modifying)
    remove_legend(node)
    add_legend(node, _("Distance (mm)"))
    return node


def remove_distances() -> None:
    """Take the coloured model and its legend away."""
    node = _model()
    if node is not None:
        remove_legend(node)
        slicer.mrmlScene.RemoveNode(node)


def _model() -> Any:
    found = [n for n in slicer.util.getNodesByClass("vtkMRMLModelNode") if n.GetAttribute(_MARK) is not None]
    return found[0] if found else None
