"""Water correction: from polychromatic readings to the thickness of water that gives the same reading.

The classical beam hardening precorrection (Herman 1979, "Correction for beam hardening in computed tomography"):
``p(L) = -ln(I(L) / I(0))`` of water is monotone in the thickness ``L``, so its inverse is a table. It is exact for
water; other tissues keep the small cupping and streaks they have on a real scanner.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from FedSimCore.ct.energy_groups import EnergyGroups
from FedSimCore.ct.materials import tissue

THICKEST_WATER_CM = 100.0
KNOTS = 8192


class WaterCorrection:
    """Takes ``-ln`` of a relative reading to the equivalent thickness of water.

    Between knots the inverse is linear, beyond the thickest water it goes on with its last slope, and below zero (noise
    in air) with its first; it is differentiable everywhere.
    """

    def __init__(self, groups: EnergyGroups) -> None:
        water = groups.tissue_attenuation([tissue("water")])[0].numpy()
        thickness_cm = np.linspace(0.0, THICKEST_WATER_CM, 4 * KNOTS)
        signal = np.exp(-thickness_cm[:, None] * water) @ groups.signal_kev
        reading = -np.log(signal / groups.signal_kev.sum())
        self._step = float(reading[-1] / (KNOTS - 1))
        self._thickness_cm = np.interp(np.arange(KNOTS) * self._step, reading, thickness_cm)
        self.attenuation_per_cm = float(reading[1] / thickness_cm[1])
        """Effective attenuation of a thin layer of water (1/cm)."""

    def __call__(self, reading: Tensor) -> Tensor:
        """Return the thickness of water in cm for readings ``-ln(I / I0)`` of any shape."""
        table = reading.new_tensor(self._thickness_cm)
        position = reading / self._step
        knot = position.detach().floor().clamp(0, KNOTS - 2).to(torch.int64)
        left = table[knot]
        return torch.addcmul(left, table[knot + 1] - left, position - knot)
