"""The heart in the scene: a model node for each region, its points changed in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from FedSimSlicerLib.subject_hierarchy import put_into_folder

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_surface import HeartSurface, Points, RegionPart

ROLE = "FedSim.Region."
CONTOURS_MS = 10
"""So long the slices' contours wait for the 3D views to be drawn."""

DISTANCE = "Distance to patient (mm)"


@dataclass(frozen=True, eq=False)
class RegionModel:
    """One region's model node and the arrays that VTK draws from.

    Attributes:
        node: vtkMRMLModelNode.
        poly: its vtkPolyData.
        points, normals: (v, 3) float32, shared with VTK.
    """

    node: Any
    poly: Any
    points: NDArray[np.float32]
    normals: NDArray[np.float32]


class HeartDisplay:
    """Shows hearts of one shape model in the scene.

    The nodes are referenced by the module's parameter node, so they are found again when a saved scene is loaded; one
    that the user has deleted is made anew with the next heart.

    Args:
        surface: the shape model.
    """

    def __init__(self, surface: HeartSurface) -> None:
        self._surface = surface
        self._parameter_node: Any = None
        self._models: dict[str, RegionModel] = {}
        self._contours = qt.QTimer()
        self._contours.setSingleShot(True)
        self._contours.setInterval(CONTOURS_MS)
        self._contours.connect("timeout()", self._tell_nodes)

    def bind(self, parameter_node: Any) -> None:
        """Use the models that this parameter node refers to, or make them there; None for none."""
        self._parameter_node = parameter_node
        self._models = {}
        self._contours.stop()

    @property
    def shown(self) -> bool:
        """Whether the scene has a heart."""
        return any(True for _part, _node in self.nodes())

    def nodes(self) -> Iterator[tuple[RegionPart, Any]]:
        """Yield the regions that have a model node in the scene, with it."""
        for part in self._surface.parts:
            node = self._find(part)
            if node is not None:
                yield part, node

    def show(self, vertices: Points) -> None:
        """Move the heart to these vertices (V, 3), RAS mm: in the 3D views at once, in the slice views right after.

        A model node that is told of new points cuts them for every slice view before anything is drawn, which takes
        longer than drawing. So the 3D views are asked to draw first and the nodes are told when that is done.

        Does nothing if there is no scene to show it in (while one is being closed or loaded).
        """
        if self._parameter_node is None or self._parameter_node.GetScene() is None:
            return
        normals = self._surface.normals(vertices)
        for part in self._surface.parts:
            model = self._model(part)
            model.points[:] = vertices[part.vertices]
            model.normals[:] = normals[part.vertices]
            model.poly.GetPointData().GetNormals().Modified()
            model.poly.GetPoints().Modified()
        layout = slicer.app.layoutManager()
        for index in range(layout.threeDViewCount):
            layout.threeDWidget(index).threeDView().scheduleRender()
        if not self._contours.isActive():
            self._contours.start()

    def _tell_nodes(self) -> None:
        for model in self._models.values():
            model.poly.Modified()

    def color_by_distance(self, distance_mm: NDArray[np.float32], color_node_id: str, limit_mm: float) -> None:
        """Colour the surface by a number for each vertex.

        Args:
            distance_mm: (V,); regions that have NaN only keep their own colours.
            color_node_id: of the colours from minus to plus ``limit_mm``.
            limit_mm: end of the colours.
        """
        for part, node in list(self.nodes()):
            display, own = node.GetDisplayNode(), distance_mm[part.vertices]
            if np.isnan(own).all():
                display.SetScalarVisibility(False)
                continue
            values = numpy_to_vtk(np.ascontiguousarray(own, dtype=np.float32), deep=1)
            values.SetName(DISTANCE)
            self._model(part).poly.GetPointData().AddArray(values)
            was_modifying = display.StartModify()
            display.SetActiveScalar(DISTANCE, vtk.vtkAssignAttribute.POINT_DATA)
            display.SetAndObserveColorNodeID(color_node_id)
            display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
            display.SetScalarRange(-limit_mm, limit_mm)
            display.SetScalarVisibility(True)
            display.EndModify(was_modifying)

    def color_plainly(self) -> None:
        """Give the regions their own colours again."""
        for _part, node in self.nodes():
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetScalarVisibility(False)

    def _find(self, part: RegionPart) -> Any:
        if self._parameter_node is None:
            return None
        return self._parameter_node.GetNodeReference(ROLE + part.region.key)

    def _model(self, part: RegionPart) -> RegionModel:
        """Return the region's model, made if the scene has none."""
        known, node = self._models.get(part.region.key), self._find(part)
        if known is not None and node is known.node and node.GetPolyData() is known.poly:
            return known
        model = self._make(part, node)
        self._models[part.region.key] = model
        return model

    def _make(self, part: RegionPart, node: Any) -> RegionModel:
        points = np.zeros((len(part.vertices), 3), dtype=np.float32)
        normals = np.zeros_like(points)
        poly = _poly_data(points, normals, part.faces)
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass(
                "vtkMRMLModelNode", _("Heart: {name}").format(name=part.region.name)
            )
            node.SetAndObservePolyData(poly)
            node.CreateDefaultDisplayNodes()
            _set_look(node.GetDisplayNode(), part)
            node.SetAttribute("FedSim.Region", part.region.key)
            self._parameter_node.SetNodeReferenceID(ROLE + part.region.key, node.GetID())
            put_into_folder(node, _("FedSim heart"))
        else:
            node.SetAndObservePolyData(poly)
        return RegionModel(node, poly, points, normals)


def _poly_data(points: NDArray[np.float32], normals: NDArray[np.float32], faces: NDArray[np.int64]) -> Any:
    """Return vtkPolyData that draws from these arrays, so that writing into them moves it."""
    poly = vtk.vtkPolyData()
    vtk_points = vtk.vtkPoints()
    vtk_points.SetData(numpy_to_vtk(points))
    poly.SetPoints(vtk_points)
    cells = vtk.vtkCellArray()
    connectivity = numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces.ravel(), dtype=np.int64), deep=1)
    cells.SetData(3, connectivity)
    poly.SetPolys(cells)
    vtk_normals = numpy_to_vtk(normals)
    vtk_normals.SetName("Normals")
    poly.GetPointData().SetNormals(vtk_normals)
    return poly


def _set_look(display: Any, part: RegionPart) -> None:
    display.SetColor(*(channel / 255 for channel in part.region.color))
    # The muscle is seen through, so that the left ventricle's cavity is seen in it.
    display.SetOpacity(0.45 if part.region.key == "myo" else 1.0)
    display.SetVisibility2D(True)
    display.SetSliceIntersectionThickness(2)
    display.SetBackfaceCulling(False)
