"""Tissues: elemental composition, density and iodine, and the attenuation that follows from them.

Compositions are those of ICRU Reports 44 and 46 and ICRP Publication 23; each entry of ``Resources/ct/tissues.json``
names its source. The linear attenuation follows the mixture rule; iodine is added on top and displaces nothing (at
20 mg/ml it takes 0.4 % of the volume)::

    mu(E) = density * sum_z w_z (mu/rho)_z(E) + iodine * (mu/rho)_I(E)

No torch here: the Slicer module shows tissues in its own process.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, field_validator

from FedSimCore.anatomy import regions
from FedSimCore.ct.attenuation import elements, mass_attenuation
from FedSimCore.ct.schema import STRICT, checked, read_table
from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path

Array = NDArray[np.float64]

FRACTION_TOLERANCE = 0.005
"""How far mass fractions, which the ICRU rounds to 0.1 %, may be from summing to 1."""

GRAMS_PER_MILLIGRAM = 1e-3

DENSITY_LIMITS_G_CM3 = (0.0, 25.0)
"""From vacuum to beyond the densest metal (osmium, 22.6 g/cm3)."""

IODINE_LIMITS_MG_ML = (0.0, 400.0)
"""Up to an undiluted contrast agent (iomeprol 400)."""


class Tissue(BaseModel):
    """A material the simulator knows.

    Attributes:
        key: identifier, e.g. ``"blood_left"``.
        name: English name.
        density_g_cm3: density without contrast agent, g/cm3.
        mass_fractions: share of each element by mass, summing to 1.
        iodine_mg_ml: iodine of the contrast agent, mg per ml of tissue.
        source: where composition and density are from.

    Raises:
        pydantic.ValidationError: the density or iodine is negative, an element is unknown, a fraction
            is negative, or the fractions do not sum to 1.
    """

    model_config = STRICT
    key: str = Field(min_length=1)
    name: str = ""
    density_g_cm3: float = Field(ge=DENSITY_LIMITS_G_CM3[0], le=DENSITY_LIMITS_G_CM3[1])
    mass_fractions: dict[str, float]
    iodine_mg_ml: float = Field(default=0.0, ge=IODINE_LIMITS_MG_ML[0], le=IODINE_LIMITS_MG_ML[1])
    source: str = ""

    @field_validator("mass_fractions")
    @classmethod
    def _is_a_composition(cls, fractions: dict[str, float]) -> dict[str, float]:
        known = elements()
        for symbol, fraction in fractions.items():
            if symbol not in known:
                raise ValueError(f"element {symbol!r} is not in the attenuation table ({', '.join(known)})")
            if fraction < 0:
                raise ValueError(f"the fraction of {symbol} is negative ({fraction})")
        total = sum(fractions.values())
        if abs(total - 1) > FRACTION_TOLERANCE:
            raise ValueError(f"the mass fractions sum to {total:.4g} instead of 1")
        return fractions

    def mass_attenuation(self, energies_kev: ArrayLike) -> Array:
        """Return (E,) cm2/g of the tissue without iodine."""
        return np.array(list(self.mass_fractions.values())) @ mass_attenuation([*self.mass_fractions], energies_kev)

    def attenuation(self, energies_kev: ArrayLike) -> Array:
        """Return the linear attenuation (E,) in 1/cm at these photon energies (keV)."""
        iodine_g_cm3 = self.iodine_mg_ml * GRAMS_PER_MILLIGRAM
        iodine = mass_attenuation(["I"], energies_kev)[0]
        return self.density_g_cm3 * self.mass_attenuation(energies_kev) + iodine_g_cm3 * iodine

    def with_iodine(self, mg_ml: float) -> Tissue:
        """Return the tissue with another iodine concentration (mg/ml)."""
        return checked(Tissue, {**self.model_dump(), "iodine_mg_ml": mg_ml}, f"tissue {self.key}")


class ContrastPhase(BaseModel):
    """When after the injection the scan is made: the iodine in each tissue.

    Attributes:
        key: identifier, e.g. ``"arterial"``.
        name: English name.
        iodine_mg_ml: iodine by tissue key, mg/ml; a tissue that is not named keeps its own.
    """

    model_config = STRICT
    key: str
    name: str
    iodine_mg_ml: dict[str, float]


def read_tissues(path: Path) -> dict[str, Tissue]:
    """Read a table of tissues (schema ``fedsim/tissues/1``), by key.

    Raises:
        InputError: the file is missing or of another kind, or a tissue in it is impossible.
    """
    entries = (
        checked(Tissue, e, f"{path}, tissue {i}") for i, e in enumerate(read_table(path, "fedsim/tissues/1", "tissues"))
    )
    return {tissue.key: tissue for tissue in entries}


@lru_cache(maxsize=1)
def _shipped_tissues() -> dict[str, Tissue]:
    return read_tissues(resource_path("ct/tissues.json"))


@lru_cache(maxsize=1)
def contrast_phases() -> Mapping[str, ContrastPhase]:
    """Return the shipped contrast phases by key."""
    path = resource_path("ct/contrast_phases.json")
    entries = read_table(path, "fedsim/contrast_phases/1", "phases")
    return {p.key: p for p in (checked(ContrastPhase, entry, path) for entry in entries)}


def tissues(phase: str = "none") -> dict[str, Tissue]:
    """Return the shipped tissues by key, with the iodine of a contrast phase.

    Raises:
        InputError: there is no such phase.
    """
    known = contrast_phases()
    if phase not in known:
        raise InputError(f"There is no contrast phase {phase!r}; the phases are {', '.join(known)}.")
    iodine = known[phase].iodine_mg_ml
    return {key: t.with_iodine(iodine[key]) if key in iodine else t for key, t in _shipped_tissues().items()}


def tissue(key: str, phase: str = "none") -> Tissue:
    """Return one shipped tissue.

    Raises:
        InputError: there is no such tissue or phase.
    """
    known = tissues(phase)
    if key not in known:
        raise InputError(f"There is no tissue {key!r}; the tissues are {', '.join(known)}.")
    return known[key]


def changed_tissue(
    base: str,
    phase: str = "none",
    *,
    density_g_cm3: float | str | None = None,
    iodine_mg_ml: float | str | None = None,
    what: str = "the tissue",
) -> Tissue:
    """Return a shipped tissue with another density or iodine, as people enter them.

    Args:
        base: key of a shipped tissue.
        phase: contrast phase that gives the iodine where it is not given here.
        density_g_cm3: None for the base tissue's; a text may have a decimal comma.
        iodine_mg_ml: None for what the phase gives the base tissue; a text likewise.
        what: whose tissue it is, for the message, e.g. ``"the left ventricle"``.

    Raises:
        InputError: there is no such tissue or phase, or a value is no number or beyond its limits; the sentence names
            value, limits and examples.
    """
    given: dict[str, float] = {}
    if density_g_cm3 is not None:
        water_and_bone = "g/cm³ (water has 1, cortical bone 1.92)"
        given["density_g_cm3"] = _within(
            density_g_cm3, DENSITY_LIMITS_G_CM3, f"The density of {what}", "g/cm³", water_and_bone
        )
    if iodine_mg_ml is not None:
        blood = "mg/ml (blood has 0 without contrast agent, 5 to 20 with it)"
        given["iodine_mg_ml"] = _within(iodine_mg_ml, IODINE_LIMITS_MG_ML, f"The iodine of {what}", "mg/ml", blood)
    return tissue(base, phase).model_copy(update=given)


def _within(value: float | str, limits: tuple[float, float], what: str, unit: str, unit_with_examples: str) -> float:
    wanted = f"give {limits[0]:g} to {limits[1]:g} {unit_with_examples}"
    try:
        number = float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except ValueError:
        raise InputError(f"{what} is {value!r}, which is no number; {wanted}.") from None
    if not limits[0] <= number <= limits[1]:
        raise InputError(f"{what} cannot be {number:g} {unit}; {wanted}.")
    return number


def label_in_words(label: int) -> str:
    """Return how messages call a label, e.g. ``"label 3 (Right ventricle)"``."""
    names = {region.label: region.name for region in regions()}
    return f"label {label} ({names[label]})" if label in names else f"label {label}"


def region_tissues() -> dict[int, str]:
    """Return the default tissue key of each of the seven heart regions, by label value."""
    return {region.label: region.tissue for region in regions()}
