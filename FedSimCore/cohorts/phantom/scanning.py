"""How a site's scanner sees: contrast, kernel, noise and sampling, read from Resources/phantom/scanning.json.

Nothing here is shared with :mod:`FedSimCore.ct`: HU are painted from published numbers, not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from FedSimCore.cohorts.phantom.sites import Positive, Range, Row, read_table

COMPARTMENTS = ("left", "pa", "rv", "ra", "svc", "ivc", "myocardium", "veins", "organ", "mixing")


class IodineRanges(Row):
    """Iodine (mg/ml) by compartment at a time after injection; ``mixing`` is its unevenness in the right atrium."""

    left: Range
    pa: Range
    rv: Range
    ra: Range
    svc: Range
    ivc: Range
    myocardium: Range
    veins: Range
    organ: Range
    mixing: Range

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw the iodine of every compartment."""
        return {name: float(rng.uniform(*getattr(self, name))) for name in COMPARTMENTS}


class Phase(IodineRanges):
    """A contrast phase."""

    meaning: str


class Look(Row):
    """A scanner and its protocol.

    Attributes:
        meaning: one line for people.
        kvp: share of each tube voltage.
        phases: share of each contrast phase.
        matrix: voxels across the field of view.
        fov_mm: field of view for an adult; children's shrinks with the heart.
        slice_mm: slice spacing for an adult; it shrinks with the square root of the heart's size.
        orientation: directions in which voxel indices grow.
        psf_voxels: blur of the kernel, standard deviation.
        edge: overshoot of the kernel at edges, 0 none.
        noise_hu: standard deviation of the noise in the middle of the heart.
        noise_peak: spatial frequency at which the noise is strongest, as a share of the Nyquist frequency.
        streak_hu: strength of streaks from dense contrast in the superior vena cava.
        motion_mm: blur of the heart by its motion.
    """

    meaning: str
    kvp: dict[str, Positive]
    phases: dict[str, Positive]
    matrix: int = Field(ge=64, le=512)
    fov_mm: Range
    slice_mm: Range
    orientation: Literal["RAS", "LPS"]
    psf_voxels: Range
    edge: Range
    noise_hu: Range
    noise_peak: Range
    streak_hu: Range
    motion_mm: Range


class Scanning(Row):
    """The whole table."""

    schema_: str = Field(alias="schema")
    comment: str
    iodine_hu_per_mg_ml: dict[str, Positive]
    bone_factor: dict[str, Positive]
    tissue_hu: dict[str, float]
    phases: dict[str, Phase]
    looks: dict[str, Look]

    @model_validator(mode="after")
    def _names_are_known(self) -> Scanning:
        for look in self.looks.values():
            missing = (set(look.phases) - set(self.phases)) | (set(look.kvp) - set(self.iodine_hu_per_mg_ml))
            if missing:
                raise ValueError(f"a look names unknown phases or voltages: {sorted(missing)}")
        return self


@lru_cache(maxsize=1)
def scanning() -> Scanning:
    """Return the table of Resources/phantom/scanning.json."""
    return read_table("scanning.json", Scanning.model_validate)


@dataclass(frozen=True)
class Scan:
    """One scan: a draw from a :class:`Look`; units as there, and iodine in mg/ml by compartment."""

    kvp: str
    phase: str
    iodine: dict[str, float]
    fov_mm: float
    matrix: int
    slice_mm: float
    orientation: str
    psf_voxels: float
    edge: float
    noise_hu: float
    noise_peak: float
    streak_hu: float
    motion_mm: float

    def blood_hu(self, compartment: str) -> float:
        """Return the HU of blood in a compartment."""
        return self.enhanced_hu("blood", compartment)

    def enhanced_hu(self, tissue: str, compartment: str) -> float:
        """Return the HU of a tissue with the iodine of a compartment."""
        return self.tissue_hu(tissue) + self.iodine_slope * self.iodine[compartment]

    def tissue_hu(self, tissue: str) -> float:
        """Return the HU of a tissue without contrast; bone depends on the tube voltage."""
        hu = scanning().tissue_hu[tissue]
        return hu * scanning().bone_factor[self.kvp] if tissue.endswith("_bone") else hu

    @property
    def iodine_slope(self) -> float:
        """HU per mg/ml of iodine at this tube voltage."""
        return scanning().iodine_hu_per_mg_ml[self.kvp]


def draw_scan(look_name: str, length_scale: float, rng: np.random.Generator) -> Scan:
    """Draw a scan of a heart whose size is ``length_scale`` times that of a mean adult."""
    look = scanning().looks[look_name]
    kvp, phase_name = _choose(look.kvp, rng), _choose(look.phases, rng)
    iodine = scanning().phases[phase_name].draw(rng)
    # Doses are adapted so that low voltages don't come out far brighter: part of the difference stays.
    dose = (scanning().iodine_hu_per_mg_ml["120"] / scanning().iodine_hu_per_mg_ml[kvp]) ** 0.6
    return Scan(
        kvp=kvp,
        phase=phase_name,
        iodine={name: value * dose for name, value in iodine.items()},
        fov_mm=float(rng.uniform(*look.fov_mm)) * length_scale,
        matrix=look.matrix,
        slice_mm=float(rng.uniform(*look.slice_mm)) * max(length_scale, 0.3) ** 0.5,
        orientation=look.orientation,
        **{
            name: float(rng.uniform(*getattr(look, name)))
            for name in ("psf_voxels", "edge", "noise_hu", "noise_peak", "streak_hu", "motion_mm")
        },
    )


def _choose(shares: dict[str, float], rng: np.random.Generator) -> str:
    names, weights = list(shares), np.array(list(shares.values()))
    return names[rng.choice(len(names), p=weights / weights.sum())]
