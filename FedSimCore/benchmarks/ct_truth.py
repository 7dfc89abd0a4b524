"""Objects whose line integrals are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.ct.geometry import Array, ConeBeamGeometry
from FedSimCore.volumes import Grid


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid of constant attenuation with axes along R, A and S.

    Attributes:
        semi_axes_mm: half lengths along R, A, S.
        center_mm: RAS position.
        mu_per_mm: attenuation in 1/mm.
    """

    semi_axes_mm: tuple[float, float, float]
    center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mu_per_mm: float = 0.02

    def line_integrals(self, geometry: ConeBeamGeometry, isocenter_mm: Array) -> NDArray[np.float32]:
        """Return the exact sinogram (views, columns, rows)."""
        poses = geometry.poses(isocenter_mm)
        result = np.empty((geometry.views, geometry.columns, geometry.rows), np.float32)
        u = (geometry.u_mm - geometry.detector_offset_mm[0])[:, None, None]
        v = (geometry.v_mm - geometry.detector_offset_mm[1])[None, :, None]
        for view in range(geometry.views):
            start = (poses.source_mm[view] - self.center_mm) / self.semi_axes_mm
            ray = poses.detector_mm[view] + u * poses.u[view] + v * poses.v[view] - poses.source_mm[view]
            length = np.linalg.norm(ray, axis=-1)
            ray = ray / self.semi_axes_mm
            a, b = (ray**2).sum(-1), ray @ start
            root = np.sqrt(np.maximum(b * b - a * (start @ start - 1), 0.0))
            result[view] = 2 * root / a * length * self.mu_per_mm
        return result

    def voxels(self, grid: Grid, oversampling: int = 4) -> NDArray[np.float32]:
        """Return the mean attenuation of every voxel (x, y, z) of an axis-aligned grid."""
        shares = (np.arange(oversampling) + 0.5) / oversampling - 0.5
        squares = []
        for axis in range(3):
            index = (np.arange(grid.shape[axis])[:, None] + shares).ravel()
            position = grid.affine[axis, axis] * index + grid.affine[axis, 3]
            squares.append(((position - self.center_mm[axis]) / self.semi_axes_mm[axis]) ** 2)
        result = np.empty(grid.shape, np.float32)
        size = (grid.shape[1], oversampling, grid.shape[2], oversampling)
        plane = squares[1][:, None] + squares[2][None, :]
        for i in range(grid.shape[0]):
            inside = [
                (plane + squares[0][i * oversampling + part] <= 1).reshape(size).mean((1, 3))
                for part in range(oversampling)
            ]
            result[i] = np.mean(inside, axis=0)
        return result * np.float32(self.mu_per_mm)

    def radius(self, grid: Grid) -> NDArray[np.float64]:
        """Return the distance of every voxel from the centre (x, y, z), 1 on the surface."""
        points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
        distance: NDArray[np.float64] = np.linalg.norm((points - self.center_mm) / self.semi_axes_mm, axis=-1)
        return distance
