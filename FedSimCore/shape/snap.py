"""The last millimetre of correspondence: pulling registered vertices onto their own region's surface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from FedSimCore.shape.surfaces import Surface, vertex_normals

Array = NDArray[np.float64]
STIFFNESS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.5)
"""Weight of smoothness against nearness in each round."""
_REACH_MM = 12.0


def snap(vertices: Array, faces: NDArray[np.int64], target: Surface, stiffness: Sequence[float] = STIFFNESS) -> Array:
    """Pull a closed surface onto another one by a smooth displacement.

    Each round solves for the displacement d that minimises
    ``sum_i w_i |v_i + d_i - q_i|² + stiffness * sum_edges |d_i - d_j|²``, the regularised closest-point
    step of Allen, Curless and Popovic (SIGGRAPH 2003). q_i combines the point of the target nearest to v_i
    with the mean of the target's points whose nearest vertex is i, so that tips of the target that no vertex
    is near to still attract one. Points whose normals disagree by more than 60 degrees are not matched.

    Args:
        vertices: (v, 3) mm, already registered to a few millimetres.
        faces: (f, 3).
        target: dense surface of the same region.
        stiffness: one round each.

    Returns:
        (v, 3) moved vertices, mm.
    """
    target_normals = vertex_normals(*target)
    target_tree = cKDTree(target[0])
    stiff = _edge_laplacian(len(vertices), faces)
    for weight in stiffness:
        normals = vertex_normals(vertices, faces)
        to_target, pull = _nearest_on_target(vertices, normals, target[0], target_normals, target_tree)
        from_target, push = _claimed_by_target(vertices, normals, target[0], target_normals)
        total = pull + push
        goal = (pull[:, None] * to_target + push[:, None] * from_target) / np.maximum(total, 1e-9)[:, None]
        system = sparse.diags(total + 1e-6) + weight * stiff
        # One factorisation serves the three coordinates; the goals are displacements, not positions, so that
        # the template's own shape is not smoothed away.
        vertices = vertices + splu(system.tocsc()).solve(total[:, None] * goal)
    return vertices


def _nearest_on_target(
    vertices: Array, normals: Array, points: Array, point_normals: Array, tree: cKDTree
) -> tuple[Array, Array]:
    """Return for every vertex the way to the target (v, 3), mm, and its weight (v,), 0 where there is no match."""
    distance, nearest = (np.asarray(values) for values in tree.query(vertices))
    way = points[nearest] - vertices
    normal = point_normals[nearest]
    along = np.einsum("nd,nd->n", way, normal)[:, None] * normal
    # Between the target's points the surface is its tangent plane; the way along it is the spacing's noise.
    aside = way - along
    spacing = np.median(distance) + 1.0
    way = np.where(np.linalg.norm(aside, axis=1, keepdims=True) < spacing, along, way)
    agree = (np.einsum("nd,nd->n", normals, normal) > 0.5) & (distance < _REACH_MM)
    return way, agree.astype(np.float64)


def _claimed_by_target(vertices: Array, normals: Array, points: Array, point_normals: Array) -> tuple[Array, Array]:
    """Return for every vertex the mean way along its normal to the target's points that it is nearest to."""
    distance, owner = (np.asarray(values) for values in cKDTree(vertices).query(points))
    agree = (np.einsum("nd,nd->n", normals[owner], point_normals) > 0.5) & (distance < _REACH_MM)
    owner, points = owner[agree], points[agree]
    height = np.einsum("nd,nd->n", points - vertices[owner], normals[owner])
    count = np.bincount(owner, minlength=len(vertices)).astype(np.float64)
    mean = np.bincount(owner, height, minlength=len(vertices)) / np.maximum(count, 1)
    return mean[:, None] * normals, (count > 0).astype(np.float64)


def _edge_laplacian(size: int, faces: NDArray[np.int64]) -> sparse.csr_matrix:
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    # Every edge of a closed surface is seen once from each side, so start -> end alone is symmetric.
    adjacency = sparse.coo_matrix((np.ones(len(start)), (start, end)), (size, size)).tocsr()
    return (sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency).tocsr()
