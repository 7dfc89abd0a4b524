"""Implicit shapes: functions of position that are about the signed distance in mm, negative inside.

Points are arrays ``(3, ...)`` of coordinates in mm; every function returns an array of their shape without
the first axis, in float32. Shapes are joined with :func:`union` and :func:`cut`, whose blending radius
rounds the seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

# Float32 throughout; the looser type is what NumPy's stubs give for mixed expressions.
Field = NDArray[np.floating[Any]]
Points = NDArray[np.floating[Any]]


def _column(vector: ArrayLike, points: Points) -> Points:
    return np.asarray(vector, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1))


# Further from a bounded shape than this, its field is this constant: nothing there needs the distance.
FAR_MM = 24.0


def _near(points: Points, low: ArrayLike, high: ArrayLike) -> tuple[slice, ...]:
    """Return the smallest sub-block of a lattice (3, i, j, k) that holds all its points in a box widened by FAR_MM."""
    inside = np.ones(points.shape[1:], dtype=bool)
    for coordinate, a, b in zip(points, np.asarray(low) - FAR_MM, np.asarray(high) + FAR_MM, strict=True):
        inside &= (coordinate > a) & (coordinate < b)
    block = []
    for axis in range(inside.ndim):
        (hits,) = np.nonzero(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)))
        block.append(slice(hits[0], hits[-1] + 1) if len(hits) else slice(0, 0))
    return tuple(block)


def ellipsoid(points: Points, center_mm: ArrayLike, semi_axes_mm: ArrayLike, axes: ArrayLike | None = None) -> Field:
    """Return the first-order distance to an ellipsoid; the rows of ``axes`` (3, 3) are its axes' directions."""
    center, reach = np.asarray(center_mm), np.max(semi_axes_mm) if axes is not None else np.asarray(semi_axes_mm)
    distance = np.full(points.shape[1:], FAR_MM, dtype=np.float32)
    block = _near(points, center - reach, center + reach)
    distance[block] = _ellipsoid(points[(slice(None), *block)], center_mm, semi_axes_mm, axes)
    return distance


def _ellipsoid(points: Points, center_mm: ArrayLike, semi_axes_mm: ArrayLike, axes: ArrayLike | None) -> Field:
    local = points - _column(center_mm, points)
    if axes is not None:
        local = np.tensordot(np.asarray(axes, dtype=np.float32), local, axes=1)
    local /= _column(semi_axes_mm, points)
    k0 = np.sqrt((local**2).sum(0))
    local /= _column(semi_axes_mm, points)
    k1 = np.sqrt((local**2).sum(0))
    return k0 * (k0 - 1) / np.maximum(k1, 1e-6)


def half_space(points: Points, point_mm: ArrayLike, outward: ArrayLike) -> Field:
    """Return the distance to a plane, positive on the side ``outward`` (need not have unit length) points to."""
    normal = np.asarray(outward, dtype=np.float32)
    normal = normal / np.linalg.norm(normal)
    offset = float(normal @ np.asarray(point_mm, dtype=np.float32))
    return np.tensordot(normal, points, axes=1) - offset


def capsule(
    points: Points, start_mm: ArrayLike, end_mm: ArrayLike, start_radius_mm: float, end_radius_mm: float | None = None
) -> Field:
    """Return the distance to a segment with round ends, less a radius that changes linearly along it."""
    end_radius_mm = start_radius_mm if end_radius_mm is None else end_radius_mm
    return tube(points, np.array([start_mm, end_mm], dtype=float), [start_radius_mm, end_radius_mm])


def tube(points: Points, centerline_mm: NDArray[np.floating], radii_mm: ArrayLike) -> Field:
    """Return the distance to a chain of capsules through ``centerline_mm`` (n, 3) with a radius (mm) at each point."""
    radii = np.broadcast_to(np.asarray(radii_mm, dtype=np.float32), len(centerline_mm))
    distance = np.full(points.shape[1:], FAR_MM, dtype=np.float32)
    centers = np.asarray(centerline_mm)
    whole = _near(points, (centers - radii[:, None]).min(0), (centers + radii[:, None]).max(0))
    around, result = points[(slice(None), *whole)], distance[whole]
    for start, end, first, last in zip(centers[:-1], centers[1:], radii[:-1], radii[1:], strict=True):
        reach = max(first, last)
        block = _near(around, np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        near = _capsule(around[(slice(None), *block)], start, end, float(first), float(last))
        np.minimum(result[block], near, out=result[block])
    return distance


def _capsule(points: Points, start: ArrayLike, end: ArrayLike, start_radius: float, end_radius: float) -> Field:
    first = np.asarray(start, dtype=np.float32)
    axis = np.asarray(end, dtype=np.float32) - first
    local = points - _column(first, points)
    along = np.clip(np.tensordot(axis / max(float(axis @ axis), 1e-6), local, axes=1), 0, 1)
    local -= _column(axis, points) * along
    return np.sqrt((local**2).sum(0)) - (start_radius + (end_radius - start_radius) * along)


def curve(control_points_mm: Sequence[ArrayLike], step_mm: float = 5.0) -> NDArray[np.float64]:
    """Return points (n, 3) about ``step_mm`` apart on a natural cubic spline through the control points."""
    knots = np.asarray(control_points_mm, dtype=np.float64)
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    samples = np.linspace(0, chord[-1], max(int(np.ceil(chord[-1] / step_mm)) + 1, 3))
    return CubicSpline(chord, knots, bc_type="natural")(samples)


def union(a: Field, b: Field, blend_mm: float = 0.0) -> Field:
    """Join two shapes; the seam is filled over about ``blend_mm`` (polynomial smooth minimum)."""
    if blend_mm <= 0:
        return np.minimum(a, b)
    overlap = np.maximum(blend_mm - np.abs(a - b), 0)
    return np.minimum(a, b) - overlap * overlap / (4 * blend_mm)


def intersection(a: Field, b: Field, blend_mm: float = 0.0) -> Field:
    """Return what two shapes share, its edge rounded over about ``blend_mm``."""
    return -union(-a, -b, blend_mm)


def cut(a: Field, b: Field, blend_mm: float = 0.0) -> Field:
    """Take ``b`` away from ``a``, the new edge rounded over about ``blend_mm``."""
    return -union(-a, b, blend_mm)


def occupancy(distance: Field, width_mm: float) -> Field:
    """Return the share of a voxel of ``width_mm`` inside the shape, 0 to 1: partial volume to first order."""
    return np.clip(0.5 - distance / width_mm, 0, 1)
