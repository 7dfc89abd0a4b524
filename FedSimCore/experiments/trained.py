"""Artifacts that are trained: a run of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from FedSimCore.experiments.artifact import Artifact, Bench
from FedSimCore.experiments.scale import Kind
from FedSimCore.runs.events import Event, Progressed
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status


@dataclass(frozen=True, eq=False)
class Trained(Artifact):
    """A run; where it was interrupted it goes on.

    Attributes:
        recipe: its kind.
        name: for people.
        fields: of its config, without paths and what has no say in the result.
        inputs: fields that are paths, with what lies there.
    """

    recipe: Kind
    name: str
    fields: Mapping[str, Any]
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    result = "run"

    @property
    def title(self) -> str:
        """Name for people."""
        return self.name.replace(" ", "-")

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """What its paths lead to."""
        return tuple(self.inputs.values())

    @property
    def content(self) -> Mapping[str, Any]:
        """Kind and config."""
        return {"recipe": self.recipe, "fields": dict(self.fields), "inputs": list(self.inputs)}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Train, or go on."""
        from FedSimCore.training.recipes import checked_config
        from FedSimCore.training.session import begin, resume

        run = RunFolder(folder / self.result)
        where: dict[str, Any] = {"device": bench.device, "threads": bench.threads}

        def listen(event: Event) -> None:
            if isinstance(event, Progressed):
                bench.progress(event.step, event.total, self.title)

        if not run.exists:
            paths = {name: str(bench.result(one)) for name, one in self.inputs.items()}
            begin(checked_config({"recipe": self.recipe, **self.fields, **paths, **where}, self.title), run, listen)
        elif status(run).state != "finished":
            settings = [f"device={bench.device}", f"threads={'null' if bench.threads is None else bench.threads}"]
            resume(run, settings, listen)
        return {"metrics": dict(run.summary().get("outcome", {}).get("metrics", {}))}
