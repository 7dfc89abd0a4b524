"""A patient's entry in a cohort: which image, which label map, from which site."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from FedSimCore.errors import InputError

Modality = Literal["CT", "MR"]
Role = Literal["train", "val", "test"]


class Case(BaseModel):
    """One patient.

    Attributes:
        id: unique in the cohort; becomes part of file names.
        image: NIfTI or NRRD file, DICOM folder or zip; None for a case that has only labels.
        label: NIfTI or NRRD label map; None for an unlabelled case.
        site: where the image was made, e.g. ``"CT20"``.
        modality: CT (voxels in HU) or MR.
        split: a role that the source fixes (most cohorts leave it to ``cohorts.splits``).
        fold: the fold in which the case is tested, where the source fixes it.
        scheme: how the label file's values name regions (``volumes.labels``): ``"fedsim"``, ``"mmwhs"``,
            ``"imagechd"`` or the path of a JSON file.
        group: diagnosis or any other grouping, e.g. ``"VSD+PDA"``.
        series: DICOM series UID, for an image folder with several series.
        center_mm: middle of the heart in RAS mm, for cropping an unlabelled case.
        spacing_mm: voxel spacing along i, j, k that replaces the header's, for files that lost it (ImageCHD).
        hu_offset: added to the image's values, for CT stored without its rescale intercept (ImageCHD: -1024).
        extra: further columns of the table, kept as text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    image: Path | None = None
    label: Path | None = None
    site: str = "site"
    modality: Modality = "CT"
    split: Role | None = None
    fold: int | None = Field(default=None, ge=0)
    scheme: str = "fedsim"
    group: str = ""
    series: str | None = None
    center_mm: tuple[float, float, float] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    hu_offset: float = 0.0
    extra: dict[str, str] = Field(default_factory=dict)

    @field_validator("spacing_mm")
    @classmethod
    def _spacing_is_positive(cls, spacing: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if spacing is not None and not min(spacing) > 0:
            raise ValueError("spacing_mm must be positive")
        return spacing

    @model_validator(mode="after")
    def _has_a_volume(self) -> Case:
        if self.image is None and self.label is None:
            raise ValueError("a case needs an image or a label map")
        return self


class Cohort(BaseModel):
    """An ordered set of cases with unique ids.

    Attributes:
        name: for titles and file names.
        cases: the patients, in the order of the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "cohort"
    cases: tuple[Case, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Cohort:
        twice = [name for name, count in Counter(case.id for case in self.cases).items() if count > 1]
        if twice:
            raise ValueError(f"the id {twice[0]} occurs more than once")
        return self

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites in the order in which they first occur."""
        return tuple(dict.fromkeys(case.site for case in self.cases))

    def of_site(self, site: str) -> tuple[Case, ...]:
        """Return the cases of one site.

        Raises:
            InputError: the cohort has no such site.
        """
        found = tuple(case for case in self.cases if case.site == site)
        if not found:
            raise InputError(f"The cohort {self.name} has no site {site!r}; its sites are {', '.join(self.sites)}.")
        return found

    def case(self, case_id: str) -> Case:
        """Return the case with this id.

        Raises:
            InputError: the cohort has no such case.
        """
        for case in self.cases:
            if case.id == case_id:
                return case
        raise InputError(f"The cohort {self.name} has no case {case_id!r}; `fedsim cohort show` lists its cases.")

    def checksum(self) -> str:
        """Return a SHA-256 of what a split depends on: ids, sites, groups, and who has an image and labels.

        It doesn't depend on the order of the cases or on where the files lie.
        """
        facts = sorted((c.id, c.site, c.group, c.image is not None, c.label is not None) for c in self.cases)
        return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()
