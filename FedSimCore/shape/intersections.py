"""Triangles of a surface that cut through each other, and faces turned inside out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


def self_intersecting_faces(vertices: Array, faces: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which faces (f,) of a closed surface cut another face of the same surface.

    Pairs whose circumspheres are apart or that share a vertex are not tested; of the rest, each edge of one
    triangle is tested against the other triangle (Möller and Trumbore 1997).

    Args:
        vertices: (v, 3).
        faces: (f, 3).
    """
    corners = vertices[faces]
    middle = corners.mean(1)
    reach = np.linalg.norm(corners - middle[:, None], axis=2).max(1)
    cut = np.zeros(len(faces), dtype=bool)
    first, second = _near_pairs(middle, reach)
    shared = (faces[first][:, :, None] == faces[second][:, None, :]).any((1, 2))
    first, second = first[~shared], second[~shared]
    # A box test removes most of what the spheres let through.
    low, high = corners.min(1), corners.max(1)
    apart = ((low[first] > high[second]) | (low[second] > high[first])).any(1)
    first, second = first[~apart], second[~apart]
    crossing = _edges_cross(corners[first], corners[second]) | _edges_cross(corners[second], corners[first])
    cut[first[crossing]] = True
    cut[second[crossing]] = True
    return cut


def _near_pairs(middle: Array, reach: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    # A few faces are much larger than the rest; a common radius would make pairs of everything.
    order = np.argsort(reach)
    usual = float(reach[order[int(0.98 * (len(reach) - 1))]])
    pairs = cKDTree(middle).query_pairs(2 * usual, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    large = np.flatnonzero(reach > usual)
    if len(large):
        offset = np.linalg.norm(middle[large][:, None] - middle[None], axis=2)
        row, column = np.nonzero(offset < reach[large][:, None] + reach[None])
        first, second = np.r_[first, large[row]], np.r_[second, column]
    keep = first != second
    return first[keep], second[keep]


def _edges_cross(edges_of: Array, triangle: Array) -> NDArray[np.bool_]:
    """Tell for n pairs of triangles (n, 3, 3) whether an edge of the first crosses the second."""
    base = triangle[:, 0]
    u, v = triangle[:, 1] - base, triangle[:, 2] - base
    result = np.zeros(len(triangle), dtype=bool)
    for corner in range(3):
        start = edges_of[:, corner]
        way = edges_of[:, (corner + 1) % 3] - start
        p = np.cross(way, v)
        determinant = np.einsum("nd,nd->n", u, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = start - base
            a = np.einsum("nd,nd->n", offset, p) / determinant
            q = np.cross(offset, u)
            b = np.einsum("nd,nd->n", way, q) / determinant
            t = np.einsum("nd,nd->n", v, q) / determinant
            # NaN and infinity of parallel pairs compare as False.
            result |= (a >= 0) & (b >= 0) & (a + b <= 1) & (t >= 0) & (t <= 1)
    return result


def inverted_faces(vertices: Array, faces: NDArray[np.int64], reference: Array) -> NDArray[np.bool_]:
    """Return which faces (f,) look the other way than in a reference shape in the same pose.

    A face is compared after the turn that its surroundings made: the best rotation of the face's own
    neighbourhood (the faces at its corners) from the reference.

    Args:
        vertices: (v, 3) mm.
        faces: (f, 3).
        reference: (v, 3) mm, the same surface undeformed.
    """
    now, then = _normals(vertices, faces), _normals(reference, faces)
    # Normals of a vertex's faces, then of the faces' corners: the neighbourhood's normal now and then.
    around_now, around_then = (_smoothed(n, faces, len(vertices)) for n in (now, then))
    axis = np.cross(around_then, around_now)
    cosine = np.einsum("nd,nd->n", around_then, around_now)[:, None]
    # Rodrigues' formula for the turn from one unit vector to another.
    turned = then * cosine + np.cross(axis, then)
    turned += axis * np.einsum("nd,nd->n", axis, then)[:, None] / np.maximum(1 + cosine, 1e-9)
    result: NDArray[np.bool_] = np.einsum("nd,nd->n", now, turned) < 0
    return result


def _normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.finfo(float).tiny)


def _smoothed(normals: Array, faces: NDArray[np.int64], size: int) -> Array:
    at_vertex = np.zeros((size, 3))
    np.add.at(at_vertex, faces, normals[:, None])
    mean = at_vertex[faces].sum(1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.finfo(float).tiny)
