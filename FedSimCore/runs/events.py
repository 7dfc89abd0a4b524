"""How a run goes: JSON objects, one a line, appended and never changed.

A run that was killed has told of steps that it repeats when it is resumed. ``Started.step`` says from where a session
goes on, and :func:`still_valid` leaves out what it makes obsolete. A line that a power failure cut short is skipped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from FedSimCore.files import disk_errors


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    time: float = Field(default_factory=time.time)


class Started(_Event):
    """A session begins: a new run, or a resumed one.

    Attributes:
        session: 1 for a new run, one more for each time it is resumed.
        step: from which it goes on.
        total: steps of the whole run.
        recipe: what is trained.
        pid: of the process.
        host: where it runs.
        device: e.g. ``"cpu"`` or the graphics card's name.
        changed: fields of the config that are not as in the session before.
    """

    kind: Literal["started"] = "started"
    session: int
    step: int
    total: int
    recipe: str
    pid: int
    host: str
    device: str
    changed: dict[str, str] = {}


class Progressed(_Event):
    """Steps were made.

    Attributes:
        stage: what is being done, e.g. ``"training"``.
        step: steps done, of the whole run.
        total: steps of the whole run.
        seconds_left: estimate from the pace of this session; None while unknown.
        metrics: name to its mean over the steps since the last event of this kind.
    """

    kind: Literal["progress"] = "progress"
    stage: str
    step: int
    total: int
    seconds_left: float | None = None
    metrics: dict[str, float] = {}


class Evaluated(_Event):
    """The model was measured.

    Attributes:
        step: after which.
        metrics: name to value.
    """

    kind: Literal["evaluated"] = "evaluated"
    step: int
    metrics: dict[str, float]


class Pictured(_Event):
    """A picture was made.

    Attributes:
        step: after which.
        name: what it shows.
        file: PNG, relative to the run's folder.
    """

    kind: Literal["picture"] = "picture"
    step: int
    name: str
    file: str


class Saved(_Event):
    """A checkpoint is complete.

    Attributes:
        step: after which.
        file: its JSON, relative to the run's folder.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    file: str


class Noted(_Event):
    """Something people should know.

    Attributes:
        level: how serious it is.
        text: one sentence.
    """

    kind: Literal["note"] = "note"
    level: Literal["info", "warning"] = "info"
    text: str


class Ended(_Event):
    """A session ends, by itself.

    Attributes:
        state: how.
        step: after which.
        reason: one sentence; empty where the run is finished.
        files: results, relative to the run's folder.
    """

    kind: Literal["ended"] = "ended"
    state: Literal["finished", "stopped", "failed"]
    step: int
    reason: str = ""
    files: tuple[str, ...] = ()


Event = Started | Progressed | Evaluated | Pictured | Saved | Noted | Ended
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class EventLog:
    """Appends events to a file; each is one write, so that readers find whole lines.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a log for appending; what a crash cut off stays a line of its own."""
        self.path = path
        with disk_errors(path):
            self._file = path.open("ab", buffering=0)
            if path.stat().st_size and not _ends_whole(path):
                self._file.write(b"\n")

    def append(self, event: Event, durable: bool = False) -> None:
        """Append an event.

        Args:
            event: what happened.
            durable: wait until it would survive a power failure.

        Raises:
            DiskError: the disk is full.
        """
        line = event.model_dump_json().encode() + b"\n"
        with disk_errors(self.path):
            while line:
                line = line[self._file.write(line) or 0 :]
            if durable:
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def read_events(path: Path, start: int = 0, portion: int | None = None) -> tuple[list[Event], int]:
    """Read the events from a place in the file on.

    Args:
        path: ``events.jsonl``; a missing one has no events.
        start: bytes to skip, as the last call returned them.
        portion: bytes to read at most, but for a line that is longer; None: all there are.

    Returns:
        The events, and the place after the last whole line. Lines that are no event of this version are left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(portion)
            while portion is not None and b"\n" not in content and (more := file.read(portion)):
                content += more
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    events = [event for line in whole.splitlines() if (event := _parsed(line)) is not None]
    return events, start + len(whole)


def _parsed(line: bytes) -> Event | None:
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None


def still_valid(events: Iterable[Event]) -> list[Event]:
    """Return the events without those of steps that a resumed session repeats."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Started):
            kept = [old for old in kept if isinstance(old, Started | Noted) or old.step <= event.step]
        kept.append(event)
    return kept
