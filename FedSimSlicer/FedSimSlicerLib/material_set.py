"""What the seven regions are made of: defaults, changes, HU, and files of them. No Qt, no torch.

A material set is a JSON file of schema ``fedsim/materials/1``::

    {"schema": "fedsim/materials/1", "phase": "venous",
     "regions": {"lv": {"base": "blood_left", "density_g_cm3": 1.06, "iodine_mg_ml": 2.1}, ...}}

A region that is not named has its default tissue; density and iodine that are not given are those of the base tissue in
that contrast phase.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_validator

from FedSimCore.anatomy import Region, region, regions
from FedSimCore.ct.materials import Tissue, changed_tissue, contrast_phases, tissue
from FedSimCore.ct.schema import STRICT, checked
from FedSimCore.errors import InputError
from FedSimCore.files import read_json, write_json
from FedSimCore.worker.protocol import Material

SCHEMA = "fedsim/materials/1"


class MaterialSet(BaseModel):
    """Tissues of the regions in a contrast phase.

    Attributes:
        phase: key of a contrast phase.
        regions: by key of the region, e.g. ``"lv"``.
    """

    model_config = STRICT
    phase: str
    regions: dict[str, Material] = {}

    @field_validator("phase")
    @classmethod
    def _is_shipped(cls, phase: str) -> str:
        if phase not in contrast_phases():
            raise ValueError(f"there is no such contrast phase; choose {', '.join(contrast_phases())}")
        return phase

    @field_validator("regions")
    @classmethod
    def _are_regions(cls, materials: dict[str, Material]) -> dict[str, Material]:
        known = [each.key for each in regions()]
        for key in materials:
            if key not in known:
                raise ValueError(f"there is no region {key!r}; the regions are {', '.join(known)}")
        return materials

    def by_label(self) -> dict[int, Material]:
        """Return the materials that differ from the regions' defaults, by label."""
        changed = {region(key).label: changes(region(key), each, self.phase) for key, each in self.regions.items()}
        return {label: each for label, each in changed.items() if each is not None}


def in_sentence(named: Region) -> str:
    """Return a region's name as it stands within a sentence, e.g. ``"the left ventricle"``."""
    return f"the {named.name.lower()}"


def tissue_of(of: Region, material: Material | None, phase: str) -> Tissue:
    """Return what a region is made of.

    Args:
        of: the region.
        material: what the user made of it; None for the default.
        phase: contrast phase.

    Raises:
        InputError: no tissue is like that; the sentence names region, value and limits.
    """
    material = material or Material(base=of.tissue)
    return changed_tissue(
        material.base,
        phase,
        density_g_cm3=material.density_g_cm3,
        iodine_mg_ml=material.iodine_mg_ml,
        what=in_sentence(of),
    )


def changes(of: Region, material: Material, phase: str) -> Material | None:
    """Return ``material`` with only what differs from the base tissue in this phase; None if it is the default."""
    own = tissue(material.base, phase)
    reduced = Material(
        base=material.base,
        density_g_cm3=None if material.density_g_cm3 == own.density_g_cm3 else material.density_g_cm3,
        iodine_mg_ml=None if material.iodine_mg_ml == own.iodine_mg_ml else material.iodine_mg_ml,
    )
    return None if reduced == Material(base=of.tissue) else reduced


def without_iodine(materials: dict[int, Material]) -> dict[int, Material]:
    """Return the materials with the iodine of the contrast phase; regions that are their default then are left out."""
    reduced = {label: each.model_copy(update={"iodine_mg_ml": None}) for label, each in materials.items()}
    defaults = {each.label: Material(base=each.tissue) for each in regions()}
    return {label: each for label, each in reduced.items() if each != defaults.get(label)}


def write_material_set(path: Path, materials: dict[int, Material], phase: str) -> None:
    """Write what all seven regions are made of, in numbers; atomically.

    Raises:
        DiskError: the file cannot be written.
    """
    rows: dict[str, Any] = {}
    for each in regions():
        made = tissue_of(each, materials.get(each.label), phase)
        rows[each.key] = {"base": made.key, "density_g_cm3": made.density_g_cm3, "iodine_mg_ml": made.iodine_mg_ml}
    write_json(path, {"schema": SCHEMA, "phase": phase, "regions": rows})


def read_material_set(path: Path) -> MaterialSet:
    """Read a material set.

    Raises:
        InputError: the file is missing, no JSON or of another schema, or names what no tissue can be; the sentence
            names file, field and value.
    """
    content = read_json(path)
    found = content.pop("schema", None) if isinstance(content, dict) else None
    if found != SCHEMA:
        raise InputError(f"{path} says schema {found!r} where {SCHEMA!r} is needed; choose a saved material set.")
    materials = checked(MaterialSet, content, path)
    try:
        for key, material in materials.regions.items():
            tissue_of(region(key), material, materials.phase)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return materials
