"""Phantoms by site and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from FedSimCore.cohorts.phantom.image import painted, scanned
from FedSimCore.cohorts.phantom.labels import carved_on, label_array, scan_grid
from FedSimCore.cohorts.phantom.measure import facts
from FedSimCore.cohorts.phantom.patient import Patient, draw_patient
from FedSimCore.cohorts.phantom.sites import site as find_site
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Grid, Volume


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


def make_phantom(
    site: str,
    seed: int,
    *,
    variant: str | None = None,
    spacing_mm: float | None = None,
    progress: Progress = silent,
) -> Phantom:
    """Make the phantom of a site and seed; the same arguments give the same voxels.

    Args:
        site: name or alias of a site of Resources/phantom/sites.json.
        seed: any non-negative whole number.
        variant: forces the kind of heart instead of drawing it from the site's shares.
        spacing_mm: edge of cubic voxels; by default the scanner's own voxels (0.95 mm for an adult, less for a child).
        progress: told before each step, in tenths of the time that all take.

    Raises:
        InputError: unknown site or variant, negative seed, or a spacing that is not in 0.3 to 5 mm.
    """
    progress(0, 10, "drawing the patient")
    patient, grid = _prepare(site, seed, variant, spacing_mm)
    progress(1, 10, "carving the heart")
    carved = carved_on(patient, grid)
    label = Volume(label_array(patient, grid, carved), grid)
    progress(3, 10, "painting heart and chest")
    ideal = painted(patient, grid, carved)
    progress(8, 10, "scanning")
    image = Volume(scanned(patient, grid, carved, ideal), grid)
    progress(9, 10, "measuring")
    orientation = patient.scan.orientation
    made = Phantom(_oriented(image, orientation), _oriented(label, orientation), facts(patient, label, image))
    progress(10, 10, "measuring")
    return made


def make_label_map(site: str, seed: int, *, variant: str | None = None, spacing_mm: float | None = None) -> Volume:
    """Make only the label map of :func:`make_phantom`, in a fraction of the time; same arguments and errors."""
    patient, grid = _prepare(site, seed, variant, spacing_mm)
    label = Volume(label_array(patient, grid, carved_on(patient, grid)), grid)
    return _oriented(label, patient.scan.orientation)


def _prepare(site: str, seed: int, variant: str | None, spacing_mm: float | None) -> tuple[Patient, Grid]:
    if seed < 0:
        raise InputError(f"The seed of a phantom is {seed}; give a whole number from 0 on.")
    if spacing_mm is not None and not 0.3 <= spacing_mm <= 5:
        raise InputError(f"A phantom cannot be made at a spacing of {spacing_mm} mm; give 0.3 to 5 mm.")
    patient = draw_patient(find_site(site), seed, variant)
    return patient, scan_grid(patient, spacing_mm)


def _oriented(volume: Volume, orientation: str) -> Volume:
    """Store a RAS volume with its first two axes reversed where the scanner writes LPS; the world stays the same."""
    if orientation == "RAS":
        return volume
    last = volume.grid.to_world(np.array([volume.grid.shape[0] - 1, volume.grid.shape[1] - 1, 0]))
    affine = volume.grid.affine @ np.diag([-1.0, -1, 1, 1])
    affine[:3, 3] = last
    return Volume(np.ascontiguousarray(volume.array[::-1, ::-1]), Grid(volume.grid.shape, affine))
