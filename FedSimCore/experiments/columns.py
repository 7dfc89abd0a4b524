"""What the methods of one column of a table are made of: cases, models, synthetic hearts, a segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from FedSimCore.cohorts.splits import Fold, SiteSplit
from FedSimCore.experiments.artifact import Artifact
from FedSimCore.experiments.cases import CaseTable, Crops
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
from FedSimCore.experiments.trained import Trained
from FedSimCore.training.recipes import read_recipe


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

    def fields(self, kind: Kind, **decided: Any) -> dict[str, Any]:
        """Return a recipe's fields: as it ships, as the scale has them, and those that are decided here."""
        known, _ = read_recipe(kind)
        known.pop("recipe")
        return {**known, **self.scale.recipes.get(kind, {}), "seed": self.experiment.seed + self.number, **decided}

    def generator(self, material: str) -> Artifact:
        """Shape and material generator of the labelled cases."""
        name = self.name_of(f"generator-{material}")
        return Trained("generator", name, self.generator_fields(material), {"cohort": self.table})

    def generator_fields(self, material: str) -> dict[str, Any]:
        """Return the config of a generator, without paths."""
        return self.fields("generator", size=self.scale.size, spacing_mm=self.scale.spacing_mm, material=material)

    def model(self, variant: Variant) -> Artifact:
        """The paper's model of a name."""
        name, site = self.name_of(f"model-{variant}"), {"site": self.data.name}
        if variant == "full":
            fields = self.fields("semi-supervised", **site)
            cases = len(self.table.shown) + len(self.table.hidden)
            steps = self.scale.steps("semi-supervised", cases, fields["batch_size"])
            inputs: dict[str, Artifact] = {"cohort": self.table, "model": self.model("pre")}
            return Trained("semi-supervised", name, with_steps(fields, steps), inputs)
        fields = self.fields("enhancer", **site)
        steps = self.scale.steps("enhancer", self.labelled, fields["batch_size"])
        generator = self.generator("none" if variant == "fix-mat" else "learnt")
        return Trained("enhancer", name, with_steps(fields, steps), {"cohort": self.table, "generator": generator})

    def segmenter_fields(self, method: Method) -> dict[str, Any]:
        """Return the config of a method's segmenter, without paths."""
        grid = {"patch": self.scale.size, "spacing_mm": self.scale.spacing_mm}
        asked = {"regions": self.experiment.regions, "batch_size": self.experiment.batch_size}
        return self.fields("segmenter", **grid, **asked, augmentation=method.augmentation)

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


def with_steps(fields: dict[str, Any], steps: int | None) -> dict[str, Any]:
    """Return fields with a number of steps; as they are where there is None."""
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
