"""The derivative of a voxelized volume integral with respect to the surface's vertices.

For ``L = sum over voxels of g * occupancy``, which approximates the integral of g over the inside
divided by a voxel's volume, moving the boundary with velocity v changes L by the integral of
``g (v . n)`` over the surface (Reynolds' transport theorem). With linear finite elements on the triangles,

    dL / dx_v = integral over the surface of  g  phi_v  n  dS,

phi_v being 1 at vertex v and 0 at all others. The integral is taken by quadrature at the crossings of grid
rays along all three axes: a ray along axis a stands for the area h^2 / |n_a| of surface, and the
three directions are blended with weights n_a^2, so that each crossing weighs h^2 |n_a|. Everything is
done in index space, where h = 1, and taken to millimetres by the chain rule; oblique, mirrored and anisotropic
grids need no special case.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from FedSimCore.shape.mesh import Topology
from FedSimCore.shape.scanline import RayHits, index_points, owners, ray_hits
from FedSimCore.volumes.grid import Grid

Density = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From heart, region and flat voxel index (H,) each to the derivative of L by that region's occupancy there (H,)."""


def boundary_gradient(density: Density, vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
    """Propagate the gradient with respect to region occupancies to the vertices.

    Args:
        density: dL / d occupancy at voxels; asked only near surfaces, interpolated linearly along the rays.
        vertices: (batch, V, 3), RAS mm.
        topology: closed, outward-oriented surfaces.
        grid: the voxels.

    Returns:
        (batch, V, 3), dL / d vertices per mm, in the dtype of ``vertices``.
    """
    points = index_points(vertices, grid)
    faces = torch.from_numpy(topology.faces).to(vertices.device)
    heart, region = owners(topology, len(vertices), vertices.device)
    normals = _unit_normals(points, faces) * float(np.sign(np.linalg.det(grid.affine[:3, :3])))
    result = torch.zeros_like(points).view(-1, 3)
    for axis in range(3):
        size = [grid.shape[a] for a in range(3) if a != axis]
        hits = ray_hits(points, faces, (size[0], size[1]), axis, with_weights=True)
        assert hits.corners is not None
        assert hits.weights is not None
        place = heart.index_select(0, hits.face), region.index_select(0, hits.face)
        value = _sample_along(density, place, grid, axis, hits).to(vertices.dtype)
        normal = normals.index_select(0, hits.face)
        force = normal * (value * normal[:, axis].abs())[:, None]
        for corner in range(3):
            result.index_add_(0, hits.corners[:, corner], force * hits.weights[:, corner, None])
    # d index / d mm, transposed.
    index_per_mm = torch.from_numpy(np.linalg.inv(grid.affine[:3, :3])).to(vertices)
    return (result @ index_per_mm).view_as(vertices)


def _unit_normals(points: Tensor, faces: Tensor) -> Tensor:
    """Normals (batch * F, 3) in index space; zero for degenerate triangles."""
    a, b, c = points[:, faces].reshape(-1, 3, 3).unbind(1)
    normals = torch.linalg.cross(b - a, c - a)
    tiny = torch.finfo(points.dtype).tiny
    return normals / normals.norm(dim=1, keepdim=True).clamp_min(tiny)


def _sample_along(density: Density, place: tuple[Tensor, Tensor], grid: Grid, axis: int, hits: RayHits) -> Tensor:
    """Interpolate linearly between the two voxels next to each hit; zero beyond the outermost voxels' faces."""
    size = grid.shape[axis]
    row_axis, column_axis = (a for a in range(3) if a != axis)
    strides = (grid.shape[1] * grid.shape[2], grid.shape[2], 1)
    base = hits.row * strides[row_axis] + hits.column * strides[column_axis]
    below = hits.depth.floor().clamp(0, size - 1)
    above = (below + 1).clamp_max(size - 1)
    share = (hits.depth - below).clamp(0, 1)
    at_below, at_above = (density(*place, base + voxel.long() * strides[axis]) for voxel in (below, above))
    value = at_below + share * (at_above - at_below)
    return value * ((hits.depth >= -0.5) & (hits.depth < size - 0.5))
