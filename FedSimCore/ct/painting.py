"""Painting simple shapes into a label map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from FedSimCore.volumes import Grid

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Canvas:
    """A label map that shapes are painted into, the later over the earlier.

    Attributes:
        grid: the label map's grid.
        labels: (X, Y, Z) uint8, 0 at first.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.labels: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)

    @cached_property
    def coordinates(self) -> tuple[Field, Field, Field]:
        """R, A and S of every voxel, mm, as arrays that broadcast to (X, Y, Z)."""
        i, j, k = np.ogrid[tuple(slice(n) for n in self.grid.shape)]
        affine = self.grid.affine
        axes = [
            (affine[row, 0] * i + affine[row, 1] * j + affine[row, 2] * k + affine[row, 3])
            if np.count_nonzero(affine[row, :3]) > 1
            else sum(affine[row, axis] * n for axis, n in enumerate((i, j, k)) if affine[row, axis]) + affine[row, 3]
            for row in range(3)
        ]
        x, y, z = (np.asarray(axis, dtype=np.float32) for axis in axes)
        return x, y, z

    def paint(self, where: Mask, label: int) -> None:
        """Give ``label`` to all voxels ``where`` is true; the mask broadcasts to (X, Y, Z)."""
        self.labels[np.broadcast_to(where, self.labels.shape)] = label

    def tube(
        self,
        path: Sequence[Any] | NDArray[np.float64],
        radius_mm: ArrayLike,
        label: int,
        *,
        within: Mask | None = None,
        wall: tuple[float, int] | None = None,
    ) -> None:
        """Paint a round tube along a smooth curve.

        Args:
            path: (n, 3) points the curve passes, RAS mm.
            radius_mm: radius, or one for every point.
            label: of the lumen.
            within: where it may be painted.
            wall: thickness (mm) and label of a wall around it.
        """
        points = np.atleast_2d(np.asarray(path, dtype=float))
        radii = np.broadcast_to(np.asarray(radius_mm, dtype=float), len(points))
        centers, sizes = _densify(points, radii, step_mm=0.5 * float(radii.min()) + 0.3)
        if wall is not None:
            self._balls(centers, sizes + wall[0], wall[1], within)
        self._balls(centers, sizes, label, within)

    def _balls(self, centers: NDArray[np.float64], radii: NDArray[np.float64], label: int, within: Mask | None) -> None:
        # Distances are taken in index space: working grids have orthogonal axes.
        spacing = self.grid.spacing_mm
        index = self.grid.to_index(centers)
        reach = radii[:, None] / spacing
        low = np.maximum(np.floor(index - reach).astype(int), 0)
        high = np.minimum(np.ceil(index + reach).astype(int) + 1, self.grid.shape)
        # Along each axis the squared distance of every voxel to every ball's middle (balls, n), in square millimetres.
        squares = [
            ((np.arange(size) - index[:, axis, None]) * spacing[axis]) ** 2 for axis, size in enumerate(self.grid.shape)
        ]
        for ball in np.flatnonzero(np.all(low < high, axis=1)):
            box = tuple(slice(a, b) for a, b in zip(low[ball].tolist(), high[ball].tolist(), strict=True))
            x, y, z = (square[ball, side] for square, side in zip(squares, box, strict=True))
            inside = x[:, None, None] + y[:, None] + z <= radii[ball] ** 2
            if within is not None:
                inside &= within[box]
            self.labels[box][inside] = label


def _densify(
    points: NDArray[np.float64], radii: NDArray[np.float64], step_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points along a smooth curve, ``step_mm`` apart or less, with radii."""
    if len(points) == 1:
        return points, radii
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    position = np.concatenate([[0.0], np.cumsum(np.maximum(lengths, 1e-6))])
    wanted = np.linspace(0.0, position[-1], max(2, int(np.ceil(position[-1] / step_mm)) + 1))
    return _smooth(position, points, wanted), np.interp(wanted, position, radii)


def _smooth(position: NDArray[np.float64], points: NDArray[np.float64], wanted: NDArray[np.float64]) -> Any:
    """Interpolate points by the cubic spline; through three it is a parabola, of which a thorax has thousands."""
    if len(points) != 3:
        return CubicSpline(position, points)(wanted)
    first, middle, last = position
    a, b, c = wanted - first, wanted - middle, wanted - last
    weights = np.stack(
        [
            b * c / ((first - middle) * (first - last)),
            a * c / ((middle - first) * (middle - last)),
            a * b / ((last - first) * (last - middle)),
        ],
        axis=1,
    )
    return weights @ points


def superellipse(x: Field, y: Field, center: tuple[float, float], half: tuple[float, float], power: float) -> Field:
    """Return 1 on a superellipse, less inside: ``(|x/a|^n + |y/b|^n)^(1/n)``."""
    a = np.abs((x - center[0]) / half[0]) ** power
    b = np.abs((y - center[1]) / half[1]) ** power
    return np.asarray((a + b) ** (1.0 / power), dtype=np.float32)
