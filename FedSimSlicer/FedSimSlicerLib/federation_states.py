"""What a site of a study is doing, told from what lies in the folders of server and site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry
    from FedSimCore.federated.status import RoundRecord
    from FedSimCore.runs.history import RunStatus

Doing = Literal["waiting", "computing", "sent", "away", "refused", "finished", "stopped"]
RUNNING = ("running", "stopping")


@dataclass(frozen=True)
class SiteState:
    """What a site is doing.

    Attributes:
        doing: ``"waiting"`` for the study, ``"computing"`` a round, has ``"sent"`` its update and waits for the others,
            is ``"away"``, has ``"refused"``, has ``"finished"`` or ``"stopped"``.
        reason: one sentence; empty where there is nothing to say.
    """

    doing: Doing
    reason: str = ""


def state_here(
    name: str, server: RunStatus, run: RunStatus | None, newest: LedgerEntry | None, record: RoundRecord | None
) -> SiteState:
    """Return the state of a site whose server is on this machine too.

    Args:
        name: of the site.
        server: the server's run.
        run: the site's; None before the first.
        newest: of the site's ledger.
        record: of the newest round.
    """
    if newest is not None and newest.message == "refusal":
        return SiteState("refused", str(newest.values.get("reason", "")))
    if server.state == "finished":
        return SiteState("finished" if run is not None and run.state == "finished" else "away")
    if server.state not in RUNNING:
        return SiteState("stopped" if run is not None else "waiting")
    if run is None or run.session == 0 or newest is None:
        return SiteState("waiting", run.stage if run is not None else "")
    if run.state not in RUNNING and newest.message != "done":
        return SiteState("away", run.reason or _("Its process has ended without a word."))
    if record is not None and name in record.absent and newest.time < record.time:
        return SiteState("away", record.absent[name])
    return _state_of_message(newest, server.step)


def state_alone(alive: bool, run: RunStatus | None, newest: LedgerEntry | None) -> SiteState:
    """Return the state of a site whose server is elsewhere: what it computes shows only in what it sends.

    Args:
        alive: whether its process runs.
        run: its newest.
        newest: of its ledger.
    """
    if newest is not None and newest.message == "refusal":
        return SiteState("refused", str(newest.values.get("reason", "")))
    if run is not None and run.state == "finished":
        return SiteState("finished")
    if not alive:
        return SiteState("stopped" if run is not None else "waiting", run.reason if run is not None else "")
    if run is None or run.state not in RUNNING or newest is None:
        return SiteState("waiting", _("It waits for the server."))
    return SiteState("computing" if newest.message == "agreement" else "sent")


def state_elsewhere(name: str, server: RunStatus, record: RoundRecord | None) -> SiteState:
    """Return the state of a site that is on another machine, as the server sees it."""
    if server.state == "finished":
        return SiteState("finished")
    if server.state not in RUNNING:
        return SiteState("stopped" if record is not None else "waiting")
    if record is None:
        return SiteState("waiting")
    if name in record.absent:
        return SiteState("away", record.absent[name])
    return SiteState("computing")


def _state_of_message(newest: LedgerEntry, rounds_done: int) -> SiteState:
    if newest.message == "agreement" or (newest.message == "update" and newest.round < rounds_done):
        return SiteState("computing")
    return SiteState("finished" if newest.message == "done" else "sent")


def doing_text(doing: Doing) -> str:
    """Return a state in words."""
    return {
        "waiting": _("waiting"),
        "computing": _("computing"),
        "sent": _("sent"),
        "away": _("away"),
        "refused": _("refused"),
        "finished": _("finished"),
        "stopped": _("stopped"),
    }[doing]


DOING_TIPS = {
    "waiting": _("It has not agreed to the study yet: it reads its cases, or the server has not asked."),
    "computing": _("It computes this round on its own cases."),
    "sent": _("Its part of this round has left; it waits for the others."),
    "away": _("It is not there; the study says whether the others wait."),
    "refused": _("Its own rules forbid what it was asked for; nothing was sent but this refusal."),
    "finished": _("It has the study’s model."),
    "stopped": _("The study does not run."),
}
