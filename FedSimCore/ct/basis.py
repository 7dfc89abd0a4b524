"""Every tissue as a mixture of three basis materials, so that any number of tissues costs three projections.

At diagnostic energies attenuation is a sum of a photoelectric and a Compton part (Alvarez and Macovski 1976, "Energy-
selective reconstructions in x-ray computerised tomography"), plus one more part for each element whose K edge lies in
the spectrum. Water, cortical bone and iodine therefore span all tissues of the thorax; iodine is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from FedSimCore.ct.energy_groups import EnergyGroups
from FedSimCore.ct.materials import Tissue, tissue


def basis_tissues() -> list[Tissue]:
    """Return water, cortical bone, and iodine of 1 mg/ml without its solvent."""
    iodine = Tissue(key="iodine_1_mg_ml", density_g_cm3=1e-3, mass_fractions={"I": 1.0})
    return [tissue("water"), tissue("bone_cortical"), iodine]


def decompose(materials: Sequence[Tissue], groups: EnergyGroups) -> Tensor:
    """Return how much of each basis material makes each tissue.

    Iodine is taken as it is; the tissue without it is fitted by water and bone with least squares of the relative
    error, weighted by what each group of energies brings to the signal.

    Args:
        materials: T tissues.
        groups: the energies for which the mixture is to hold.

    Returns:
        (T, 3) float64 volume of water, cortical bone and 1 mg/ml iodine in a unit volume of tissue; may be negative
        (fat is water less some bone).
    """
    basis = groups.tissue_attenuation(basis_tissues()).numpy()
    plain = groups.tissue_attenuation([t.with_iodine(0.0) for t in materials]).numpy()
    share = np.sqrt(groups.signal_kev / groups.signal_kev.sum())
    result = np.zeros((len(materials), 3))
    for row, attenuation in enumerate(plain):
        if attenuation.max() > 0:
            weight = (share / attenuation)[:, None]
            result[row, :2] = np.linalg.lstsq(basis[:2].T * weight, share, rcond=None)[0]
        result[row, 2] = materials[row].iodine_mg_ml
    return torch.from_numpy(result)
