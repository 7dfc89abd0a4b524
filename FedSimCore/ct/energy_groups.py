"""A spectrum gathered into a few groups of energies, so that a projection costs few exponentials.

A detector that integrates energy reads, behind line integrals ``l_t`` (cm) of materials ``t``::

    signal   = sum_E  photons(E) E   exp(-sum_t mu_t(E) l_t)
    variance = sum_E  photons(E) E^2 exp(-sum_t mu_t(E) l_t)        (compound Poisson)

Neighbouring energies are gathered so that each group brings about the same share of the signal, with a boundary at
the K edge of iodine; a group's attenuation is the mean over its energies weighted by that share. The share is
averaged over an open beam and one behind ``HARDENING_WATER_CM`` of water, the range that rays through a thorax
span. The error against all energies is measured by ``fedsim bench physics``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.ct.attenuation_table import attenuation_table
from FedSimCore.ct.materials import Tissue, tissue
from FedSimCore.ct.spectra import Spectrum

Array = NDArray[np.float64]

HARDENING_WATER_CM = 25.0
IODINE_K_EDGE_KEV = 33.17
DEFAULT_GROUPS = 16


@dataclass(frozen=True, eq=False)
class EnergyGroups:
    """Groups of photon energies as an energy-integrating detector sees them.

    Attributes:
        energies_kev: (E,) energies of the spectrum.
        averaging: (E, G) column g holds the weights of the energies of group g, summing to 1.
        signal_kev: (G,) energy per mAs and mm2 at 1 m from the focal spot, unattenuated.
        variance_kev2: (G,) sum of squared photon energies, likewise.
    """

    energies_kev: Array
    averaging: Array
    signal_kev: Array
    variance_kev2: Array

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.signal_kev)

    @property
    def mean_energy_kev(self) -> float:
        """Mean photon energy of the unattenuated beam, weighted by energy."""
        return float(self.variance_kev2.sum() / self.signal_kev.sum())

    def attenuation(self, per_energy: torch.Tensor) -> torch.Tensor:
        """Average attenuation (..., E) over each group: (..., G), differentiable."""
        return per_energy @ per_energy.new_tensor(self.averaging)

    def tissue_attenuation(self, materials: list[Tissue]) -> torch.Tensor:
        """Return (T, G) float64 attenuation in 1/cm."""
        return self.attenuation(attenuation_table(materials, self.energies_kev))


def gather(spectrum: Spectrum, groups: int = DEFAULT_GROUPS) -> EnergyGroups:
    """Gather the energies of ``spectrum`` into at most ``groups`` groups."""
    energies = spectrum.energies_kev
    hardened = spectrum.behind(tissue("water"), HARDENING_WATER_CM)
    shares = [beam.photons * energies / (beam.photons @ energies) for beam in (spectrum, hardened)]
    weights = np.mean(shares, axis=0)
    middle = np.cumsum(weights) - weights / 2
    group = np.floor(middle * (groups - 1)).astype(int) + (energies > IODINE_K_EDGE_KEV)
    group = np.unique(group, return_inverse=True)[1]
    membership = (group[:, None] == np.arange(group.max() + 1)[None]).astype(np.float64)
    averaging = membership * weights[:, None]
    signal = spectrum.photons * energies
    return EnergyGroups(
        energies_kev=energies,
        averaging=averaging / averaging.sum(axis=0),
        signal_kev=signal @ membership,
        variance_kev2=(signal * energies) @ membership,
    )
