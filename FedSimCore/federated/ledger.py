"""A site's ledger: every message that leaves it, written down before it leaves. No torch.

JSON, one object a line, appended and never changed. Each line has the checksum of the line before, so that a line
taken out or changed afterwards is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors

LEDGER_NAME = "ledger.jsonl"
_FIRST = "0" * 64


class LedgerEntry(BaseModel):
    """One message.

    Attributes:
        number: from 1.
        time: seconds since 1970 (UTC).
        study: name of the study.
        study_sha256: checksum of the study as the site was asked to agree to.
        message: what it is: ``"agreement"``, ``"update"``, ``"moments"`` or ``"refusal"``.
        round: of the study.
        shapes: of the arrays, by name.
        norms: of the arrays, by name; Euclidean.
        bytes: of all arrays.
        sha256: of names, shapes and numbers of the arrays.
        values: numbers and texts that go with the arrays, all of them.
        filter: what was done to the arrays before.
        epsilon: of the study up to this message; None where there is no guarantee.
        before: checksum of the line before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int
    time: float
    study: str
    study_sha256: str
    message: str
    round: int
    shapes: dict[str, tuple[int, ...]] = {}
    norms: dict[str, float] = {}
    bytes: int = 0
    sha256: str = ""
    values: dict[str, Any] = {}
    filter: str = "none"
    epsilon: float | None = None
    before: str


class Ledger:
    """Appends to a ledger.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Go on with a ledger, or begin one.

        A last line without its end is what a power failure has cut off; its message was not sent, so it is taken away.

        Raises:
            InputError: the lines that are there were changed.
            DiskError: the file can't be written.
        """
        self.path = path
        if path.exists():
            _take_away_cut_line(path)
        lines = read_ledger(path) if path.exists() else []
        self._number = len(lines)
        self._before = _checksum(_last_line(path)) if lines else _FIRST

    def record(self, **fields: Any) -> LedgerEntry:
        """Write an entry; when this returns it is on the disk.

        Raises:
            DiskError: the disk is full: then the message must not be sent.
        """
        entry = LedgerEntry(number=self._number + 1, time=time.time(), before=self._before, **fields)
        line = entry.model_dump_json().encode()
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer, whose rest would be written when the file is closed.
            with self.path.open("ab", buffering=0) as file:
                place = file.tell()
                try:
                    _write_whole(file, line + b"\n")
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(place)  # Half a line would spoil the chain.
                    raise
        self._number, self._before = entry.number, _checksum(line)
        return entry


def _write_whole(file: FileIO, content: bytes) -> None:
    """Write all of it; a disk that fills takes the beginning, and refuses the rest."""
    while content:
        content = content[file.write(content) :]


def _take_away_cut_line(path: Path) -> None:
    with disk_errors(path):
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


def read_ledger(path: Path) -> list[LedgerEntry]:
    """Read a ledger.

    Raises:
        InputError: it is damaged, or a line was changed or taken out.
    """
    with disk_errors(path):
        content = path.read_bytes()
    entries: list[LedgerEntry] = []
    before = b""
    for line in content.splitlines():
        entries.append(checked_entry(path, line, len(entries) + 1, before))
        before = line
    return entries


def checked_entry(path: Path, line: bytes, number: int, before: bytes) -> LedgerEntry:
    """Return the entry of a line.

    Args:
        path: the ledger, for the sentence of an error.
        line: without its end.
        number: that it must have, from 1.
        before: the line before; empty for the first.

    Raises:
        InputError: it is damaged, or the line before is another one than when it was written.
    """
    try:
        entry = LedgerEntry.model_validate_json(line)
    except ValueError:
        raise InputError(f"{path}, line {number} is damaged; the messages after it cannot be trusted.") from None
    if entry.before != (_checksum(before) if before else _FIRST) or entry.number != number:
        raise InputError(f"{path}, line {number} does not follow the line before: the ledger was changed.")
    return entry


def newest_entry(path: Path) -> LedgerEntry | None:
    """Return the newest entry, without checking those before; None if there is none."""
    line = _last_line(path) if path.exists() else b""
    return LedgerEntry.model_validate(json.loads(line)) if line else None


def _last_line(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        back = 1 << 16
        while True:
            file.seek(max(size - back, 0))
            lines = file.read().splitlines()
            if len(lines) > 1 or back >= size:
                return lines[-1] if lines else b""
            back *= 4


def _checksum(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
