"""Plane sections of closed surfaces, and the diameter of a vessel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from FedSimCore.shape.surfaces import Surface

Array = NDArray[np.float64]
_TILT_LIMIT_RAD = np.deg2rad(45)


class Section(NamedTuple):
    """One loop in which a plane cuts a closed surface.

    Attributes:
        area_mm2: area inside the loop.
        centroid: (3,) mm, of that area.
    """

    area_mm2: float
    centroid: Array


def section(surface: Surface, point: Array, normal: Array) -> Section | None:
    """Cut a closed, outward-oriented surface with a plane; of several loops the one about ``point`` counts.

    Args:
        surface: vertices (v, 3) mm and faces (f, 3).
        point: (3,) mm, on the plane.
        normal: (3,) of any length.

    Returns:
        The loop whose centroid is nearest to ``point``; None where the plane misses the surface.
    """
    vertices, faces = surface
    normal = normal / np.linalg.norm(normal)
    height = (vertices - point) @ normal
    above = height > 0
    cut = faces[(above[faces].sum(1) % 3) > 0]
    if not len(cut):
        return None
    # Turn each triangle so that its first corner lies alone on its side; the cut runs between its two edges.
    alone = np.where(above[cut].sum(1) == 1, above[cut].T, ~above[cut].T).T.argmax(1)
    first, second, third = (np.take_along_axis(cut, ((alone + k) % 3)[:, None], 1)[:, 0] for k in range(3))
    start, end = _crossing(vertices, height, first, second), _crossing(vertices, height, first, third)
    direction = np.where(above[first], 1.0, -1.0)
    # Shoelace formula in the plane: oriented segments need not be strung together.
    doubled = direction * (np.cross(start - point, end - point) @ normal)
    loop = _loops(len(vertices), first, second, third)
    candidates = [_loop(doubled[loop == k], (start + end)[loop == k], point) for k in range(loop.max() + 1)]
    return min(candidates, key=lambda found: float(np.linalg.norm(found.centroid - point)))


def vessel_diameter_mm(surface: Surface, root: Array) -> float:
    """Return the diameter of the circle that has the area of a vessel's section half-way along.

    The section goes through the middle of the vessel's extent from its root, and of all planes there (tilted up to
    45 degrees) it is the one that cuts the least area, which is the plane perpendicular to the vessel.

    Args:
        surface: closed surface of the vessel, mm.
        root: (3,) a point where the vessel begins, mm.

    Returns:
        Millimetres.
    """
    vertices, _ = surface
    axis = _centroid(surface) - root
    axis /= np.linalg.norm(axis)
    along = (vertices - root) @ axis
    middle = root + axis * (along.min() + along.max()) / 2
    found = section(surface, middle, axis)
    if found is None:  # a middle between the two loops of a strongly bent vessel
        return float("nan")
    across = np.linalg.svd(axis[None])[2][1:]

    def area(tilt: Array) -> float:
        normal = axis + np.tan(np.clip(tilt, -_TILT_LIMIT_RAD, _TILT_LIMIT_RAD)) @ across
        tilted = section(surface, found.centroid, normal)
        return np.inf if tilted is None else tilted.area_mm2

    best = minimize(area, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3, "maxiter": 200})
    return float(2 * np.sqrt(best.fun / np.pi))


def _crossing(vertices: Array, height: Array, a: NDArray[np.int64], b: NDArray[np.int64]) -> Array:
    share = (height[a] / (height[a] - height[b]))[:, None]
    crossing: Array = vertices[a] + share * (vertices[b] - vertices[a])
    return crossing


def _loops(
    vertex_count: int, first: NDArray[np.int64], second: NDArray[np.int64], third: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Number the loop of each segment: segments that share a mesh edge belong together."""
    one, other = (np.minimum(first, b) * vertex_count + np.maximum(first, b) for b in (second, third))
    edges, index = np.unique(np.concatenate((one, other)), return_inverse=True)
    ends = index.reshape(2, -1)
    graph = coo_array((np.ones(len(first)), (ends[0], ends[1])), shape=(len(edges), len(edges)))
    loop: NDArray[np.int32] = connected_components(graph, directed=False)[1][ends[0]]
    return loop


def _loop(doubled: Array, sums: Array, point: Array) -> Section:
    """Area and centroid from each segment's triangle with ``point``: its doubled signed area and its ends' sum."""
    total = doubled.sum()
    if abs(total) < 1e-12:
        return Section(0.0, sums.mean(0) / 2)
    return Section(abs(float(total)) / 2, (doubled[:, None] * (sums + point)).sum(0) / (3 * total))


def _centroid(surface: Surface) -> Array:
    """Area-weighted centre of a surface, which a bulge of dense triangles does not pull."""
    vertices, faces = surface
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    centre: Array = area @ (a + b + c) / (3 * area.sum())
    return centre
