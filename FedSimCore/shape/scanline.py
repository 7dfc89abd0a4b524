"""Where axis-parallel rays through a grid's points cross triangle meshes.

The one geometric kernel under the voxelizer, its boundary gradient and the z-buffer renderer. It
rasterises triangles row by row, and is watertight by construction rather than by tolerance:

- A crossing of an edge with a row is computed from the edge's lower end alone, so two triangles that
  share the edge get the same bits, and pixels between two crossings are taken half open. A ray
  therefore enters and leaves a closed surface equally often, whatever is degenerate or exactly on a
  grid line (the top-left rule; the ray is moved by an infinitesimal amount in both directions).
- Depths are interpolated between two crossings, never extrapolated with a triangle's plane, so slivers
  cannot throw a hit away from their triangle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from FedSimCore.shape.mesh import Topology
from FedSimCore.volumes.grid import Grid


class RayHits(NamedTuple):
    """Crossings of rays along one axis with a batch of meshes; H hits in no particular order.

    Attributes:
        face: (H,) int64, index into the (batch * F) faces.
        row: (H,) int64 grid index of the ray along the first of the two other axes.
        column: (H,) int64 grid index of the ray along the second of the two other axes.
        depth: (H,) where along the ray the hit is, in grid index units; not limited to the grid.
        entering: (H,) int64, +1 where a ray towards larger depth enters an outward-oriented surface
            (in right-handed index coordinates), -1 where it leaves.
        corners: (H, 3) int64, index into the (batch * V) vertices of the triangle's corners, or None.
        weights: (H, 3) barycentric weights of the hit for ``corners``, or None.
    """

    face: Tensor
    row: Tensor
    column: Tensor
    depth: Tensor
    entering: Tensor
    corners: Tensor | None
    weights: Tensor | None


class _Crossings(NamedTuple):
    """Where one edge of a triangle crosses a row (P pairs of a triangle and a row)."""

    fraction: Tensor
    column: Tensor
    depth: Tensor


def ray_hits(points: Tensor, faces: Tensor, size: tuple[int, int], axis: int, *, with_weights: bool = False) -> RayHits:
    """Cross every ray parallel to ``axis`` through integer positions with every triangle.

    Args:
        points: (batch, V, 3) vertices in grid index coordinates.
        faces: (F, 3) int64 on the same device.
        size: number of rays along the two other axes, in ascending order of axis.
        axis: 0, 1 or 2, the rays' direction.
        with_weights: also return each hit's corners and barycentric weights.
    """
    row_axis, column_axis = (a for a in range(3) if a != axis)
    rows, columns, depths = (points[..., a].reshape(-1) for a in (row_axis, column_axis, axis))
    corners, count, first, odd = _sorted_corners(rows, _batched_faces(faces, *points.shape[:2]), size[0])

    # One entry for each pair of a triangle and a row that it crosses.
    face, position = _runs(count)
    row = _pick(first, face) + position
    low, middle, high = (_pick(corner, face) for corner in corners)
    upper = row >= _pick(rows, middle)
    long = _cross(row, low, high, rows, columns, depths)
    short = _cross(row, torch.where(upper, middle, low), torch.where(upper, high, middle), rows, columns, depths)
    long_end = long.column.ceil().clamp(0, size[1])
    short_end = short.column.ceil().clamp(0, size[1])

    # One entry for each ray between the two crossings of such a pair.
    extent = (long_end - short_end).long()
    pair, position = _runs(extent.abs())
    column = _pick(torch.minimum(long_end, short_end).long(), pair) + position
    start, end = _pick(short.column, pair), _pick(long.column, pair)
    share = ((column - start) / (end - start)).clamp(0, 1)
    depth = torch.lerp(_pick(short.depth, pair), _pick(long.depth, pair), share)
    # For (row, column, axis) right-handed, i.e. axis 0 and 2, an even corner order whose long edge lies at the
    # larger column faces away from the ray's origin.
    handedness = 1 if axis == 1 else -1
    orientation = torch.where(odd, -handedness, handedness)
    entering = _pick(_pick(orientation, face) * extent.sign(), pair)
    hit_face, hit_row = _pick(face, pair), _pick(row, pair)
    if not with_weights:
        return RayHits(hit_face, hit_row, column, depth, entering, None, None)
    weights = _barycentric(share, *(_pick(x, pair) for x in (long.fraction, short.fraction, upper)))
    hit_corners = torch.stack([_pick(corner, pair) for corner in (low, middle, high)], 1)
    return RayHits(hit_face, hit_row, column, depth, entering, hit_corners, weights)


def index_points(vertices: Tensor, grid: Grid) -> Tensor:
    """Take RAS mm (..., 3) to fractional voxel indices (..., 3) in the same dtype, on the same device."""
    inverse = torch.from_numpy(np.linalg.inv(grid.affine)).to(vertices)
    x, y, z = vertices.unbind(-1)
    # Written out, since the rounding of a matrix product may depend on where in the array a vertex stands, and
    # coincident vertices of neighbouring regions should stay coincident.
    return torch.stack(
        [x * inverse[a, 0] + y * inverse[a, 1] + z * inverse[a, 2] + inverse[a, 3] for a in range(3)], -1
    )


def owners(topology: Topology, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return heart in the batch and position in ``topology.labels`` of each of the (batch * F) faces."""
    region = torch.from_numpy(np.searchsorted(topology.labels, topology.face_region)).to(device)
    return torch.arange(batch, device=device).repeat_interleave(len(region)), region.repeat(batch)


