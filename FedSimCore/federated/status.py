"""How a study stands: its server, every site, and what has left them. No torch, for windows and tables."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from FedSimCore.errors import InputError
from FedSimCore.federated.ledger import LEDGER_NAME, read_ledger
from FedSimCore.federated.local_sites import SERVER, SITES
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimCore.runs.history import RunStatus
from FedSimCore.runs.history import status as status_of

ROUNDS_NAME = "rounds.jsonl"


class RoundRecord(BaseModel):
    """Who was in a round.

    Attributes:
        round: counted from 1, as people do.
        time: seconds since 1970 (UTC).
        seconds: that it took.
        sites: of each site in it, its number of cases.
        norms: of each site in it, its update's norm.
        absent: of each site that was not in it, why.
    """

    model_config = ConfigDict(frozen=True)
    round: int
    time: float
    seconds: float
    sites: dict[str, int]
    norms: dict[str, float] = {}
    absent: dict[str, str] = {}


class PartStatus(BaseModel):
    """Server or site.

    Attributes:
        name: of the site, or ``"server"``.
        run: as `fedsim runs show` has it; None before the first step.
        cases: that a site has told the server of.
        last_round: the newest that the site was in.
        last_contact: when that was, seconds since 1970 (UTC).
        messages: in the site's ledger.
        bytes: of their arrays.
        epsilon: spent so far; None without noise.
        files: results.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    run: RunStatus | None = None
    cases: int | None = None
    last_round: int | None = None
    last_contact: float | None = None
    messages: int = 0
    bytes: int = 0
    epsilon: float | None = None
    files: tuple[str, ...] = ()


class StudyStatus(BaseModel):
    """A study on one machine, or what of one lies on this machine.

    Attributes:
        parts: the server, if it is here, and sites.
        rounds: closed so far, the newest last; a round that was repeated counts once.
        sentences: what people should know.
    """

    model_config = ConfigDict(frozen=True)
    parts: tuple[PartStatus, ...]
    rounds: tuple[RoundRecord, ...] = ()
    sentences: tuple[str, ...] = ()


def read_rounds(path: Path) -> list[RoundRecord]:
    """Read ``rounds.jsonl``: of rounds that were repeated after a resume, the newest."""
    if not path.is_file():
        return []
    found: dict[int, RoundRecord] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = RoundRecord.model_validate(json.loads(line))
        except ValueError:
            continue  # cut short by a power failure
        found[record.round] = record
        for later in [number for number in found if number > record.round]:
            del found[later]
    return [found[number] for number in sorted(found)]


def study_status(folder: Path) -> StudyStatus:
    """Return how the study in a folder stands.

    Raises:
        InputError: there is none, or a site's ledger was changed.
    """
    server, sites = folder / SERVER, folder / SITES
    if not RunFolder(server).exists and not sites.is_dir():
        raise InputError(f"{folder} holds no study; `fedsim federate run` makes one.")
    rounds = read_rounds(server / ROUNDS_NAME)
    parts = []
    sentences: list[str] = []
    if RunFolder(server).exists:
        run = status_of(RunFolder(server))
        parts.append(PartStatus(name=SERVER, run=run, last_round=run.step, files=_files(RunFolder(server))))
        sentences += [*run.warnings[-3:], *([run.reason] if run.reason else [])]
    parts += [_site(path, rounds) for path in sorted(sites.iterdir())] if sites.is_dir() else []
    return StudyStatus(parts=tuple(parts), rounds=tuple(rounds), sentences=tuple(sentences))


def _site(folder: Path, rounds: list[RoundRecord]) -> PartStatus:
    runs = runs_below(folder, depth=1)
    ledger = read_ledger(folder / LEDGER_NAME) if (folder / LEDGER_NAME).exists() else []
    last = next((record for record in reversed(rounds) if folder.name in record.sites), None)
    agreed = [entry for entry in ledger if entry.message == "agreement"]
    spent = [entry.epsilon for entry in ledger if entry.epsilon is not None]
    return PartStatus(
        name=folder.name,
        run=status_of(runs[0]) if runs else None,
        cases=int(agreed[-1].values["cases"]) if agreed else None,
        last_round=last.round if last else None,
        last_contact=ledger[-1].time if ledger else None,
        messages=len(ledger),
        bytes=sum(entry.bytes for entry in ledger),
        epsilon=spent[-1] if spent else None,
        files=_files(runs[0]) if runs else (),
    )


def _files(run: RunFolder) -> tuple[str, ...]:
    outcome = run.summary().get("outcome", {})
    return tuple(str(run.path / file) for file in outcome.get("files", []))
