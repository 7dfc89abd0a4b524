"""What an experiment makes on its way: each thing in a folder named by its content, made once and shared by all cells.

An artifact's key is a checksum of everything that decides it: its kind, its settings, and the keys of what it is made
of. Two cells (or two experiments in the same folder) that need the same generator find the same folder; a changed
setting is another artifact. ``artifact.json`` is written last, so that where it stands everything else does.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from FedSimCore.files import read_json, write_json
from FedSimCore.machine import commit
from FedSimCore.progress import Progress

DONE_NAME, FAILURE_NAME, LOCK_NAME, BEGUN_NAME = "artifact.json", "failure.json", "artifact.lock", "begun.json"
SCHEMA = "fedsim/artifact/1"


@dataclass(frozen=True)
class Bench:
    """Where and with what artifacts are made.

    Attributes:
        root: folder of all artifacts.
        device: ``"cpu"`` or ``"cuda"``; which card, the process's environment says.
        threads: of the CPU.
        progress: told of what is made.
    """

    root: Path
    device: str
    threads: int | None
    progress: Progress

    def result(self, artifact: Artifact) -> Path:
        """Return where a finished artifact's result lies."""
        return artifact.path(self.root)


class Artifact(ABC):
    """Something that is made once.

    Subclasses are frozen dataclasses.
    """

    result = ""
    """Where in its folder others find it; empty: the folder."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name for people, and the beginning of the folder's name: letters, digits and hyphens."""

    @property
    @abstractmethod
    def needs(self) -> tuple[Artifact, ...]:
        """What it is made of."""

    @property
    @abstractmethod
    def content(self) -> Mapping[str, Any]:
        """Everything else that decides it, as JSON holds it."""

    @abstractmethod
    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Make it, or go on with it, in its folder; return what is worth knowing of it."""

    @cached_property
    def key(self) -> str:
        """Checksum of what decides it."""
        parts = [type(self).__name__, dict(self.content), [one.key for one in self.needs]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]

    def folder(self, root: Path) -> Path:
        """Return its folder."""
        return root / f"{self.title}-{self.key}"

    def path(self, root: Path) -> Path:
        """Return where its result lies."""
        return self.folder(root) / self.result

    def is_done(self, root: Path) -> bool:
        """Tell whether it is there."""
        return (self.folder(root) / DONE_NAME).is_file()

    def facts(self, root: Path) -> dict[str, Any]:
        """Return what was said of it when it was made."""
        facts: dict[str, Any] = read_json(self.folder(root) / DONE_NAME)["facts"]
        return facts

    def finish(self, root: Path, facts: Mapping[str, Any]) -> None:
        """Say that it is there."""
        told = {"schema": SCHEMA, "kind": type(self).__name__, "key": self.key, "commit": commit()}
        needs = [one.folder(root).name for one in self.needs]
        write_json(
            self.folder(root) / DONE_NAME, {**told, "content": dict(self.content), "needs": needs, "facts": dict(facts)}
        )

    def with_needs(self) -> Iterator[Artifact]:
        """Give everything it needs, and itself last; each once."""
        seen: set[str] = set()
        yield from self._walk(seen)

    def _walk(self, seen: set[str]) -> Iterator[Artifact]:
        if self.key in seen:
            return
        seen.add(self.key)
        for one in self.needs:
            yield from one._walk(seen)
        yield self
