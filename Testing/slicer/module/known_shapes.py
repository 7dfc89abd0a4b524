"""Shapes at known places in the world, on grids with every kind of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.volumes import Grid

SHAPE = (40, 34, 28)
CENTER_MM = np.array([12.0, -31.0, 55.0])
BALL_MM = np.array([15.5, -28.0, 52.0])
RADIUS_MM = 9.0
BOXES_MM = {
    region.label: CENTER_MM + offset
    for region, offset in zip(
        anatomy.regions(),
        [(0, 0, 0), (7, 0, 0), (-7, 0, 0), (0, 7, 0), (0, -7, 0), (0, 0, 8), (0, 0, -8)],
        strict=True,
    )
}
"""Middle of each region's box, RAS mm."""
BOX_SIDE_MM = 6.0


def rotation(axis: tuple[float, float, float], degrees: float) -> NDArray[np.float64]:
    """A turn, by Rodrigues's formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grid_with(axes: NDArray[np.float64], spacing_mm: tuple[float, float, float]) -> Grid:
    """A grid with these axes in its columns, its middle at CENTER_MM."""
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = CENTER_MM - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return Grid(SHAPE, affine)


OBLIQUE = rotation((1, 2, -0.5), 28)
GRIDS = {
    "along RAS": grid_with(np.eye(3), (1.0, 1.0, 1.0)),
    "LPS": grid_with(np.diag([-1.0, -1.0, 1.0]), (0.8, 0.8, 1.2)),
    "mirrored": grid_with(np.diag([-1.0, 1.0, 1.0]), (1.0, 1.2, 1.4)),
    "axes exchanged": grid_with(np.eye(3)[[2, 0, 1]], (1.1, 0.9, 1.3)),
    "oblique": grid_with(OBLIQUE, (0.7, 1.1, 2.0)),
    "oblique and mirrored": grid_with(OBLIQUE @ np.diag([1.0, 1.0, -1.0]), (0.9, 0.9, 2.1)),
}
every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())


def world_of(grid: Grid) -> NDArray[np.float64]:
    """World positions of a grid's voxel centres (i, j, k, 3)."""
    return grid.to_world(np.stack(np.indices(grid.shape), axis=-1))


def ball_on(grid: Grid) -> NDArray[np.float32]:
    """300 HU in a ball at BALL_MM, -50 HU round it, decided voxel by voxel in world coordinates."""
    inside = np.linalg.norm(world_of(grid) - BALL_MM, axis=-1) <= RADIUS_MM
    return np.where(inside, 300.0, -50.0).astype(np.float32)


def boxes_on(grid: Grid) -> NDArray[np.uint8]:
    """A box for each of the seven regions, decided voxel by voxel in world coordinates."""
    labels = np.zeros(grid.shape, np.uint8)
    for label, middle in BOXES_MM.items():
        labels[(np.abs(world_of(grid) - middle) < BOX_SIDE_MM / 2).all(axis=-1)] = label
    return labels


def middle_of(mask: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """World middle of the voxels of a mask, by the affine alone."""
    return affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
