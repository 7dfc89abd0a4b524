"""The saved states of a run: at least the newest good one is always complete on the disk.

A checkpoint is a pair, ``NAME.safetensors`` and ``NAME.json``, of a name that is never used again. The JSON is written
last, holds the checksums of both, and makes the checkpoint valid; older pairs are removed only after it has reached the
disk. Whatever moment the power fails at, the newest valid pair is a whole one. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path, disk_errors, read_json, sha256_of, write_json

SCHEMA = "fedsim/checkpoint/1"
_NAME = re.compile(r"session-(\d+)-step-(\d+)\.json")


@dataclass(frozen=True, order=True)
class Checkpoint:
    """A saved state, as its file's name tells it; ordered by age.

    Attributes:
        session: in which it was written.
        step: after which.
        path: the JSON.
    """

    session: int
    step: int
    path: Path

    @property
    def tensors(self) -> Path:
        """The file of its tensors."""
        return self.path.with_suffix(".safetensors")

    def content(self) -> Any:
        """Check both files and return what the JSON holds.

        Raises:
            InputError: a file is missing or damaged.
        """
        envelope = read_json(self.path)
        if not isinstance(envelope, dict) or envelope.get("schema") != SCHEMA:
            raise InputError(f"{self.path} is no checkpoint of this version ({SCHEMA}).")
        if envelope.get("content_sha256") != _checksum(envelope.get("content")):
            raise InputError(f"{self.path} is damaged: its content does not match its checksum.")
        if not self.tensors.is_file() or envelope.get("tensors_sha256") != sha256_of(self.tensors):
            raise InputError(f"{self.tensors} is damaged or missing: it does not match its checksum.")
        return envelope["content"]


class CheckpointStore:
    """The checkpoints of one run.

    Attributes:
        folder: where they lie.
        keep: how many are kept, at least 1.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        """Open the checkpoints of a run; the folder is made with the first one."""
        self.folder = folder
        self.keep = max(1, keep)

    def stored(self) -> list[Checkpoint]:
        """Return the checkpoints, damaged ones too, newest first."""
        if not self.folder.is_dir():
            return []
        found = ((path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir())
        return sorted((Checkpoint(int(m[1]), int(m[2]), path) for path, m in found if m), reverse=True)

    def save(self, session: int, step: int, write_tensors: Callable[[Path], None], content: Any) -> Checkpoint:
        """Write a checkpoint, then remove those that are too old.

        Args:
            session: number of the session that writes.
            step: after which the state was.
            write_tensors: writes a safetensors file to the path it is given.
            content: everything else, as JSON.

        Raises:
            DiskError: the disk is full; all checkpoints from before are as they were.
        """
        new = Checkpoint(session, step, self.folder / f"session-{session:03d}-step-{step:08d}.json")
        with atomic_path(new.tensors) as temporary:
            write_tensors(temporary)
        envelope = {
            "schema": SCHEMA,
            "tensors_sha256": sha256_of(new.tensors),
            "content_sha256": _checksum(content),
            "content": content,
        }
        write_json(new.path, envelope)
        _settle(self.folder)
        self._remove_old()
        return new

    def newest_good(self, tell: Callable[[str], None]) -> tuple[Checkpoint, Any] | None:
        """Return the newest checkpoint that is whole, with its content.

        Args:
            tell: given a sentence for each damaged one that is passed over.

        Returns:
            None if there is no checkpoint yet.

        Raises:
            InputError: there are checkpoints, but all are damaged.
        """
        stored = self.stored()
        for checkpoint in stored:
            try:
                return checkpoint, checkpoint.content()
            except InputError as error:  # noqa: PERF203 (two or three turns)
                tell(f"{error} The checkpoint before it is used.")
        if stored:
            raise InputError(
                f"All {len(stored)} checkpoints in {self.folder} are damaged; restore them, or begin a new run."
            )
        return None

    def _remove_old(self) -> None:
        kept = {c.path.stem for c in self.stored()[: self.keep]}
        for path in self.folder.iterdir():
            # Also tensors whose JSON was never written, and temporary files of a process that was killed.
            if path.stem not in kept and (path.suffix in (".json", ".safetensors")):
                path.unlink(missing_ok=True)


def _checksum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _settle(folder: Path) -> None:
    """Make new names in a folder survive a power failure, before old ones go; Windows does so by itself."""
    if os.name == "posix":
        with disk_errors(folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
