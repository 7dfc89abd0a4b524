"""Hearts as seven model nodes, one for each region, and back. Model nodes are in RAS mm, as FedSim's meshes are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimSlicerLib.scene_colors import color_of
from FedSimSlicerLib.scene_volumes import world_from_local

REGION_ATTRIBUTE = "FedSim.Region"
"""Node attribute with the region's key."""

Points = NDArray[np.float64]


def put_models(
    mesh: HeartMesh, name: str, nodes: Iterable[Any] = (), labels: Collection[int] | None = None
) -> list[Any]:
    """Show a heart as model nodes in the regions' colours.

    Args:
        mesh: RAS mm.
        name: what new nodes' names begin with, e.g. ``"Heart"`` for ``"Heart Left atrium"``.
        nodes: earlier model nodes, which are updated in place; they keep their looks.
        labels: of the regions to show; all if None.

    Returns:
        The vtkMRMLModelNodes in the order of the regions' labels; regions that the mesh lacks have none.
    """
    known = {node.GetAttribute(REGION_ATTRIBUTE): node for node in nodes}
    wanted = set(mesh.topology.labels).intersection(mesh.topology.labels if labels is None else labels)
    parts = [region for region in anatomy.regions() if region.label in wanted]
    return [_put_model(mesh, region, name, known.get(region.key)) for region in parts]


def mesh_of(nodes: Iterable[Any]) -> HeartMesh:
    """Return the heart that model nodes of :func:`put_models` show, in world RAS mm, linear transforms included.

    Raises:
        InputError: none of them is a region of a heart, or a transform is not linear.
    """
    vertices: list[Points] = []
    faces: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.uint8]] = []
    by_key = {region.key: region for region in anatomy.regions()}
    count = 0
    for node in nodes:
        region, surface = by_key.get(node.GetAttribute(REGION_ATTRIBUTE) or ""), node.GetPolyData()
        if region is None or surface is None or not surface.GetNumberOfPolys():
            continue
        matrix = world_from_local(node)
        points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
        corners = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
        if np.linalg.det(matrix[:3, :3]) < 0:
            corners = corners[:, ::-1]  # a mirror turns surfaces inside out
        vertices.append(points @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(corners + count)
        labels.append(np.full(len(corners), region.label, dtype=np.uint8))
        count += len(points)
    if not vertices:
        raise InputError(_("None of these models is a region of a FedSim heart; choose models that FedSim has made."))
    return HeartMesh(np.concatenate(vertices), Topology(np.concatenate(faces), np.concatenate(labels)))


def surface_of(vertices: Points, faces: NDArray[np.int64]) -> Any:
    """Return a vtkPolyData with normals at its points.

    Args:
        vertices: (v, 3).
        faces: (f, 3) vertex indices, counter-clockwise seen from outside.
    """
    surface, points, cells = vtk.vtkPolyData(), vtk.vtkPoints(), vtk.vtkCellArray()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces).ravel(), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    normals = numpy_to_vtk(point_normals(vertices, faces), deep=True)
    normals.SetName("Normals")
    surface.GetPointData().SetNormals(normals)
    return surface


def point_normals(vertices: Points, faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return unit normals (v, 3): the mean of the faces' round each vertex, weighted by their area."""
    corners = vertices[faces]
    doubled_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    weights = np.repeat(doubled_area, 3, axis=0)
    sums = np.column_stack([np.bincount(faces.ravel(), weights[:, axis], len(vertices)) for axis in range(3)])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(lengths, np.finfo(float).tiny)).astype(np.float32)


def _put_model(mesh: HeartMesh, region: anatomy.Region, name: str, node: Any) -> Any:
    used, faces = _part(mesh.topology, region.label)
    vertices = mesh.vertices[used]
    if node is not None and _move_points(node.GetPolyData(), vertices, faces):
        return node
    surface = surface_of(vertices, faces)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", f"{name} {region.name}")
        node.SetAttribute(REGION_ATTRIBUTE, region.key)
        node.SetAndObservePolyData(surface)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetColor(*color_of(region))
    else:
        node.SetAndObservePolyData(surface)
    return node


def _move_points(surface: Any, vertices: Points, faces: NDArray[np.int64]) -> bool:
    """Move the points of a surface with the same triangles, without new memory; tells whether it could."""
    if surface is None or surface.GetNumberOfPoints() != len(vertices) or surface.GetNumberOfPolys() != len(faces):
        return False
    points, normals = surface.GetPoints().GetData(), surface.GetPointData().GetNormals()
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray())
    if normals is None or not np.array_equal(triangles, faces.ravel()):
        return False
    np.copyto(vtk_to_numpy(points), vertices)
    np.copyto(vtk_to_numpy(normals), point_normals(vertices, faces))
    normals.Modified()
    surface.GetPoints().Modified()
    surface.Modified()
    return True


@lru_cache(maxsize=16)
def _part(topology: Topology, label: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a region's vertices (v,) in a heart's and its faces (f, 3) among these."""
    used, compact = np.unique(topology.faces[topology.face_region == label], return_inverse=True)
    return used, compact.reshape(-1, 3)
