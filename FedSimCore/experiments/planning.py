"""From an experiment to its cells, and from a cell to everything that has to be made for it. Nothing is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from FedSimCore.cohorts import Case, read_cohort
from FedSimCore.cohorts.splits import make_splits
from FedSimCore.errors import InputError
from FedSimCore.experiments.cases import Crops, GivenCases, Phantoms
from FedSimCore.experiments.columns import Column, SiteData, plan_site_method
from FedSimCore.experiments.definition import Experiment, Method, Site
from FedSimCore.experiments.federated_columns import plan_direct_fl, plan_sim_fl
from FedSimCore.experiments.scale import Scale
from FedSimCore.experiments.segmenters import Scores, Segmentations
from FedSimCore.experiments.trained import Trained

PHANTOM_SEED = 20
"""Of the phantoms that stand in for patients; far from those that the shipped shape model was made of."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One number of a table: a method, on a site, with so many labels, in a fold.

    Attributes:
        site: key of the site whose segmenter is trained.
        labelled: label size.
        fold: from 0.
        method: key.
        patients: key of the site whose patients are segmented.
        scores: what has to be made.
    """

    site: str
    labelled: int
    fold: int
    method: str
    patients: str
    scores: Scores

    @property
    def column(self) -> str:
        """Name of the table's column."""
        own = f"{self.site}/{self.labelled}"
        return own if self.patients == self.site else f"{own}<{self.patients}"

    @property
    def name(self) -> str:
        """SITE/LABELS/FOLD/METHOD, with the other site's name where the patients are of another."""
        parts = [self.site, str(self.labelled), str(self.fold), self.method]
        return "/".join(parts if self.patients == self.site else [*parts, self.patients])


@dataclass(frozen=True, eq=False)
class Plan:
    """An experiment at a scale, on some patients.

    Attributes:
        experiment: what is asked.
        scale: at which size.
        sites: by key.
        folds: that are run.
        cells: all of them, the cheapest informative order: fold by fold, and within it site by site.
    """

    experiment: Experiment
    scale: Scale
    sites: Mapping[str, SiteData]
    folds: int
    cells: tuple[Cell, ...]

    def chosen(self, patterns: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells that a pattern names; all without patterns.

        Args:
            patterns: ``SITE/LABELS/FOLD/METHOD``; ``*`` stands for anything, and for parts that are left out.

        Raises:
            InputError: a pattern names no cell.
        """
        if not patterns:
            return self.cells
        named = set()
        for pattern in patterns:
            parts = [part or "*" for part in pattern.split("/")]
            found = [cell.name for cell in self.cells if _matches(cell.name.split("/"), parts)]
            if not found:
                some = ", ".join(cell.name for cell in self.cells[:3])
                raise InputError(f"--only {pattern!r} names no cell; those are SITE/LABELS/FOLD/METHOD, e.g. {some}.")
            named.update(found)
        return tuple(cell for cell in self.cells if cell.name in named)


def _matches(name: Sequence[str], parts: Sequence[str]) -> bool:
    if len(parts) > len(name):
        return False
    return all(fnmatchcase(own, part) for own, part in zip(name, parts, strict=False))


def make_plan(experiment: Experiment, scale: Scale, cohorts: Mapping[str, Path] | None = None) -> Plan:
    """Plan an experiment.

    Args:
        experiment: what is asked.
        scale: at which size.
        cohorts: site to folder or table of its patients; phantoms stand in for the others.

    Raises:
        InputError: a site is unknown, a cohort is missing or has no such site, there are more folds than cases, or
            more labels are asked for than cases train.
    """
    given = dict(cohorts or {})
    for key in given:
        experiment.site(key)
    sites = {site.key: _site_data(experiment, scale, site, given.get(site.key)) for site in experiment.sites}
    folds = min(len(data.split.folds) for data in sites.values())
    folds = folds if scale.folds is None else min(scale.folds, folds)
    cells = []
    for fold in range(folds):
        for data in sites.values():
            cells += _cells(experiment, scale, sites, data, fold)
    return Plan(experiment, scale, sites, folds, tuple(cells))


def _site_data(experiment: Experiment, scale: Scale, site: Site, given: Path | None) -> SiteData:
    source: Phantoms | GivenCases
    if given is None:
        count = site.cases if scale.cases is None else scale.cases
        source = Phantoms(site.phantoms, count, PHANTOM_SEED, scale.phantom_spacing_mm)
    else:
        source = GivenCases(site.key, _cases_of(site.key, given))
    labelled = site.labelled if scale.labelled is None else scale.labelled
    cohort = source.cohort()
    split = make_splits(cohort, experiment.seed, experiment.folds, labelled=labelled).sites[cohort.sites[0]]
    if not split.folds:
        raise InputError(f"{given} has no case of {site.key} with labels, so nothing can be tested on it.")
    return SiteData(site, source.site, Crops(source, scale.size, scale.spacing_mm), split, labelled)


def _cases_of(key: str, path: Path) -> tuple[Case, ...]:
    cohort = read_cohort(path)
    if key not in cohort.sites and len(cohort.sites) > 1:
        raise InputError(
            f"{path} has no site {key!r} but {', '.join(cohort.sites)}; write a cohort.csv whose column site says "
            f"{key} (docs/data.md)."
        )
    cases = cohort.of_site(key if key in cohort.sites else cohort.sites[0])
    unfit = next((case.id for case in cases if case.modality != "CT"), None)
    if unfit is not None:
        raise InputError(f"{path}: {unfit} is an MR image; the experiments learn Hounsfield units, so give CT.")
    return tuple(case.model_copy(update={"site": key}) for case in cases if case.image is not None)


def _cells(
    experiment: Experiment, scale: Scale, sites: Mapping[str, SiteData], data: SiteData, fold: int
) -> list[Cell]:
    cells = []
    for labelled in data.labelled:
        column = Column(experiment, scale, sites, data, fold, labelled)
        for other in sites.values():
            if (other is data) == (experiment.patients == "other-sites"):
                continue
            for method in experiment.methods:
                tested = column.patients_of(other, fold)
                found = Segmentations(PLANNERS[method.kind](column, method), tested)
                scores = Scores(found, experiment.regions)
                cells.append(Cell(data.site.key, labelled, fold, method.key, other.site.key, scores))
    return cells


PLANNERS: dict[str, Callable[[Column, Method], Trained]] = {
    "site": plan_site_method,
    "sim-fl": plan_sim_fl,
    "direct-fl": plan_direct_fl,
}
"""How each kind of method is planned."""
