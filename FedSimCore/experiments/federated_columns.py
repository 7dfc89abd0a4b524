"""The paper's federated rows: columns whose generators, or segmenter, all sites learn together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Artifact
from FedSimCore.experiments.cases import CaseTable
from FedSimCore.experiments.columns import Column, plan_site_method, with_steps
from FedSimCore.experiments.definition import Method, Variant
from FedSimCore.experiments.studies import Federated, Participant, SiteOfStudy
from FedSimCore.experiments.trained import Trained


@dataclass(frozen=True, eq=False)
class SharedColumn(Column):
    """A column whose shape and material generator all sites learn together (section 2.3); the enhancer stays its own.

    The sites learn with their smallest label sizes together, or with their second smallest, and so on.
    """

    @cached_property
    def together(self) -> tuple[SharedColumn, ...]:
        """The columns of all sites, with label sizes of the same rank.

        Raises:
            InputError: a site has no label size of that rank.
        """
        rank = self.data.labelled.index(self.labelled)
        for data in self.sites.values():
            if len(data.labelled) <= rank:
                raise InputError(
                    f"{data.site.key} has {len(data.labelled)} label sizes and {self.data.site.key} more; sites that "
                    "learn together need as many each."
                )
        return tuple(replace(self, data=data, labelled=data.labelled[rank]) for data in self.sites.values())

    @property
    def participant(self) -> str:
        """Name of the site in a study."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", f"site-{self.data.site.key}")[:63]

    def name_of(self, what: str, *, every_label: bool = False) -> str:
        """Return a name for people of something that this site makes of what all have learnt."""
        return f"shared-{super().name_of(what, every_label=every_label)}"

    def name_of_all(self, what: str) -> str:
        """Return a name for people of something that all sites learn."""
        sizes = "-".join(str(column.labelled) for column in self.together)
        return f"{what}-of-all-{sizes}-fold{self.number}"

    def generator(self, material: str) -> SiteOfStudy:
        """Shape and material generator of all sites' labelled cases, with this site's latents."""
        return SiteOfStudy(self._generators(material), self.participant)

    def model(self, variant: Variant) -> Artifact:
        """The paper's model of a name, with shared generators."""
        if variant != "full":
            return super().model(variant)
        fields = self.fields("semi-supervised")
        cases = max(len(one.table.shown) + len(one.table.hidden) for one in self.together)
        fields = with_steps(fields, self.scale.steps("semi-supervised", cases, fields["batch_size"]))
        sites = tuple(Participant(one.participant, one.data.name, one.table, one.model("pre")) for one in self.together)
        study = Federated(
            "semi-supervised", self.name_of_all("model-full"), fields, sites, before=self._generators("learnt")
        )
        return SiteOfStudy(study, self.participant)

    def _generators(self, material: str) -> Federated:
        sites = tuple(Participant(one.participant, one.data.name, one.table) for one in self.together)
        name = self.name_of_all(f"generator-{material}")
        return Federated("generator", name, self.generator_fields(material), sites)

    @classmethod
    def of(cls, column: Column) -> SharedColumn:
        """Return the same column, of shared generators."""
        return cls(column.experiment, column.scale, column.sites, column.data, column.number, column.labelled)


def plan_sim_fl(column: Column, method: Method) -> Trained:
    """Plan Sim-FL: as a single site's method, from hearts of the shared generators by the site's own enhancer."""
    return plan_site_method(SharedColumn.of(column), method)


def plan_direct_fl(column: Column, method: Method) -> Trained:
    """Plan Direct-FL: a segmenter of all sites' labelled cases, fine-tuned on the site's own.

    Each site's gradient is of its share of the batch (of one case in the paper), and half of the steps are made
    together, as other methods make half of them on synthetic hearts.
    """
    shared, fields, share = SharedColumn.of(column), column.segmenter_fields(method), column.scale.pretrain_share
    batch = max(1, round(fields["batch_size"] / len(shared.together)))
    first = {**fields, "batch_size": batch, "steps": max(1, round(share * fields["steps"]))}
    sites = tuple(
        Participant(one.participant, one.data.name, CaseTable(one.data.name, one.data.crops, one.table.shown))
        for one in shared.together
    )
    study = Federated("segmenter", shared.name_of_all("segmenter"), first, sites)
    inputs = {
        "init": SiteOfStudy(study, shared.participant),
        "cohort": CaseTable(column.data.name, column.data.crops, column.table.shown, val=column.fold.val),
    }
    last = {**fields, "steps": max(1, round((1 - share) * fields["steps"]))}
    return Trained("segmenter", column.name_of(f"segmenter-{method.key}"), last, inputs)
