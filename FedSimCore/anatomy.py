"""The seven regions of the heart, read once from ``Resources/anatomy/regions.json``.

Everything that needs a region's name, label value, colour or code asks here. Importing this module
imports no torch.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path


class Code(BaseModel):
    """A term of a coding scheme, e.g. SNOMED CT 87878005 "Left ventricle"."""

    model_config = ConfigDict(frozen=True)
    scheme: str
    value: str
    meaning: str


class Region(BaseModel):
    """One of the seven regions.

    Attributes:
        key: short identifier used in tables and file names, e.g. ``"lv"``.
        name: English name as a clinician writes it.
        label: value in FedSim's label maps, 1 to 7.
        priority: where closed surfaces overlap, the region with the lowest number wins.
        mmwhs: label values in MM-WHS files (500, 205, ...; the left atrium has the stray 421 as well as 420).
        imagechd: label values in ImageCHD files.
        code: SNOMED CT structure code.
        color: RGB, 0 to 255; red for oxygenated blood, blue for deoxygenated.
        tissue: default tissue of the CT simulator.
    """

    model_config = ConfigDict(frozen=True)
    key: str
    name: str
    label: int = Field(ge=1, le=255)
    priority: int
    mmwhs: tuple[int, ...]
    imagechd: tuple[int, ...]
    code: Code
    color: tuple[int, int, int]
    tissue: str


BACKGROUND = 0


@lru_cache(maxsize=1)
def regions() -> tuple[Region, ...]:
    """Return the seven regions in the order of their labels."""
    entries = read_json(resource_path("anatomy/regions.json"))["regions"]
    return tuple(sorted((Region.model_validate(entry) for entry in entries), key=lambda r: r.label))


def region(key: str) -> Region:
    """Return the region with this key.

    Raises:
        InputError: no region has it.
    """
    for candidate in regions():
        if candidate.key == key:
            return candidate
    known = ", ".join(r.key for r in regions())
    raise InputError(f"There is no region {key!r}; the regions are {known}.")


def labels() -> tuple[int, ...]:
    """Return the label values of the seven regions in ascending order."""
    return tuple(r.label for r in regions())
