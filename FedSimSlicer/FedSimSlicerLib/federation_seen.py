"""What a look at studies gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry
    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.federation_privacy import Budget
    from FedSimSlicerLib.federation_states import SiteState
    from FedSimSlicerLib.training_watch import Curve


@dataclass(frozen=True)
class StudyRow:
    """A study on this machine, or one that a site on this machine takes part in.

    Attributes:
        path: of the study, or of the site's runs.
        name: of the study's folder, or of the site.
        kind: which of them.
        state: of the run: ``"new"``, ``"starting"``, ``"waiting"``, ``"running"``, ``"stopping"``, ``"stopped"``,
            ``"finished"``, ``"failed"`` or ``"interrupted"``.
        step: rounds done.
        total: rounds of the study; 0 while unknown.
        seconds_left: None while unknown.
        updated: time of the newest event, seconds since 1970; None before the first.
        reason: why it stopped or failed.
        warnings: sentences.
        kit: of a site.
    """

    path: Path
    name: str
    kind: Literal["study", "site"]
    state: str
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    updated: float | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    kit: Path | None = None


@dataclass(frozen=True, eq=False)
class SiteSeen:
    """A site of the chosen study.

    Attributes:
        name: of the site.
        state: what it does.
        cases: as it has told the server; empty while it has not.
        last_round: the newest that it was in, counted from 1.
        last_contact: when it was heard of last, seconds since 1970.
        entries: of its ledger, where that lies on this machine.
        bytes: of all their arrays.
        problem: why the ledger cannot be trusted.
        ledger: its file; None where it lies elsewhere.
        budget: of its privacy; None without noise.
        model: its run, if that has made a model.
    """

    name: str
    state: SiteState
    cases: str = ""
    last_round: int | None = None
    last_contact: float | None = None
    entries: Sequence[LedgerEntry] = ()
    bytes: int = 0
    problem: str = ""
    ledger: Path | None = None
    budget: Budget | None = None
    model: Path | None = None


@dataclass(frozen=True, eq=False)
class StudyDetails:
    """What is shown of the study that is chosen.

    Attributes:
        row: of the table of studies.
        study: name of the study; empty while unknown.
        method: of the study; empty while unknown.
        sites: that take part, as far as they are known here.
        server: its run; None where it is elsewhere.
        model: the server's run, if that has made the model.
        curves: of server and sites, over rounds.
        metrics: names of the curves.
        log: its end.
        keep: whether it goes on when Slicer ends.
    """

    row: StudyRow
    study: str = ""
    method: str = ""
    sites: tuple[SiteSeen, ...] = ()
    server: RunStatus | None = None
    model: Path | None = None
    curves: tuple[Curve, ...] = ()
    metrics: tuple[str, ...] = ()
    log: str = ""
    keep: bool = True


@dataclass(frozen=True, eq=False)
class FederationSeen:
    """One look.

    Attributes:
        rows: studies and sites, what was heard of last first.
        begun: folders of starts that have come to work since the last look.
        failed: folders of those that ended before, with the reason.
        problem: why nothing could be seen; empty if it could.
        details: of the chosen study.
    """

    rows: tuple[StudyRow, ...] = ()
    begun: tuple[Path, ...] = ()
    failed: Mapping[Path, str] = field(default_factory=dict)
    problem: str = ""
    details: StudyDetails | None = None
