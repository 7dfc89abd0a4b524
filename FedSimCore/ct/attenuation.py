"""Mass attenuation of the elements, from the shipped table.

``Resources/ct/mass_attenuation.csv`` was made with xraylib by ``Testing/tools/make_ct_tables.py``: every keV from
10 to 150, and two rows at each K or L edge, one just below and one just above. Between rows the coefficients are
power laws of the energy to good accuracy, so interpolation is linear in log-log.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path

Array = NDArray[np.float64]


@lru_cache(maxsize=1)
def _table() -> tuple[Array, dict[str, Array]]:
    """Return ln(energy / keV) and, for each element, ln(cm2/g)."""
    with resource_path("ct/mass_attenuation.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    logs = np.log(np.array(rows, dtype=np.float64))
    return logs[:, 0], {symbol: logs[:, column] for column, symbol in enumerate(header) if column > 0}


def elements() -> tuple[str, ...]:
    """Return the symbols of the elements in the table."""
    return tuple(_table()[1])


def energy_range_kev() -> tuple[float, float]:
    """Return the lowest and highest photon energy (keV) of the table."""
    log_energy = _table()[0]
    return float(np.exp(log_energy[0])), float(np.exp(log_energy[-1]))


def mass_attenuation(symbols: Sequence[str], energies_kev: ArrayLike) -> Array:
    """Return total mass attenuation with coherent scattering.

    Args:
        symbols: chemical symbols, e.g. ``["H", "O"]``.
        energies_kev: photon energies (E,), keV.

    Returns:
        (elements, E) in cm2/g.

    Raises:
        InputError: an element is not in the table, or an energy lies outside it.
    """
    log_energy, columns = _table()
    energies = np.atleast_1d(np.asarray(energies_kev, dtype=np.float64))
    low, high = energy_range_kev()
    # A rounding error wide: the ends of the table are themselves allowed.
    if not np.all((energies >= low * (1 - 1e-9)) & (energies <= high * (1 + 1e-9))):
        raise InputError(f"Photon energies must lie between {low:g} and {high:g} keV, not {energies.min():g}-"
                         f"{energies.max():g} keV.")  # fmt: skip
    unknown = [symbol for symbol in symbols if symbol not in columns]
    if unknown:
        raise InputError(f"There is no attenuation for element {unknown[0]!r}; known are {', '.join(columns)}.")
    wanted = np.log(energies)
    return np.exp(np.stack([np.interp(wanted, log_energy, columns[symbol]) for symbol in symbols]))
