"""From a heart's surfaces to its label map, with a gradient.

Inside is where the winding number of a closed, outward-oriented surface is positive. It is counted along
rays parallel to the first grid axis: a watertight scan conversion (:mod:`FedSimCore.shape.scanline`)
finds where each ray crosses a surface, and a running sum along the rays fills the inside. Voxel centres
decide, half open: a face exactly on a voxel centre owns that voxel on the surface's low side only.

The occupancy of a voxel is a step function of the vertices, so its derivative is taken in the limit of the
integral: moving a surface changes ``sum(g * occupancy)`` by the integral of ``g`` over what it sweeps
(:mod:`FedSimCore.shape.boundary_gradient`). The finite differences over the 21 parameters with which
the paper trained (Li et al. 2020, section 2.2) are in :mod:`FedSimCore.shape.parameter_gradient`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.shape.boundary_gradient import boundary_gradient
from FedSimCore.shape.mesh import Topology
from FedSimCore.shape.overlaps import MOST_REGIONS, by_priority, overlap_tables
from FedSimCore.shape.scanline import RayHits, index_points, owners, ray_hits
from FedSimCore.volumes.grid import Grid

# Winding numbers of all regions share one int64 while rays are followed: a byte for each, biased to stay positive.
_BITS = 8
_BIAS = 64


def region_occupancy(
    vertices: Tensor, topology: Topology, grid: Grid, gradient: Literal["boundary"] | None = "boundary"
) -> Tensor:
    """Voxelize every region's closed surface, overlaps and all.

    Args:
        vertices: (batch, V, 3) or (V, 3) floating point, RAS mm, on any device.
        topology: closed surfaces; V is its ``vertex_count``.
        grid: the voxels; any invertible affine.
        gradient: ``"boundary"`` propagates a gradient to ``vertices``, None does not.

    Returns:
        (batch, R, X, Y, Z), 1 inside and 0 outside, in the dtype of ``vertices``; the R regions are
        ``topology.labels``. A single mesh is a batch of one.

    Raises:
        InputError: the vertices do not fit the topology or are not finite, or a surface is not closed.
    """
    vertices = _checked(vertices, topology)
    if gradient is None or not vertices.requires_grad:
        return _occupancy(vertices.detach(), topology, grid)
    if gradient != "boundary":
        raise InputError(f"The voxelizer has no gradient {gradient!r}; choose 'boundary' or None.")
    result: Tensor = _RegionOccupancy.apply(vertices, topology, grid)
    return result


def label_map(vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
    """Voxelize a heart; where regions overlap the one with the lowest ``priority`` wins.

    All regions are followed in one pass, which makes this several times faster than
    :func:`region_occupancy`; there is no gradient.

    Args:
        vertices: (batch, V, 3) or (V, 3) floating point, RAS mm, on any device.
        topology: closed surfaces of regions that ``anatomy.regions()`` knows.
        grid: the voxels; any invertible affine.

    Returns:
        (batch, X, Y, Z) uint8 label values, 0 outside all regions.

    Raises:
        InputError: the vertices do not fit the topology or are not finite, a surface is not closed, or a
            label is unknown.
    """
    vertices = _checked(vertices, topology).detach()
    return _fill(vertices, topology, grid, overlap_tables(topology.labels).label)


def region_probabilities(vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
    """Voxelize a heart into one channel for each region, overlaps settled by priority.

    The same as ``label_probabilities(region_occupancy(...))`` in values and gradient, without ever holding what
    overlaps: several times faster, and with a fraction of the memory.

    Args:
        vertices: (batch, V, 3) or (V, 3) floating point, RAS mm, on any device.
        topology: closed surfaces of regions that ``anatomy.regions()`` knows.
        grid: the voxels; any invertible affine.

    Returns:
        (batch, R, X, Y, Z), 1 where a region is and 0 elsewhere, in the dtype of ``vertices``.

    Raises:
        InputError: as :func:`label_map`.
    """
    vertices = _checked(vertices, topology)
    result: Tensor = _RegionProbabilities.apply(vertices, topology, grid)
    return result


def label_probabilities(occupancy: Tensor, labels: tuple[int, ...] | None = None) -> Tensor:
    """Settle overlaps by priority: ``p_r = o_r * prod over higher priorities (1 - o_q)``.

    For occupancies of 0 and 1 this is :func:`label_map` in one-hot form; its gradient reaches every surface
    that bounds a region, e.g. the blood pool's as the inner wall of the myocardium.

    Args:
        occupancy: (batch, R, X, Y, Z), values 0 to 1, regions in ascending order of label.
        labels: the R label values; all regions of ``anatomy.regions()`` if None.

    Returns:
        (batch, R, X, Y, Z) in the same order; 1 - the sum over R is the background.

    Raises:
        InputError: a label is unknown, or their number is not R.
    """
    labels = anatomy.labels() if labels is None else labels
    if occupancy.ndim != 5 or occupancy.shape[1] != len(labels):
        raise InputError(f"Occupancy {tuple(occupancy.shape)} is not (batch, {len(labels)}, X, Y, Z).")
    result: list[Tensor] = [occupancy[:, 0]] * len(labels)
    free = torch.ones_like(occupancy[:, 0])
    for index in by_priority(labels):
        result[index] = free * occupancy[:, index]
        free = free - result[index]
    return torch.stack(result, 1)


class _RegionOccupancy(torch.autograd.Function):
    """Hard occupancy forward, boundary integral backward."""

    @staticmethod
    def forward(ctx: Any, vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
        ctx.save_for_backward(vertices)
        ctx.topology, ctx.grid = topology, grid
        return _occupancy(vertices, topology, grid)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (vertices,) = ctx.saved_tensors
        count, flat = gradients[0].shape[1], gradients[0].flatten(2).flatten()
        voxels = gradients[0][0, 0].numel()

        def density(heart: Tensor, region: Tensor, voxel: Tensor) -> Tensor:
            return flat.index_select(0, (heart * count + region) * voxels + voxel)

        return boundary_gradient(density, vertices, ctx.topology, ctx.grid), None, None


class _RegionProbabilities(torch.autograd.Function):
    """Label map in one-hot form forward, boundary integral backward.

    With ``p_r = o_r * prod over higher priorities (1 - o_q)``, moving region r's surface across a voxel swaps r with
    whatever lies behind it there, if no higher priority covers both.
    """

    @staticmethod
    def forward(ctx: Any, vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
        count = len(topology.labels)
        tables = overlap_tables(topology.labels)
        members = _fill(vertices, topology, grid, torch.arange(1 << count, dtype=torch.uint8))
        result = torch.empty((len(vertices), count, *grid.shape), dtype=vertices.dtype, device=vertices.device)
        for index, higher in enumerate(tables.higher):
            torch.eq(members & (higher | 1 << index), 1 << index, out=result[:, index])
        ctx.save_for_backward(vertices, members)
        ctx.topology, ctx.grid = topology, grid
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        vertices, members = ctx.saved_tensors
        tables = overlap_tables(ctx.topology.labels)
        visible, behind = (table.to(vertices.device).flatten() for table in (tables.visible, tables.behind))
        count, flat = gradients[0].shape[1], gradients[0].flatten(2).flatten()
        voxels = members[0].numel()
        flat_members = members.flatten()

        def density(heart: Tensor, region: Tensor, voxel: Tensor) -> Tensor:
            state = (region << count) + flat_members.index_select(0, heart * voxels + voxel)
            other = behind.index_select(0, state)
            own = flat.index_select(0, (heart * count + region) * voxels + voxel)
            instead = flat.index_select(0, (heart * count + other.clamp_max(count - 1)) * voxels + voxel)
            return visible.index_select(0, state) * (own - instead * (other < count))

        return boundary_gradient(density, vertices, ctx.topology, ctx.grid), None, None


def _fill(vertices: Tensor, topology: Topology, grid: Grid, values: Tensor) -> Tensor:
    """Follow all regions along the rays at once; give each voxel the value of its membership mask.

    Args:
        vertices: (batch, V, 3).
        topology: at most seven regions.
        grid: the voxels.
        values: (2^R,) uint8 by mask, 0 for the empty one.

    Returns:
        (batch, X, Y, Z) uint8.
    """
    hits = _hits_along_rays(vertices, topology, grid)
    batch, (size_i, size_j, size_k) = len(vertices), grid.shape
    plane = size_j * size_k
    heart, region = owners(topology, batch, vertices.device)
    ray = hits.row * size_k + hits.column
    start = _first_inside(hits.depth, size_i)
    # Every ray leaves as often as it enters, so one running sum serves them all.
    order = ((heart.index_select(0, hits.face) * plane + ray) * (size_i + 1) + start).argsort()
    turns = (1 << (region * _BITS)).index_select(0, hits.face) * hits.entering
    winding = turns.index_select(0, order).cumsum(0).add_(sum(_BIAS << (i * _BITS) for i in range(MOST_REGIONS)))
    mask = torch.zeros_like(winding)
    for index in range(len(topology.labels)):
        mask |= ((winding >> (index * _BITS) & 0xFF) > _BIAS).long() << index
    value = values.to(vertices.device).index_select(0, mask)
    change = torch.diff(value, prepend=value.new_zeros(1))
    # Write down where the value changes; changes at one voxel add up, in any order and modulo 256.
    steps = torch.zeros((batch, size_i + 1, plane), dtype=torch.uint8, device=vertices.device)
    cell = (heart * (size_i + 1)).index_select(0, hits.face).add_(start).mul_(plane).add_(ray)
    steps.view(-1).index_add_(0, cell.index_select(0, order), change)
    return _running_sum(steps, start)[:, :size_i].reshape(batch, size_i, size_j, size_k)


def _occupancy(vertices: Tensor, topology: Topology, grid: Grid) -> Tensor:
    hits = _hits_along_rays(vertices, topology, grid)
    batch, region_count, (size_i, size_j, size_k) = len(vertices), len(topology.labels), grid.shape
    heart, region = owners(topology, batch, vertices.device)
    start = _first_inside(hits.depth, size_i)
    plane = size_j * size_k
    steps = torch.zeros((batch * region_count, size_i + 1, plane), dtype=torch.int8, device=vertices.device)
    surface = (heart * region_count + region).index_select(0, hits.face)
    cell = (surface * (size_i + 1) + start) * plane + hits.row * size_k + hits.column
    steps.view(-1).index_add_(0, cell, hits.entering.to(torch.int8))
    inside = torch.empty((batch * region_count, size_i, plane), dtype=vertices.dtype, device=vertices.device)
    torch.gt(_running_sum(steps, start)[:, :size_i], 0, out=inside)
    return inside.view(batch, region_count, size_i, size_j, size_k)


def _hits_along_rays(vertices: Tensor, topology: Topology, grid: Grid) -> RayHits:
    """Cross the rays along the first axis; ``entering`` allows for affines that mirror."""
    points = index_points(vertices, grid)
    faces = torch.from_numpy(topology.faces).to(vertices.device)
    hits = ray_hits(points, faces, grid.shape[1:], axis=0)
    mirrored = np.linalg.det(grid.affine[:3, :3]) < 0
    return hits._replace(entering=-hits.entering) if mirrored else hits


def _first_inside(depth: Tensor, size: int) -> Tensor:
    """Index of the first voxel at or beyond a crossing; ``size`` where that is outside the grid."""
    return depth.ceil().clamp(0, size).long()


def _running_sum(steps: Tensor, start: Tensor) -> Tensor:
    """Sum (batch, X, plane) integers along X, in place; only the part where steps are not zero."""
    if not start.numel():
        return steps
    if steps.is_cuda:
        return steps.cumsum(1, dtype=steps.dtype)
    # Whole planes at a time: twenty times faster on a CPU than cumsum, which goes along X with a stride.
    slices = steps[:, int(start.min()) : int(start.max()) + 1].unbind(1)
    for previous, current in pairwise(slices):
        current.add_(previous)
    return steps


def _checked(vertices: Tensor, topology: Topology) -> Tensor:
    batched = vertices[None] if vertices.ndim == 2 else vertices
    if batched.ndim != 3 or batched.shape[1:] != (topology.vertex_count, 3) or not batched.is_floating_point():
        raise InputError(
            f"Vertices {tuple(vertices.shape)} {vertices.dtype} are not floating point (batch, "
            f"{topology.vertex_count}, 3) as the mesh's faces need."
        )
    if not torch.isfinite(batched).all():
        raise InputError("The mesh has vertices that are not finite; they cannot be voxelized.")
    if topology.open_edges:
        raise InputError(
            f"The mesh's surfaces are not closed (open edges by region label: {topology.open_edges}); repair the mesh."
        )
    return batched
