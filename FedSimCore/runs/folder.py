"""Where everything of a run lies.

RUN/
  config.json       what was asked for, complete
  summary.json      commit, versions, seeds, checksums of the data, machine, outcome
  events.jsonl      how it goes, one JSON object a line (:mod:`FedSimCore.runs.events`)
  log.txt           for people
  checkpoints/      the newest states, each a .safetensors and a .json (:mod:`FedSimCore.runs.checkpoints`)
  pictures/         PNG files that the events name
  tensorboard/      the same numbers and pictures for TensorBoard
  run.lock          held by the process that trains
  stop              there while somebody wants the run to stop
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors, read_json, write_json

CONFIG_NAME = "config.json"


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def config_file(self) -> Path:
        """What was asked for."""
        return self.path / CONFIG_NAME

    @property
    def summary_file(self) -> Path:
        """What it was made with, and what came of it."""
        return self.path / "summary.json"

    @property
    def events_file(self) -> Path:
        """How it goes."""
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """Sentences with their time, for people."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """Folder of the saved states."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures that events name."""
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        """Folder for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def lock_file(self) -> Path:
        """Locked while a process trains."""
        return self.path / "run.lock"

    @property
    def stop_file(self) -> Path:
        """There while the run is asked to stop."""
        return self.path / "stop"

    @property
    def exists(self) -> bool:
        """Whether a run has been made here."""
        return self.config_file.is_file()

    def make(self, config: dict[str, Any]) -> None:
        """Make the folder of a new run.

        Raises:
            InputError: there is a run already, or other files.
            DiskError: it can't be written.
        """
        if self.exists:
            raise InputError(
                f"{self.path} holds a run already; continue it with `fedsim runs resume {self.path}`, "
                "or choose another folder."
            )
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; choose a folder for the run.")
        # What an attempt may have left that never came to its first step, or a starter's log, is no obstacle.
        ours = (self.lock_file, self.log_file, self.stop_file, self.events_file, self.tensorboard)
        strange = [p.name for p in self.path.iterdir() if p not in ours] if self.path.exists() else []
        strange = [name for name in strange if not name.startswith(".")]
        if strange:
            raise InputError(f"{self.path} is not empty (it holds {strange[0]}); choose a new folder for the run.")
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.write_config(config)

    def write_config(self, config: dict[str, Any]) -> None:
        """Write what is asked for."""
        write_json(self.config_file, config)

    def config(self) -> dict[str, Any]:
        """Return what was asked for, unchecked.

        Raises:
            InputError: there is no run, or its config is damaged.
        """
        if not self.exists:
            raise InputError(f"{self.path} holds no run (no {CONFIG_NAME}); `fedsim runs list` shows those there are.")
        content = read_json(self.config_file)
        if not isinstance(content, dict):
            raise InputError(f"{self.config_file} is no config of a run; restore it.")
        return content

    def summary(self) -> dict[str, Any]:
        """Return what the run was made with; empty if it has not come so far."""
        if not self.summary_file.is_file():
            return {}
        content = read_json(self.summary_file)
        return content if isinstance(content, dict) else {}


def runs_below(folder: Path, depth: int = 3) -> list[RunFolder]:
    """Return the runs in a folder and its subfolders, by path.

    Args:
        folder: where to look; may be a run itself.
        depth: how many levels down.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds runs.")
    run = RunFolder(folder)
    if run.exists and run.events_file.exists():
        return [run]
    if depth == 0:
        return []
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [run for path in below for run in runs_below(path, depth - 1)]
