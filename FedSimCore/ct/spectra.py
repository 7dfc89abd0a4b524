"""X-ray tube spectra and what they make of a material.

``Resources/ct/spectra.csv`` holds tungsten spectra from 70 to 140 kVp (7 degree anode, 5 mm Al in all), made with
spekpy by ``Testing/tools/make_ct_tables.py``. The detector integrates energy and absorbs every photon.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from FedSimCore.ct.attenuation import energy_range_kev
from FedSimCore.ct.materials import Tissue, tissue
from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path

Array = NDArray[np.float64]

REFERENCE_WATER_CM = 20.0
"""Water in front of the detector for which effective attenuation and Hounsfield units are quoted."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Photons that leave the tube.

    Attributes:
        name: e.g. ``"120 kVp"``.
        energies_kev: (E,) photon energies, keV.
        photons: (E,) photons per mAs and mm2 at 1 m from the focal spot.
    """

    name: str
    energies_kev: Array
    photons: Array

    def behind(self, material: Tissue, thickness_cm: float) -> Spectrum:
        """Return what is left behind a slab of ``material``."""
        left = self.photons * np.exp(-thickness_cm * material.attenuation(self.energies_kev))
        return Spectrum(f"{self.name} behind {thickness_cm:g} cm of {material.key}", self.energies_kev, left)

    def detected_attenuation(self, material: Tissue, water_cm: float = REFERENCE_WATER_CM) -> float:
        """Return the effective attenuation (1/cm) an energy-integrating detector sees behind ``water_cm``."""
        weights = self.behind(tissue("water"), water_cm).photons * self.energies_kev
        return float(weights @ material.attenuation(self.energies_kev) / weights.sum())


def tube_voltages_kvp() -> tuple[int, ...]:
    """Return the tube voltages (kVp) that ship."""
    return tuple(_spectra())


@lru_cache(maxsize=1)
def _spectra() -> dict[int, Spectrum]:
    with resource_path("ct/spectra.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    values = np.array(rows, dtype=np.float64)
    centers = values[:, :2].mean(axis=1)
    result = {}
    for column, name in enumerate(header[2:], start=2):
        lit = values[:, column] > 0
        kvp = int(name.removesuffix("kVp"))
        result[kvp] = Spectrum(f"{kvp} kVp", centers[lit], values[lit, column])
    return result


def tube_spectrum(kvp: float) -> Spectrum:
    """Return the shipped spectrum of a tube voltage in 1 keV bins.

    Raises:
        InputError: that voltage does not ship.
    """
    known = _spectra()
    if kvp not in known:
        voltages = ", ".join(str(v) for v in known)
        raise InputError(f"There is no spectrum of {kvp:g} kVp; choose one of {voltages} kVp.")
    return known[int(kvp)]


def monochromatic(energy_kev: float, photons: float = 2e6) -> Spectrum:
    """Return a beam of one energy, by default as bright as a tube at 120 kVp (photons per mAs and mm2 at 1 m).

    Raises:
        InputError: the energy is outside the attenuation table.
    """
    low, high = energy_range_kev()
    if not low <= energy_kev <= high:
        raise InputError(f"A monochromatic beam needs {low:g} to {high:g} keV, not {energy_kev:g} keV.")
    return Spectrum(f"{energy_kev:g} keV", np.array([float(energy_kev)]), np.array([float(photons)]))


def hounsfield(material: Tissue, spectrum: Spectrum, water_cm: float = REFERENCE_WATER_CM) -> float:
    """Return the HU of a small piece of ``material`` behind ``water_cm`` of water."""
    water = spectrum.detected_attenuation(tissue("water"), water_cm)
    return 1000.0 * (spectrum.detected_attenuation(material, water_cm) / water - 1.0)
