"""Artifacts of several sites: a study, and what it leaves at each of them.

A study is computed in one process, sites one after the other: the same weights as with a process for each site
(``Testing/core/federated/test_one_machine.py``), without an engine's waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Artifact, Bench
from FedSimCore.experiments.cases import CaseTable
from FedSimCore.experiments.scale import Kind
from FedSimCore.files import read_json, write_json
from FedSimCore.runs.events import Event, Progressed

STUDY_NAME = "learnt"
_ASKED_NAME = "study.json"
_OF_STUDY = ("seed", "report_every", "evaluate_every", "checkpoint_every")
"""Fields of a recipe that its study decides."""


@dataclass(frozen=True, eq=False)
class Participant:
    """A site of a study.

    Attributes:
        name: of the site in the study.
        site: its name in its table.
        table: its cases.
        model: its enhancer's run, where the recipe needs one.
    """

    name: str
    site: str
    table: CaseTable
    model: Artifact | None = None


@dataclass(frozen=True, eq=False)
class Federated(Artifact):
    """A study by the paper's exact way, a gradient of each site in every round; where it was interrupted it goes on.

    Attributes:
        recipe: its kind.
        name: for people.
        fields: of the recipe's config, without paths and what has no say in the result; ``steps`` are rounds.
        participants: the sites.
        before: study whose model it goes on with (recipe semi-supervised).
    """

    recipe: Kind
    name: str
    fields: Mapping[str, Any]
    participants: tuple[Participant, ...]
    before: Federated | None = None
    result = "study"

    @property
    def title(self) -> str:
        """Name for people."""
        return self.name.replace(" ", "-")

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """The sites' cases and models, and the study before."""
        models = [one.model for one in self.participants if one.model is not None]
        return (*(one.table for one in self.participants), *models, *([self.before] if self.before else []))

    @property
    def content(self) -> Mapping[str, Any]:
        """Kind, config and names."""
        names = [[one.name, one.site] for one in self.participants]
        return {"recipe": self.recipe, "fields": dict(self.fields), "participants": names}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Learn, or go on, on the device on which it was begun."""
        from FedSimCore.federated.in_process import run_in_process
        from FedSimCore.federated.study import checked_study

        def listen(event: Event) -> None:
            if isinstance(event, Progressed):
                bench.progress(event.step, event.total, self.title)

        if not (folder / _ASKED_NAME).exists():
            write_json(folder / _ASKED_NAME, self.asked(bench))
        run_in_process(checked_study(read_json(folder / _ASKED_NAME), self.title), folder / self.result, listen)
        return {"rounds": self.fields["steps"]}

    def asked(self, bench: Bench) -> dict[str, Any]:
        """Return the study's fields."""
        recipe = {name: value for name, value in self.fields.items() if name not in (*_OF_STUDY, "steps")}
        recipe |= {"recipe": self.recipe, "device": bench.device, "threads": bench.threads}
        if self.before is not None:
            recipe["model"] = str(bench.result(self.before) / "server")
        sites = [
            {
                "name": one.name,
                "cohort": str(bench.result(one.table)),
                "cohort_site": one.site,
                "model": str(bench.result(one.model)) if one.model is not None else None,
                # Nothing leaves this process; the paper's Direct-FL sends the gradient of a single case.
                "policy": {"least_cases": 1, "least_in_round": 1},
            }
            for one in self.participants
        ]
        given = {name: self.fields[name] for name in _OF_STUDY if name in self.fields}
        return {"name": STUDY_NAME, "recipe": recipe, "sites": sites, "rounds": self.fields["steps"], **given}


@dataclass(frozen=True, eq=False)
class SiteOfStudy(Artifact):
    """What a study leaves at one of its sites: the shared model, with the site's own latents or enhancer.

    Attributes:
        study: that was made.
        site: its name in the study.
    """

    study: Federated
    site: str

    @property
    def title(self) -> str:
        """Name for people."""
        return f"{self.study.title}-at-{self.site}"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """The study."""
        return (self.study,)

    @property
    def content(self) -> Mapping[str, Any]:
        """Which site."""
        return {"site": self.site}

    def path(self, root: Path) -> Path:
        """Return the site's run in the study's folder."""
        return self.study.path(root) / "sites" / self.site / STUDY_NAME

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:  # noqa: ARG002
        """Look whether it is there.

        Raises:
            InputError: the site has written no model.
        """
        run = self.path(bench.root)
        if not (run / "model").is_dir():
            raise InputError(f"{run} holds no model; remove the study's folder, and it is made again.")
        return {}
