"""How bright a scan's tissues are, drawn much more widely than any hospital's: domain randomisation within CT's laws.

Billot et al. 2023 (SynthSeg) draw a mean for every structure without regard to anything; here air, fat, bone and blood
keep their order, and blood gets the iodine of a phase, because CT numbers are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.scanning import IodineRanges
from FedSimCore.cohorts.phantom.sites import Range, Row
from FedSimCore.ct.surroundings import structures
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path

COUCH = 40
"""Label of what a patient lies on, in structure maps; above all of ``Resources/ct/surroundings.json``."""
STRUCTURES = 64
"""Length of tables by structure label."""
_MIXING = {"ra": 1.0, "rv": 0.4, "svc": 0.5, "ivc": 0.5}
"""How uneven the iodine is that caval veins bring, as a share of the phase's ``mixing``."""


class Phase(IodineRanges):
    """Iodine by compartment; with ``relative_to_left`` all but ``left`` are factors on it."""

    name: str
    share: float = Field(gt=0)
    relative_to_left: bool = False


class Tissue(Row):
    """HU without iodine, and the standard deviation (HU) of its texture."""

    hu: Range
    texture: float = Field(ge=0)


class Appearance(Row):
    """The table Resources/segmentation/appearance.json."""

    schema_: Literal["fedsim/segmentation-appearance/1"] = Field(alias="schema")
    comment: str = ""
    hu_per_mg_ml: Range
    phases: tuple[Phase, ...]
    tissues: dict[str, Tissue]
    structures: dict[str, tuple[str, str]]


@lru_cache(maxsize=1)
def appearance() -> Appearance:
    """Return the table of ranges."""
    return Appearance.model_validate(read_json(resource_path("segmentation/appearance.json")))


@dataclass(frozen=True)
class Contrast:
    """Iodine in one patient.

    Attributes:
        phase: its name.
        slope: HU for each mg/ml.
        iodine: mg/ml by compartment.
    """

    phase: str
    slope: float
    iodine: Mapping[str, float]


def draw_contrast(rng: np.random.Generator) -> Contrast:
    """Draw a phase and the iodine of every compartment."""
    table = appearance()
    shares = np.array([phase.share for phase in table.phases])
    phase = table.phases[int(rng.choice(len(shares), p=shares / shares.sum()))]
    iodine = phase.draw(rng)
    if phase.relative_to_left:
        iodine = {name: value * (1.0 if name == "left" else iodine["left"]) for name, value in iodine.items()}
    return Contrast(phase.name, float(rng.uniform(*table.hu_per_mg_ml)), iodine)


def draw_tissues(rng: np.random.Generator) -> dict[str, float]:
    """Draw the HU of every tissue without iodine."""
    return {name: float(rng.uniform(*tissue.hu)) for name, tissue in appearance().tissues.items()}


def structure_keys() -> dict[int, str]:
    """Return the key of every label of a structure map: the seven regions, what surrounds them, and the couch."""
    keys = {region.label: region.key for region in anatomy.regions()}
    keys |= {structure.label: structure.key for structure in structures()}
    return {**keys, COUCH: "couch"}


def draw_look(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw how a structure map looks.

    Returns:
        (STRUCTURES,) mean HU and (STRUCTURES,) standard deviation of the texture in HU, by label.
    """
    table, contrast, tissues = appearance(), draw_contrast(rng), draw_tissues(rng)
    mean = np.full(STRUCTURES, tissues["air"], dtype=np.float32)
    texture = np.full(STRUCTURES, table.tissues["air"].texture, dtype=np.float32)
    for label, key in structure_keys().items():
        tissue, compartment = table.structures[key]
        mean[label] = tissues[tissue] + contrast.slope * contrast.iodine.get(compartment, 0.0)
        texture[label] = table.tissues[tissue].texture * rng.uniform(0.3, 1.5)
        if compartment in _MIXING:
            texture[label] += _MIXING[compartment] * contrast.slope * contrast.iodine["mixing"] * rng.uniform(0.2, 1.0)
    return mean, texture
