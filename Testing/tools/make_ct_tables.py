"""Make the physics tables in ``Resources/ct`` from xraylib and spekpy.

Neither library is needed at run time. Run from the repository root, with both installed:

    python Testing/tools/make_ct_tables.py

Writes
- ``mass_attenuation.csv``: total mass attenuation with coherent scattering (cm2/g) of the elements in
  ``ELEMENTS`` from 10 to 150 keV in steps of 1 keV, and on either side of every K and L edge in between;
- ``spectra.csv``: photons per mAs, mm2 and 1 keV bin at 1 m from the focal spot, 70 to 140 kVp.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import spekpy
import xraylib

RESOURCES = Path(__file__).resolve().parents[2] / "Resources" / "ct"
ELEMENTS = ["H", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S"]
ELEMENTS += ["Cl", "Ar", "K", "Ca", "Ti", "Fe", "Cu", "Zn", "I", "Ba", "Gd"]
FIRST_KEV, LAST_KEV = 10, 150

# A CT tube: tungsten, 7 degrees, 5 mm of aluminium in all (glass, oil, window and flat filter). With it the
# attenuation of water behind 20 cm of water agrees with the measured-and-modelled spectra of the XCIST project
# within 0.5 % from 80 to 140 kVp (Testing/core/ct/test_spectra.py).
ANODE_ANGLE_DEG = 7.0
FILTER_AL_MM = 5.0
TUBE_VOLTAGES_KVP = range(70, 141, 10)


def attenuation_rows() -> tuple[list[float], list[list[float]]]:
    """Return the energies (keV), each edge as a pair of neighbouring floats, and a row of cm2/g for each."""
    numbers = [xraylib.SymbolToAtomicNumber(symbol) for symbol in ELEMENTS]
    energies = {float(e) for e in range(FIRST_KEV, LAST_KEV + 1)}
    for number in numbers:
        for shell in (xraylib.K_SHELL, xraylib.L1_SHELL, xraylib.L2_SHELL, xraylib.L3_SHELL):
            try:
                edge = xraylib.EdgeEnergy(number, shell)
            except ValueError:  # the element has no such shell
                continue
            if FIRST_KEV < edge < LAST_KEV:
                energies |= set(sides_of_edge(number, edge))
    grid = sorted(energies)
    return grid, [[xraylib.CS_Total(number, energy) for number in numbers] for energy in grid]


def sides_of_edge(number: int, edge_kev: float) -> tuple[float, float]:
    """Return the energies just below and above an edge; xraylib's cross sections jump a few eV off its edge table."""
    low, high = edge_kev - 0.01, edge_kev + 0.01
    while high - low > 1e-5:
        middle = (low + high) / 2
        if xraylib.CS_Total(number, middle) > xraylib.CS_Total(number, low) * 1.05:
            high = middle
        else:
            low = middle
    return round(low - 1e-5, 5), round(high + 1e-5, 5)


def spectrum(kvp: int) -> np.ndarray:
    """Return photons / (mAs mm2) at 1 m in the bins [10, 11), ..., [139, 140) keV."""
    tube = spekpy.Spek(kvp=kvp, th=ANODE_ANGLE_DEG, dk=1.0, mas=1.0, z=100.0, physics="casim")
    tube.filter("Al", FILTER_AL_MM)
    centers, per_cm2_kev = tube.get_spectrum(edges=False)
    wanted = np.arange(FIRST_KEV, TUBE_VOLTAGES_KVP[-1]) + 0.5
    found = dict(zip(np.round(centers, 6), per_cm2_kev, strict=True))
    return np.array([found.get(round(center, 6), 0.0) / 100.0 for center in wanted])


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write one table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Write both tables."""
    grid, values = attenuation_rows()
    rows = [[f"{energy:.10g}", *(f"{v:.6g}" for v in row)] for energy, row in zip(grid, values, strict=True)]
    write_csv(RESOURCES / "mass_attenuation.csv", ["energy_kev", *ELEMENTS], rows)

    columns = [spectrum(kvp) for kvp in TUBE_VOLTAGES_KVP]
    bins = range(FIRST_KEV, TUBE_VOLTAGES_KVP[-1])
    rows = [[str(b), str(b + 1), *(f"{column[i]:.6g}" for column in columns)] for i, b in enumerate(bins)]
    write_csv(RESOURCES / "spectra.csv", ["from_kev", "to_kev", *(f"{k}kVp" for k in TUBE_VOLTAGES_KVP)], rows)


if __name__ == "__main__":
    main()
