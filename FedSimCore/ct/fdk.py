"""Feldkamp-Davis-Kress reconstruction that is itself differentiable."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import toeplitz
from torch import Tensor

from FedSimCore.ct.filters import Kernel, filter_kernel, is_displaced, ray_weights
from FedSimCore.ct.geometry import Array, ConeBeamGeometry
from FedSimCore.ct.linear_map import LinearMap
from FedSimCore.ct.placement import Placement
from FedSimCore.ct.plane_stack import AxialWeights, PlaneStack
from FedSimCore.ct.plane_taps import BackprojectionTaps, depth_planes
from FedSimCore.progress import Progress
from FedSimCore.volumes import Grid

# The axial position of a voxel on the detector is taken from the nearest plane of depth; planes are so dense that the
# error stays below this share of a voxel.
AXIAL_TOLERANCE = 0.1


class FDK(LinearMap):
    """Filtered back projection of a circular cone-beam scan (Feldkamp, Davis and Kress, JOSA A 1, 1984).

    ``fdk(sinogram)`` maps (batch, channel, views, columns, rows) of line integrals to (batch, channel, x, y, z) in
    1/mm. It is linear, and autograd uses its exact transpose. Full scans and short scans (at least 180 degrees plus the
    fan angle) are weighted by :func:`ray_weights`, kernels are those of :func:`filter_kernel`.

    Args:
        geometry: the scan.
        grid: the grid to reconstruct on, its third axis parallel to S.
        kernel: "ramp", "hann", "soft" or "sharp".
        device: where volumes and sinograms live.
        dtype: float32 or float64.

    Raises:
        InputError: the scan is impossible for this grid, too short, or there is no such kernel.
    """

    def __init__(
        self,
        geometry: ConeBeamGeometry,
        grid: Grid,
        kernel: Kernel = "ramp",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__((geometry.views, geometry.columns, geometry.rows), grid.shape, torch.device(device), dtype)
        self.geometry = geometry
        self.grid = grid
        self.kernel = kernel
        placement = Placement.of(geometry, grid)
        self._filtered = _widened(geometry)
        self._filter = torch.from_numpy(self._filter_matrix()).to(self.device, dtype)
        u, v = geometry.u_mm[:, None], geometry.v_mm[None, :]
        cosine = geometry.source_detector_mm / np.sqrt(geometry.source_detector_mm**2 + u**2 + v**2)
        self._cosine = torch.from_numpy(cosine).to(self.device, dtype)
        self._ray_weights = torch.from_numpy(ray_weights(geometry)).to(self.device, dtype)
        self._stack = self._make_stack(placement)

    def _filter_matrix(self) -> Array:
        """Return the convolution across the detector as a matrix (filtered columns, columns)."""
        geometry, filtered = self.geometry, self._filtered
        # The detector scaled to the isocentre, where the filter's 1/mm are those of the volume.
        spacing = geometry.pixel_mm[0] * geometry.source_isocenter_mm / geometry.source_detector_mm
        first = round((geometry.u_mm[0] - filtered.u_mm[0]) / geometry.pixel_mm[0])
        return toeplitz(filter_kernel(self.kernel, filtered.columns, spacing))[:, first : first + geometry.columns]

    def _make_stack(self, placement: Placement) -> PlaneStack:
        geometry = self.geometry
        height = max(abs(z) for z in placement.z_extent_mm)
        nearest = geometry.source_isocenter_mm - placement.radius_mm
        step = 2 * AXIAL_TOLERANCE * placement.spacing_mm[2] * geometry.source_isocenter_mm / height
        depths = depth_planes(geometry, placement, float(min(step, nearest)))
        z = (np.arange(placement.shape[2]) - placement.k_of_isocenter) / placement.k_per_mm
        v = np.outer(geometry.source_detector_mm / depths, z)
        axial = AxialWeights(
            positions=(v - geometry.v_mm[0]) / geometry.pixel_mm[1],
            sampled="rows",
            voxels=placement.shape[2],
            rows=geometry.rows,
        )
        key = ("fdk", geometry, self.grid.shape, self.grid.affine.tobytes(), self.dtype, self.device)
        taps = BackprojectionTaps(self._filtered, placement, depths, self.dtype)
        return PlaneStack(taps, axial, key, self.device, self.dtype)

    def _apply(self, x: Tensor, progress: Progress) -> Tensor:
        filtered = x.new_empty(len(x), self.geometry.views, self._filtered.columns, self.geometry.rows)
        for channel in range(len(x)):
            for view in range(self.geometry.views):
                weighted = x[channel, view] * self._cosine
                weighted *= self._ray_weights[view, :, None]
                torch.mm(self._filter, weighted, out=filtered[channel, view])
        volume = self._stack.backproject(filtered.view(len(x), -1, self.geometry.rows), progress)
        return volume.view(len(x), *self.range_shape)

    def _apply_transpose(self, y: Tensor, progress: Progress) -> Tensor:
        filtered = self._stack.project(y.view(len(y), -1, self.range_shape[2]), progress)
        filtered = filtered.view(len(y), self.geometry.views, -1, self.geometry.rows)
        rays = y.new_empty(len(y), *self.domain_shape)
        for channel in range(len(y)):
            for view in range(self.geometry.views):
                torch.mm(self._filter.T, filtered[channel, view], out=rays[channel, view])
        return rays.mul_(self._cosine).mul_(self._ray_weights[:, :, None])


def _widened(geometry: ConeBeamGeometry) -> ConeBeamGeometry:
    """Return the geometry with the detector widened to be symmetric if it is shifted far sideways.

    The filter spreads what it saw to where it does not reach, and that belongs to the image.
    """
    if not is_displaced(geometry):
        return geometry
    shift, row_shift = geometry.detector_offset_mm
    missing = round(2 * abs(shift) / geometry.pixel_mm[0])
    middle = shift - float(np.sign(shift)) * missing * geometry.pixel_mm[0] / 2
    update = {"columns": geometry.columns + missing, "detector_offset_mm": (middle, row_shift)}
    return geometry.model_copy(update=update)
