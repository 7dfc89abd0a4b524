"""Artifacts that hold patients: phantoms, crops on the working grid, and the tables that trainings read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from FedSimCore.cohorts import Case, Cohort, load_case, read_table, write_cohort
from FedSimCore.cohorts.cropping import crop_cohort
from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Artifact, Bench
from FedSimCore.volumes.crop import heart_box_mm


@dataclass(frozen=True, eq=False)
class Phantoms(Artifact):
    """A site's procedural patients.

    Attributes:
        site: of the phantoms.
        count: patients.
        seed: of the cohort.
        spacing_mm: of the voxels; None: the scanner's.
    """

    site: str
    count: int
    seed: int
    spacing_mm: float | None
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"phantoms-{self.site}"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Nothing."""
        return ()

    @property
    def content(self) -> Mapping[str, Any]:
        """What decides the patients."""
        return {"site": self.site, "count": self.count, "seed": self.seed, "spacing_mm": self.spacing_mm}

    def cohort(self) -> Cohort:
        """Return the patients that will be, without their files."""
        names = [f"{self.site}-s{self.seed}-{number:03d}" for number in range(self.count)]
        files = {name: Path(f"{name}.nii.gz") for name in names}
        cases = [Case(id=name, image=file, label=file, site=self.site) for name, file in files.items()]
        return Cohort(name=f"{self.site} phantoms", cases=tuple(cases))

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Make the patients."""
        from FedSimCore.cohorts.phantom import make_cohort

        make_cohort(self.site, self.count, self.seed, folder / self.result, bench.progress, spacing_mm=self.spacing_mm)
        return {"cases": self.count}


@dataclass(frozen=True, eq=False)
class GivenCases(Artifact):
    """Patients of a user's cohort; only their entries are kept, their files stay where they are.

    Attributes:
        site: the experiment's name of the site.
        cases: with that site.
    """

    site: str
    cases: tuple[Case, ...]
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"given-{self.site}".replace(" ", "-")

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Nothing."""
        return ()

    @property
    def content(self) -> Mapping[str, Any]:
        """Entries of the cases, and sizes and times of their files: to read gigabytes each time would take minutes."""
        return {"cases": [_entry(case) for case in self.cases]}

    def cohort(self) -> Cohort:
        """Return the patients."""
        return Cohort(name=self.site, cases=self.cases)

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:  # noqa: ARG002
        """Write the table."""
        write_cohort(self.cohort(), folder / self.result)
        return {"cases": len(self.cases)}


def _entry(case: Case) -> dict[str, Any]:
    files = [path for path in (case.image, case.label) if path is not None]
    missing = [path for path in files if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} of case {case.id} does not exist; correct the cohort's table.")
    stats = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    return {"case": case.model_dump(mode="json", exclude={"image", "label", "extra"}), "files": stats}


@dataclass(frozen=True, eq=False)
class Crops(Artifact):
    """Patients on the working grid round their hearts.

    Attributes:
        source: the patients.
        size: voxels along each side.
        spacing_mm: between voxels.
    """

    source: Phantoms | GivenCases
    size: int
    spacing_mm: float
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"crops-{self.source.site}".replace(" ", "-")

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """The patients."""
        return (self.source,)

    @property
    def content(self) -> Mapping[str, Any]:
        """The working grid."""
        return {"size": self.size, "spacing_mm": self.spacing_mm}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Crop; what is cropped already stays."""
        cohort = read_table(bench.result(self.source) / "cohort.csv")
        centred = tuple(self._centred(case) for case in cohort.cases)
        cohort = Cohort(name=cohort.name, cases=centred)
        made = crop_cohort(cohort, folder / self.result, self.size, self.spacing_mm, progress=bench.progress)
        if made.failures:
            case, reason = next(iter(made.failures.items()))
            raise InputError(
                f"{len(made.failures)} of {len(cohort.cases)} cases cannot be used, first {case}: {reason} "
                "(the grid's size and spacing_mm stand in the scale's file)."
            )
        return {"cases": len(made.cohort.cases)}

    def _centred(self, case: Case) -> Case:
        """Return a case with the grid's middle at a whole multiple of the spacing.

        Generated hearts lie on a grid round the origin. Crops whose voxels lie on the same lattice are sampled as they
        are when a segmenter brings both onto its own, so that blur does not tell the one from the other.
        """
        if case.label is None:
            return case
        label = load_case(case.model_copy(update={"image": None})).label
        assert label is not None
        middle = np.round(heart_box_mm(label).mean(axis=0) / self.spacing_mm) * self.spacing_mm
        return case.model_copy(update={"center_mm": tuple(float(value) for value in middle)})


@dataclass(frozen=True, eq=False)
class CaseTable(Artifact):
    """A table of who trains and who validates, for one training; nobody else is in it.

    Attributes:
        site: of the cases.
        crops: of the site.
        shown: ids of training cases with their labels.
        hidden: ids of training cases whose labels are left out.
        val: ids of validation cases.
        synthetic: a cohort of hearts that train, beside or instead of the shown ones.
    """

    site: str
    crops: Crops
    shown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    synthetic: Artifact | None = None

    @property
    def title(self) -> str:
        """Name for people."""
        return f"table-{self.site}".replace(" ", "-")

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Crops and synthetic hearts."""
        return (self.crops,) if self.synthetic is None else (self.crops, self.synthetic)

    @property
    def content(self) -> Mapping[str, Any]:
        """Who is in it."""
        return {"shown": self.shown, "hidden": self.hidden, "val": self.val}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Write the table."""
        cases = []
        known = read_table(bench.result(self.crops) / "cohort.csv")
        for names, update in (
            (self.shown, {"split": "train"}),
            (self.hidden, {"split": "train", "label": None}),
            (self.val, {"split": "val"}),
        ):
            cases += [known.case(name).model_copy(update={**update, "fold": None}) for name in names]
        if self.synthetic is not None:
            made = read_table(bench.result(self.synthetic) / "cohort.csv")
            cases += [case.model_copy(update={"split": "train", "site": self.site}) for case in made.cases]
        write_cohort(Cohort(name=self.site, cases=tuple(cases)), folder)
        return {"train": len(self.shown), "unlabelled": len(self.hidden), "val": len(self.val)}


def cases_of(bench: Bench, crops: Crops, names: Sequence[str]) -> list[Case]:
    """Return cases of finished crops by their ids.

    Raises:
        InputError: the table is damaged, or a case is not in it.
    """
    known = read_table(bench.result(crops) / "cohort.csv")
    return [known.case(name) for name in names]
