"""The scale of Hounsfield units: what the scanner itself makes of a cylinder of water.

The projections of a water cylinder about the axis are known exactly, and the water correction turns polychromatic
readings of water into exactly these lengths; reconstructing its middle shows the gain of sampling and kernel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from FedSimCore.ct.fdk import FDK
from FedSimCore.ct.filters import Kernel
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.volumes import Grid

WATER_PHANTOM_OF_FIELD = 0.8
"""Diameter of the calibration phantom as a share of the detector's field of view."""


def cylinder_line_integrals(geometry: ConeBeamGeometry, diameter_mm: float) -> Tensor:
    """Return (1, 1, views, columns, rows) float64 path lengths in mm through an endless cylinder about the axis."""
    fan = np.hypot(geometry.u_mm, geometry.source_detector_mm)
    distance = geometry.source_isocenter_mm * np.abs(geometry.u_mm) / fan
    chord = 2 * np.sqrt(np.maximum((diameter_mm / 2) ** 2 - distance**2, 0.0))
    slant = np.hypot(fan[:, None], geometry.v_mm[None]) / fan[:, None]
    one_view = torch.from_numpy(chord[:, None] * slant)
    return one_view.expand(1, 1, geometry.views, *one_view.shape)


def gain_of_water(
    geometry: ConeBeamGeometry, grid: Grid, kernel: Kernel, device: torch.device, dtype: torch.dtype
) -> float:
    """Return the mean of the reconstructed middle of a water cylinder, 1 for a perfect reconstruction.

    Only the two slices about the isocentre and the detector rows that see them take part; there the cone's angle is
    nothing, and the rest of the volume would cost a full reconstruction.

    Args:
        geometry: the scan.
        grid: the grid that will be reconstructed, whose middle must be the isocentre.
        kernel: of the reconstruction.
        device: where to compute.
        dtype: float32 or float64.
    """
    thin_grid = _middle_of(grid)
    # Rays to the near side of the field pass the slices' outer faces at the largest magnification.
    nearest = geometry.source_isocenter_mm - float(np.hypot(*(thin_grid.spacing_mm * thin_grid.shape)[:2])) / 2
    height = 2 * thin_grid.spacing_mm[2] * geometry.source_detector_mm / nearest
    rows = 2 * int(np.ceil(height / geometry.pixel_mm[1] / 2)) + 2
    thin = geometry.model_copy(update={"rows": min(rows, geometry.rows)})
    fdk = FDK(thin, thin_grid, kernel=kernel, device=device, dtype=dtype)
    lengths = cylinder_line_integrals(thin, WATER_PHANTOM_OF_FIELD * thin.field_of_view_mm)
    return float(fdk(lengths.to(device, dtype).contiguous()).mean())


def _middle_of(grid: Grid) -> Grid:
    """Return half the grid's width in two slices about its middle, at the same spacing."""
    shape = (max(grid.shape[0] // 2, 1), max(grid.shape[1] // 2, 1), 2)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.center_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)
