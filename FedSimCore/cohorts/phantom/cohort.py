"""A whole cohort of phantoms, written to a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.phantom.compare import Row, as_json, compare
from FedSimCore.cohorts.phantom.model import Phantom, make_phantom
from FedSimCore.cohorts.phantom.sites import site as find_site
from FedSimCore.cohorts.table import write_cohort
from FedSimCore.errors import InputError
from FedSimCore.files import write_json
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map, write_volume

# Phantom number i of a cohort with seed s is make_phantom(site, s * SEEDS_PER_COHORT + i).
SEEDS_PER_COHORT = 10_000


@dataclass(frozen=True)
class PhantomCohort:
    """What :func:`make_cohort` made.

    Attributes:
        table: path of cohort.csv.
        facts: truth of each case.
        comparison: the cohort beside the norms.
    """

    table: Path
    facts: tuple[dict[str, Any], ...]
    comparison: tuple[Row, ...]


def make_cohort(
    site: str, n: int, seed: int, out: Path, progress: Progress = silent, *, spacing_mm: float | None = None
) -> PhantomCohort:
    """Make phantoms of one site and write them to a folder.

    Writes ``images/ID.nii.gz`` (HU, int16), ``labels/ID.nii.gz`` (uint8), ``truth/ID.json`` (what is true of the
    case), ``cohort.csv`` and ``comparison.json`` (the cohort beside the norms).

    Args:
        site: name or alias of a site.
        n: number of patients.
        seed: of the cohort; see :data:`SEEDS_PER_COHORT` for how cases follow from it.
        out: folder, made if missing.
        progress: told after each case.
        spacing_mm: edge of cubic voxels instead of the scanner's own.

    Raises:
        InputError: unknown site, n not in 1 to 10000, a negative seed, or a spacing not in 0.3 to 5 mm.
        DiskError: the folder cannot be written.
    """
    name = find_site(site).name
    if not 1 <= n <= SEEDS_PER_COHORT:
        raise InputError(f"A phantom cohort cannot have {n} patients; give 1 to {SEEDS_PER_COHORT}.")
    if seed < 0:
        raise InputError(f"The seed of a phantom cohort is {seed}; give a whole number from 0 on.")
    out, cases, facts, coarse = Path(out), [], [], []
    for number in range(n):
        progress(number, n, f"{name} phantoms")
        phantom = make_phantom(name, seed * SEEDS_PER_COHORT + number, spacing_mm=spacing_mm)
        cases.append(_write(phantom, f"{name}-s{seed}-{number:03d}", out))
        facts.append(phantom.facts)
        coarse.append(_thinned(phantom.label))
    progress(n, n, f"{name} phantoms")
    comparison = compare(facts, coarse)
    write_json(out / "comparison.json", {"site": name, "seed": seed, "rows": as_json(comparison)})
    table = write_cohort(Cohort(name=f"{name} phantoms", cases=tuple(cases)), out)
    return PhantomCohort(table, tuple(facts), tuple(comparison))


def _write(phantom: Phantom, case_id: str, out: Path) -> Case:
    image, label = out / "images" / f"{case_id}.nii.gz", out / "labels" / f"{case_id}.nii.gz"
    write_volume(phantom.image, image, dtype="int16")
    write_label_map(phantom.label, label)
    write_json(out / "truth" / f"{case_id}.json", phantom.facts)
    return Case(id=case_id, image=image, label=label, site=phantom.facts["site"], group=phantom.facts["variant"])


def _thinned(label: Volume) -> Volume:
    """Keep every n-th voxel, about 2 mm apart: enough for the variance profile."""
    steps = np.maximum(np.round(2.0 / label.grid.spacing_mm), 1).astype(int)
    array = label.array[tuple(slice(None, None, int(step)) for step in steps)].copy()
    return Volume(array, Grid(array.shape, label.grid.affine @ np.diag([*steps.astype(float), 1.0])))
