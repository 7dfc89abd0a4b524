"""From an experiment to its cells, and from a cell to everything that has to be made for it. Nothing is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from FedSimCore.cohorts import Case, read_cohort
from FedSimCore.cohorts.splits import Fold, SiteSplit, make_splits
from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Artifact
from FedSimCore.experiments.cases import CaseTable, Crops, GivenCases, Phantoms
from FedSimCore.experiments.definition import (
    Exchanged,
    Experiment,
    Method,
    RandomIntensities,
    Site,
    Synthesis,
    Variant,
)
from FedSimCore.experiments.hearts import DrawnHearts, RenderedCases
from FedSimCore.experiments.random_intensities import RandomIntensityHearts
from FedSimCore.experiments.scale import Kind, Scale
from FedSimCore.experiments.segmenters import Scores, Segmentations
from FedSimCore.experiments.trained import Trained
from FedSimCore.training.recipes import read_recipe

PHANTOM_SEED = 20
"""Of the phantoms that stand in for patients; far from those that the shipped shape model was made of."""


@dataclass(frozen=True, eq=False)
class SiteData:
    """A site with its patients.

    Attributes:
        site: of the experiment.
        name: of the patients' site: the phantoms' or the paper's.
        crops: the patients on the working grid.
        split: their folds.
        labelled: label sizes.
    """

    site: Site
    name: str
    crops: Crops
    split: SiteSplit
    labelled: tuple[int, ...]


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


@dataclass(frozen=True, eq=False)
class Column:
    """A site with so many labels in a fold: what its methods share.

    Attributes:
        experiment: that is planned.
        scale: its size.
        sites: all of them, for methods that learn from several.
        data: of the site.
        number: of the fold.
        labelled: label size.
    """

    experiment: Experiment
    scale: Scale
    sites: Mapping[str, SiteData]
    data: SiteData
    number: int
    labelled: int

    @cached_property
    def fold(self) -> Fold:
        """Who trains, validates and tests."""
        return self.data.split.folds[self.number]

    @cached_property
    def table(self) -> CaseTable:
        """The training cases, of which only some show their labels, and the validation cases."""
        fold = self.fold
        shown = fold.labelled[self.labelled]
        hidden = (*(name for name in fold.train if name not in shown), *self.data.split.unlabelled)
        return CaseTable(self.data.name, self.data.crops, shown, hidden, fold.val)

    def name_of(self, what: str, *, every_label: bool = False) -> str:
        """Return a name for people of something that is made for this column, or for all label sizes alike."""
        labelled = "all" if every_label else self.labelled
        return f"{what}-{self.data.site.key}-{labelled}-fold{self.number}"

    def _fields(self, kind: Kind, **decided: Any) -> dict[str, Any]:
        known, _ = read_recipe(kind)
        known.pop("recipe")
        return {**known, **self.scale.recipes.get(kind, {}), "seed": self.experiment.seed + self.number, **decided}

    def generator(self, material: str) -> Trained:
        """Shape and material generator of the labelled cases."""
        grid = {"size": self.scale.size, "spacing_mm": self.scale.spacing_mm}
        fields = self._fields("generator", **grid, material=material)
        return Trained("generator", self.name_of(f"generator-{material}"), fields, {"cohort": self.table})

    def model(self, variant: Variant) -> Trained:
        """The paper's model of a name."""
        name, site = self.name_of(f"model-{variant}"), {"site": self.data.name}
        if variant == "full":
            fields = self._fields("semi-supervised", **site)
            cases = len(self.table.shown) + len(self.table.hidden)
            steps = self.scale.steps("semi-supervised", cases, fields["batch_size"])
            inputs: dict[str, Artifact] = {"cohort": self.table, "model": self.model("pre")}
            return Trained("semi-supervised", name, _with_steps(fields, steps), inputs)
        fields = self._fields("enhancer", **site)
        steps = self.scale.steps("enhancer", self.labelled, fields["batch_size"])
        generator = self.generator("none" if variant == "fix-mat" else "learnt")
        return Trained("enhancer", name, _with_steps(fields, steps), {"cohort": self.table, "generator": generator})

    def segmenter_fields(self, method: Method) -> dict[str, Any]:
        """Return the config of a method's segmenter, without paths."""
        grid = {"patch": self.scale.size, "spacing_mm": self.scale.spacing_mm}
        asked = {"regions": self.experiment.regions, "batch_size": self.experiment.batch_size}
        return self._fields("segmenter", **grid, **asked, augmentation=method.augmentation)

    def synthetic(self, synthesis: Synthesis) -> Artifact:
        """Synthetic hearts to learn from."""
        if isinstance(synthesis, RandomIntensities):
            count, seed = self.scale.random_hearts, self.experiment.seed
            return RandomIntensityHearts(count, seed, self.scale.size, self.scale.spacing_mm)
        model, name = self.model(synthesis.variant), self.data.name
        if isinstance(synthesis, Exchanged):
            return RenderedCases(model, name, self.data.crops, self.fold.train, synthesis.truth)
        count = self.experiment.synthetic if self.scale.synthetic is None else self.scale.synthetic
        seed = self.experiment.seed + self.number
        return DrawnHearts(model, self.table, name, count, seed, synthesis.shape, synthesis.blend)

    def patients_of(self, other: SiteData, fold: int) -> CaseTable:
        """The test cases: the site's own, or another's as this site's scanner would show them."""
        test = other.split.folds[fold].test
        if other is self.data:
            return CaseTable(other.name, other.crops, test)
        shown = RenderedCases(self.model("pre"), self.data.name, other.crops, test, ("shapes", "materials"))
        return CaseTable(self.data.name, other.crops, synthetic=shown)


def _with_steps(fields: dict[str, Any], steps: int | None) -> dict[str, Any]:
    return fields if steps is None else {**fields, "steps": steps}


def plan_site_method(column: Column, method: Method) -> Trained:
    """Plan a segmenter that learns from synthetic hearts, from real cases, or from the one and then the other.

    Every segmenter makes the same number of steps in all, so that more data is not more training as well.
    """
    name, fold, data = column.name_of(f"segmenter-{method.key}"), column.fold, column.data
    fields = column.segmenter_fields(method)
    share = column.scale.pretrain_share if method.pretrain is not None and method.finetune is not None else 1.0
    inputs: dict[str, Artifact] = {}
    if method.pretrain is not None:
        table = CaseTable(data.name, data.crops, val=fold.val, synthetic=column.synthetic(method.pretrain))
        first = {**fields, "steps": max(1, round(share * fields["steps"]))}
        pretrained = Trained("segmenter", f"pretrained-{name}", first, {"cohort": table})
        if method.finetune is None:
            return pretrained
        inputs["init"] = pretrained
        share = 1 - share
    shown = fold.train if method.finetune == "all" else fold.labelled[column.labelled]
    inputs["cohort"] = CaseTable(data.name, data.crops, shown, val=fold.val)
    name = column.name_of(f"segmenter-{method.key}", every_label=method.finetune == "all" and method.pretrain is None)
    return Trained("segmenter", name, {**fields, "steps": max(1, round(share * fields["steps"]))}, inputs)


PLANNERS: dict[str, Callable[[Column, Method], Trained]] = {"site": plan_site_method}
"""How each kind of method is planned; federated ones get a line here."""
