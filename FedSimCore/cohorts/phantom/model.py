"""Phantoms by site and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from FedSimCore.cohorts.phantom.image import paint
from FedSimCore.cohorts.phantom.labels import HeartFields, heart_fields, heart_grid, label_array
from FedSimCore.cohorts.phantom.measure import facts
from FedSimCore.cohorts.phantom.patient import Patient, draw_patient
from FedSimCore.cohorts.phantom.sites import site as find_site
from FedSimCore.errors import InputError
from FedSimCore.volumes import Volume


@dataclass(frozen=True)
class Phantom:
    """One patient that never was.

    Attributes:
        image: CT in HU, float32.
        label: the seven regions, uint8, on the image's grid.
        facts: what is true of it: person, variant, volumes (ml), wall (mm), diameters (mm), numbers of form.
    """

    image: Volume
    label: Volume
    facts: dict[str, Any]


def make_phantom(site: str, seed: int, *, variant: str | None = None, spacing_mm: float | None = None) -> Phantom:
    """Make the phantom of a site and seed; the same arguments give the same voxels.

    Args:
        site: name or alias of a site of Resources/phantom/sites.json.
        seed: any non-negative whole number.
        variant: forces the kind of heart instead of drawing it from the site's shares.
        spacing_mm: voxel size; by default 0.9 mm for an adult, less for a child.

    Raises:
        InputError: unknown site or variant, negative seed, or a spacing that is not in 0.3 to 5 mm.
    """
    patient, fields = _prepare(site, seed, variant, spacing_mm)
    label = Volume(label_array(patient, fields.grid, fields.carved.regions), fields.grid)
    return Phantom(paint(patient, fields, label), label, facts(patient, label))


def make_label_map(site: str, seed: int, *, variant: str | None = None, spacing_mm: float | None = None) -> Volume:
    """Make only the label map of :func:`make_phantom`, in a fraction of the time; same arguments and errors."""
    patient, fields = _prepare(site, seed, variant, spacing_mm)
    return Volume(label_array(patient, fields.grid, fields.carved.regions), fields.grid)


def _prepare(site: str, seed: int, variant: str | None, spacing_mm: float | None) -> tuple[Patient, HeartFields]:
    if seed < 0:
        raise InputError(f"The seed of a phantom is {seed}; give a whole number from 0 on.")
    if spacing_mm is not None and not 0.3 <= spacing_mm <= 5:
        raise InputError(f"A phantom cannot be made at a spacing of {spacing_mm} mm; give 0.3 to 5 mm.")
    patient = draw_patient(find_site(site), seed, variant)
    grid = heart_grid(patient, spacing_mm or max(0.45, 0.9 * patient.scale))
    return patient, heart_fields(patient, grid)
