"""The voxelizer's peers, each set up as its users would have it do the same job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.benchmarks.harness import peer
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.volumes.grid import Grid

Slices = tuple[slice, slice, slice]


def painting_order(mesh: HeartMesh) -> list[int]:
    """Labels from the lowest priority to the highest: later ones paint over earlier ones."""
    priority = {region.label: region.priority for region in anatomy.regions()}
    return sorted(mesh.topology.labels, key=lambda label: -priority[label])


def vtk_stencil(mesh: HeartMesh, grid: Grid, cropped: bool) -> Callable[[], NDArray[np.uint8]]:
    """Set up ``vtkPolyDataToImageStencil``, one for each region.

    Args:
        mesh: the heart.
        grid: a grid along the R, A and S axes.
        cropped: only look at the box of voxels round each region.

    Returns:
        A function that makes the label map (X, Y, Z) anew, as for vertices that have moved.
    """
    stencils = []
    for label in painting_order(mesh):
        vertices, faces = mesh.surface(label)
        box = _box(vertices, grid) if cropped else tuple(slice(0, n) for n in grid.shape)
        stencils.append((label, box, *_stencil(vertices, faces, grid, box)))

    def make() -> NDArray[np.uint8]:
        from vtkmodules.util.numpy_support import vtk_to_numpy

        labels = np.zeros(grid.shape, dtype=np.uint8)
        for label, box, points, to_image in stencils:
            points.Modified()
            to_image.Update()
            image = vtk_to_numpy(to_image.GetOutput().GetPointData().GetScalars())
            mask = image.reshape([s.stop - s.start for s in reversed(box)]).transpose(2, 1, 0)
            labels[box][mask > 0] = label
        return labels

    return make


def winding_inside(mesh: HeartMesh, label: int, grid: Grid) -> NDArray[np.bool_]:
    """Tell which voxel centres have libigl's winding number of one region's surface above one half."""
    igl = peer("igl")
    centers = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))
    vertices, faces = mesh.surface(label)
    inside: NDArray[np.bool_] = np.asarray(igl.fast_winding_number(vertices, faces, centers)).reshape(grid.shape) > 0.5
    return inside


def winding_labels(mesh: HeartMesh, grid: Grid) -> NDArray[np.uint8]:
    """Make the label map (X, Y, Z) with libigl."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for label in painting_order(mesh):
        labels[winding_inside(mesh, label, grid)] = label
    return labels


def _box(vertices: NDArray[np.float64], grid: Grid) -> Slices:
    index = grid.to_index(vertices)
    low = np.clip(np.floor(index.min(0)), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(0)), 0, np.array(grid.shape) - 1).astype(int) + 1
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))


def _stencil(vertices: NDArray[np.float64], faces: NDArray[np.int64], grid: Grid, box: Any) -> tuple[Any, Any]:
    """Return the points of a region and the filter at the end of its pipeline."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(vertices.astype(np.float32), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(faces.ravel(), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    stencil, to_image = vtkPolyDataToImageStencil(), vtkImageStencilToImage()
    stencil.SetInputData(surface)
    stencil.SetOutputOrigin(*grid.affine[:3, 3])
    stencil.SetOutputSpacing(*grid.spacing_mm)
    stencil.SetOutputWholeExtent(*[bound for s in box for bound in (s.start, s.stop - 1)])
    stencil.SetTolerance(0)
    to_image.SetInputConnection(stencil.GetOutputPort())
    to_image.SetInsideValue(1)
    to_image.SetOutsideValue(0)
    to_image.SetOutputScalarTypeToUnsignedChar()
    return points, to_image
