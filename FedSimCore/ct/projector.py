"""The cone-beam projector of circular orbits and its matched adjoint."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.linear_map import LinearMap
from FedSimCore.ct.placement import Placement
from FedSimCore.ct.plane_stack import AxialWeights, PlaneStack
from FedSimCore.ct.plane_taps import ProjectionTaps, depth_planes
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress
from FedSimCore.volumes import Grid


class ConeBeamProjector(LinearMap):
    """Line integrals of a volume along the rays of a circular scan.

    ``projector(volume)`` maps (batch, channel, x, y, z) in 1/mm to (batch, channel, views, columns, rows), unitless;
    ``projector.adjoint(sinogram)`` is the exact transpose. Autograd uses either as the gradient of the other. The
    volume is interpolated trilinearly (zero outside) where rays cross planes parallel to the detector, ``step_mm``
    apart.

    Tables are made at the first call of either direction and kept in :func:`projection_tables`.

    Args:
        geometry: the scan.
        grid: the volume's grid, its third axis parallel to S.
        device: where volumes and sinograms live.
        dtype: float32 or float64.
        step_mm: distance of the planes; by default the smaller in-plane spacing of the grid.

    Raises:
        InputError: the scan is impossible for this grid (see :meth:`Placement.of`), or ``step_mm`` is not positive.
    """

    def __init__(
        self,
        geometry: ConeBeamGeometry,
        grid: Grid,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        step_mm: float | None = None,
    ) -> None:
        super().__init__(grid.shape, (geometry.views, geometry.columns, geometry.rows), torch.device(device), dtype)
        self.geometry = geometry
        self.grid = grid
        placement = Placement.of(geometry, grid)
        self.step_mm = float(placement.spacing_mm[:2].min()) if step_mm is None else step_mm
        if not self.step_mm > 0:
            raise InputError(f"The step along rays is {step_mm} mm, but it has to be positive.")
        depths = depth_planes(geometry, placement, self.step_mm)
        axial = AxialWeights(
            positions=placement.k_of_isocenter
            + placement.k_per_mm * np.outer(depths / geometry.source_detector_mm, geometry.v_mm),
            sampled="voxels",
            voxels=grid.shape[2],
            rows=geometry.rows,
        )
        key = ("projection", geometry, grid.shape, grid.affine.tobytes(), self.step_mm, dtype, self.device)
        self._stack = PlaneStack(
            ProjectionTaps(geometry, placement, depths, dtype), axial, key, self.device, self.dtype
        )
        # A ray's length between two planes.
        u, v = geometry.u_mm[:, None], geometry.v_mm[None, :]
        slant = np.sqrt(geometry.source_detector_mm**2 + u**2 + v**2) / geometry.source_detector_mm
        self._length_mm = torch.from_numpy(self.step_mm * slant).to(self.device, dtype)

    def gathered_bytes(self) -> int:
        """Return how many bytes the projection of one channel gathers, to compare with the memory's bandwidth."""
        return self._stack.gathered_bytes()

    def _apply(self, x: Tensor, progress: Progress) -> Tensor:
        rays = self._stack.project(x.view(len(x), -1, self.domain_shape[2]), progress)
        return rays.view(len(x), *self.range_shape).mul_(self._length_mm)

    def _apply_transpose(self, y: Tensor, progress: Progress) -> Tensor:
        rays = (y * self._length_mm).view(len(y), -1, self.range_shape[2])
        return self._stack.backproject(rays, progress).view(len(y), *self.domain_shape)