def _batched_faces(faces: Tensor, batch: int, vertex_count: int) -> Tensor:
    offsets = torch.arange(batch, device=faces.device) * vertex_count
    return (faces + offsets[:, None, None]).reshape(-1, 3)


def _sorted_corners(rows: Tensor, faces: Tensor, row_count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Order each triangle's corners by row.

    Returns:
        Corners (3, F) from low to high, number of rows crossed (F,), first of them (F,), and whether the
        order is an odd permutation of the face's (F,).
    """
    columns = faces.T.contiguous()
    a, b, c = (_pick(rows, column) for column in columns)
    low = torch.where(a <= b, torch.where(a <= c, 0, 2), torch.where(b <= c, 1, 2))
    high = torch.where(c >= b, torch.where(c >= a, 2, 0), torch.where(b >= a, 1, 0))
    order = torch.stack((low, 3 - low - high, high))
    corners = columns.gather(0, order)
    # A triangle in one row has equal lowest and highest corners and crosses none (half-open rows).
    first = _pick(rows, corners[0]).ceil().clamp(0, row_count).long()
    end = _pick(rows, corners[2]).ceil().clamp(0, row_count).long()
    odd = (order[1] - order[0]) % 3 != 1
    return corners, end - first, first, odd


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Take entries along the first axis; on a CPU several times faster than ``values[index]``."""
    return values.index_select(0, index)


def _runs(count: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat each index i ``count[i]`` times.

    ``torch.repeat_interleave`` does the same, but wakes all threads for it, which a busy machine makes one wait for.

    Returns:
        The indices (N,), and 0, 1, 2... within each run of equal ones (N,).
    """
    end = count.cumsum(0)
    total = int(end[-1]) if len(end) else 0
    marks = count.new_zeros(total + 1).index_add_(0, end[:-1], torch.ones_like(end[:-1]))
    owner = marks[:total].cumsum(0)
    return owner, torch.arange(total, device=count.device) - _pick(end - count, owner)


def _cross(row: Tensor, low: Tensor, high: Tensor, rows: Tensor, columns: Tensor, depths: Tensor) -> _Crossings:
    """Cross edges from ``low`` to ``high`` (vertex indices, ascending in row) with a row."""
    start, end = _pick(rows, low), _pick(rows, high)
    fraction = (row - start) / (end - start)
    column, depth = (a + fraction * (b - a) for a, b in ((_pick(x, low), _pick(x, high)) for x in (columns, depths)))
    return _Crossings(fraction, column, depth)


def _barycentric(share: Tensor, long: Tensor, short: Tensor, upper: Tensor) -> Tensor:
    """Weights (H, 3) of the low, middle and high corner for points a ``share`` of the way from short to long edge."""
    rest = 1 - share
    on_low = torch.where(upper, 0, 1 - short)
    on_middle = torch.where(upper, 1 - short, short)
    on_high = torch.where(upper, short, 0)
    return torch.stack((share * (1 - long) + rest * on_low, rest * on_middle, share * long + rest * on_high), 1)
