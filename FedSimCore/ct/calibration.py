"""The scale of Hounsfield units: what the scanner itself makes of a cylinder of water.

The projections of a water cylinder about the axis are known exactly, and the water correction turns polychromatic
readings of water into exactly these lengths; reconstructing its middle shows the gain of sampling and kernel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from FedSimCore.ct.fdk import FDK
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


def gain_of_water(fdk: FDK, grid: Grid) -> float:
    """Return the mean of the reconstructed middle of a water cylinder, 1 for a perfect reconstruction.

    Args:
        fdk: a reconstruction on ``grid``.
        grid: its grid, whose middle must be the isocentre.
    """
    geometry = fdk.geometry
    lengths = cylinder_line_integrals(geometry, WATER_PHANTOM_OF_FIELD * geometry.field_of_view_mm)
    volume = fdk(lengths.to(fdk.device, fdk.dtype).contiguous())[0, 0]
    middle = tuple(slice(n // 4, max(n - n // 4, n // 4 + 1)) for n in (*grid.shape[:2], 1))
    return float(volume[middle[0], middle[1], (grid.shape[2] - 1) // 2].mean())
