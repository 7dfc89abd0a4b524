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

import numpy as np
import torch
from torch import Tensor

from FedSimCore.shape.mesh import Topology
from FedSimCore.shape.scanline import index_points, ray_hits
from FedSimCore.volumes.grid import Grid


def boundary_gradient(gradient: Tensor, vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
    """Propagate the gradient with respect to region occupancies to the vertices.

    Args:
        gradient: (batch, R, X, Y, Z), dL / d occupancy; interpolated linearly along the rays.
        vertices: (batch, V, 3), RAS mm.
        topology: R closed, outward-oriented surfaces.
        grid: the voxels.

    Returns:
        (batch, V, 3), dL / d vertices per mm, in the dtype of ``vertices``.
    """
    points = index_points(vertices, grid)
    faces = torch.from_numpy(topology.faces).to(vertices.device)
    region = torch.from_numpy(np.searchsorted(topology.labels, topology.face_region)).to(vertices.device)
    normals = _unit_normals(points, faces) * float(np.sign(np.linalg.det(grid.affine[:3, :3])))
    field = gradient.to(vertices.dtype)
    result = torch.zeros_like(points).view(-1, 3)
    for axis in range(3):
        size = [grid.shape[a] for a in range(3) if a != axis]
        hits = ray_hits(points, faces, (size[0], size[1]), axis, with_weights=True)
        assert hits.corners is not None
        assert hits.weights is not None
        surface = hits.face // len(faces) * gradient.shape[1] + region[hits.face % len(faces)]
        value = _sample_along(field, axis, surface, hits.row, hits.column, hits.depth)
        normal = normals[hits.face]
        force = normal * (value * normal[:, axis].abs())[:, None]
        for corner in range(3):
            result.index_add_(0, hits.corners[:, corner], force * hits.weights[:, corner, None])
    index_per_mm = torch.from_numpy(np.linalg.inv(grid.affine[:3, :3])).to(vertices)
    return (result @ index_per_mm).view_as(vertices)


def _unit_normals(points: Tensor, faces: Tensor) -> Tensor:
    """Normals (batch * F, 3) in index space; zero for degenerate triangles."""
    a, b, c = points[:, faces].reshape(-1, 3, 3).unbind(1)
    normals = torch.linalg.cross(b - a, c - a)
    tiny = torch.finfo(points.dtype).tiny
    return normals / normals.norm(dim=1, keepdim=True).clamp_min(tiny)


def _sample_along(field: Tensor, axis: int, surface: Tensor, row: Tensor, column: Tensor, depth: Tensor) -> Tensor:
    """Interpolate (batch, R, X, Y, Z) linearly along ``axis``; zero beyond the outermost voxels' faces."""
    size = field.shape[2 + axis]
    row_axis, column_axis = (a for a in range(3) if a != axis)
    below = depth.floor().clamp(0, size - 1)
    above = (below + 1).clamp_max(size - 1)
    share = (depth - below).clamp(0, 1)
    flat = field.reshape(-1)
    strides = (field.shape[3] * field.shape[4], field.shape[4], 1)
    base = surface * field[0, 0].numel() + row * strides[row_axis] + column * strides[column_axis]
    value = torch.lerp(flat[base + below.long() * strides[axis]], flat[base + above.long() * strides[axis]], share)
    return value * ((depth >= -0.5) & (depth < size - 0.5))
