"""From label maps to the closed surfaces of the seven regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.anatomy import region
from FedSimCore.volumes import Grid

Surface = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Vertices (v, 3), RAS mm, and faces (f, 3), counter-clockwise seen from outside."""


def solid(label_map: NDArray[Any], label: int) -> NDArray[np.bool_]:
    """Return the voxels that one region's closed surface encloses.

    The myocardium's surface is the epicardium of the left ventricle, so its solid contains the blood
    pool too; every other region is its own solid.
    """
    if label == region("myo").label:
        return (label_map == label) | (label_map == region("lv").label)
    return label_map == label


def closed_surface(mask: NDArray[np.bool_], grid: Grid, blur_mm: float | None = None) -> Surface:
    """Return the boundary of a solid with the voxels' staircase taken off and the volume kept.

    The solid is blurred by one (coarsest) voxel and contoured where the volume is what it was: a sphere of 8
    voxels' radius keeps its volume to 0.5%, where smoothing the surface (VTK's
    surface nets) or contouring at one half shrinks it by 5 to 12%.

    Args:
        mask: solid, (i, j, k) on ``grid``; may touch the border.
        grid: the solid's place in the world.
        blur_mm: standard deviation of the blur; the coarsest voxel's edge by default.
    """
    inside = np.nonzero(mask)
    blur_mm = float(grid.spacing_mm.max()) if blur_mm is None else blur_mm
    margin = np.ceil(4 * blur_mm / grid.spacing_mm).astype(int) + 1
    low = np.array([axis.min() for axis in inside]) - margin
    high = np.array([axis.max() for axis in inside]) + margin + 1
    padded = np.zeros(high - low, dtype=np.float32)
    padded[tuple(axis - start for axis, start in zip(inside, low, strict=True))] = 1
    blurred = ndimage.gaussian_filter(padded, blur_mm / grid.spacing_mm)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(low)
    part = Grid((padded.shape[0], padded.shape[1], padded.shape[2]), affine)
    # A solid thinner than a voxel never reaches one half.
    level = min(0.5, float(blurred.max()) / 2)
    shrunk = isosurface(level - blurred, part)
    volume = len(inside[0]) * grid.voxel_volume_mm3
    missing_mm = (volume - enclosed_volume_mm3(*shrunk)) / surface_area(*shrunk)
    # A blurred edge falls by 1 / (sqrt(2 pi) sigma) for each mm.
    level = max(level - missing_mm / (np.sqrt(2 * np.pi) * blur_mm), level / 10)
    return isosurface(level - blurred, part)


def isosurface(field: NDArray[np.floating[Any]], grid: Grid) -> Surface:
    """Return the closed surface where a field that is negative inside crosses zero.

    Args:
        field: (i, j, k) on ``grid``, positive on the border.
        grid: the field's place in the world.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*field.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(field.astype(np.float32).ravel(order="F"), deep=True))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.Update()
    points, faces = from_polydata(contour.GetOutput())
    vertices = grid.to_world(points)
    return vertices, outward(vertices, faces)


def enclosed_volume_mm3(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
    """Return the signed volume inside a closed surface (divergence theorem); positive if outward-oriented."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def enclosed_centroid_mm(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the centre of mass (3,) of the solid inside a closed, consistently oriented surface."""
    middle = vertices.mean(0)  # tetrahedra from a point near the solid lose no digits
    a, b, c = (vertices[faces[:, corner]] - middle for corner in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    centroid: NDArray[np.float64] = middle + volume @ (a + b + c) / (4 * volume.sum())
    return centroid


def outward(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the faces of a consistently oriented closed surface, reversed if they looked inward."""
    return faces if enclosed_volume_mm3(vertices, faces) > 0 else faces[:, ::-1].copy()


def surface_area(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
    """Return the area of a surface in mm²."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def vertex_normals(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return unit normals (v, 3), the area-weighted mean of the faces round each vertex."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces, np.cross(b - a, c - a)[:, None])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.maximum(length, np.finfo(float).tiny)


def mean_surface_distance_mm(first: Surface, second: Surface) -> float:
    """Return the symmetric mean distance between two surfaces.

    The mean over vertices of each to the nearest point of the other's triangles, averaged over both directions.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersModeling import vtkHausdorffDistancePointSetFilter

    distance = vtkHausdorffDistancePointSetFilter()
    distance.SetTargetDistanceMethodToPointToCell()
    distance.SetInputData(0, to_polydata(*first))
    distance.SetInputData(1, to_polydata(*second))
    distance.Update()
    ways = [vtk_to_numpy(distance.GetOutput(i).GetPointData().GetArray("Distance")).mean() for i in (0, 1)]
    return float(np.mean(ways))


def to_polydata(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Any:
    """Return a surface as ``vtkPolyData``."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces).ravel(), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    return surface


def from_polydata(surface: Any) -> Surface:
    """Return the vertices and triangles of a ``vtkPolyData`` that has nothing but triangles."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    vertices = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    faces = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return vertices, faces
