"""The attenuation of many tissues as a tensor with a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from FedSimCore.ct.attenuation import mass_attenuation
from FedSimCore.ct.materials import GRAMS_PER_MILLIGRAM, Tissue


def attenuation_table(
    materials: Sequence[Tissue],
    energies_kev: ArrayLike,
    *,
    density_g_cm3: torch.Tensor | None = None,
    iodine_mg_ml: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return linear attenuation of many tissues, differentiable in density and iodine.

    Args:
        materials: T tissues.
        energies_kev: photon energies (E,), keV.
        density_g_cm3: (T,) or (B, T) densities instead of the tissues' own.
        iodine_mg_ml: (T,) or (B, T) iodine concentrations instead of the tissues' own.

    Returns:
        (T, E) or (B, T, E) in 1/cm, in the dtype and on the device of the tensors given, float64 on the CPU
        where none was.
    """
    given = next((t for t in (density_g_cm3, iodine_mg_ml) if t is not None), torch.zeros((), dtype=torch.float64))
    if density_g_cm3 is None:
        density_g_cm3 = given.new_tensor([t.density_g_cm3 for t in materials])
    if iodine_mg_ml is None:
        iodine_mg_ml = given.new_tensor([t.iodine_mg_ml for t in materials])
    per_gram = given.new_tensor(np.stack([t.mass_attenuation(energies_kev) for t in materials]))
    iodine_per_gram = given.new_tensor(mass_attenuation(["I"], energies_kev)[0])
    return density_g_cm3[..., None] * per_gram + GRAMS_PER_MILLIGRAM * iodine_mg_ml[..., None] * iodine_per_gram
