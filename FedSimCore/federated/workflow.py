"""How a study goes, round by round, whatever carries the messages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from FedSimCore.errors import CancelledError
from FedSimCore.federated.messages import RefusedUpdate, Reply, Request
from FedSimCore.federated.server import Server
from FedSimCore.training.task import TrainingError

_MOST_REFUSALS = 3
"""So often in a round a site is asked again after an answer that can't be used."""
_ASK_AGAIN_S = 0.5
_LOOK_AFTER_S = 15.0
"""So often a site that is gone is asked whether it is back."""
_KNOCK_S = 3.0


class Link(Protocol):
    """Carries requests to sites and brings their answers."""

    def ask(self, request: Request, sites: Sequence[str], seconds: float) -> Mapping[str, Reply]:
        """Ask sites the same thing at once.

        Args:
            request: what.
            sites: whom.
            seconds: the longest wait.

        Returns:
            The answers that came in time; a site without one is left out.
        """


def conduct(server: Server, link: Link) -> None:
    """Bring a study from where it is to its end.

    Raises:
        CancelledError: somebody asked the server to stop; its checkpoint and the sites' are of the same round.
        TrainingError: sites refuse, or send what can't be used, and the study cannot go on without them.
        DiskError: the disk is full.
    """
    conductor = _Conductor(server, link)
    try:
        conductor.run()
    except CancelledError as error:
        server.end("stopped", str(error))
        raise
    except Exception as error:
        conductor.end_sites("The study ended at the server; its log says why.")
        server.end("failed", str(error))
        raise


@dataclass
class _Gathered:
    """What a round has so far."""

    updates: dict[str, Reply] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)


class _Conductor:
    def __init__(self, server: Server, link: Link) -> None:
        self._server, self._link, self._study = server, link, server.study
        self._gone: dict[str, float] = {}  # Site to the time at which it is asked again.

    def run(self) -> None:
        server, study = self._server, self._study
        self._begin()
        while server.averaging.round < study.rounds:
            if server.wants_stop():
                self._stop()
            self._look_after_gone()
            began = time.monotonic()
            gathered = self._gather()
            server.close_round(gathered.updates, gathered.norms, gathered.absent, time.monotonic() - began)
        self._finish()

    def _begin(self) -> None:
        """Ask all sites to agree, and wait for as many as the study needs."""
        study, deadline = self._study, time.monotonic() + self._study.deadline_s
        missing = list(study.site_names)
        while True:
            agreed = self._agreed(missing, _KNOCK_S * 10)
            missing = [site for site in missing if site not in agreed]
            there = len(study.site_names) - len(missing)
            late = time.monotonic() > deadline
            if not missing or (late and study.when_late == "go-on" and there >= study.fewest):
                break
            if late:
                self._server.reporter.warn(f"Still waiting for {', '.join(missing)}.")
                deadline = time.monotonic() + study.deadline_s
            if self._server.wants_stop():
                self._stop()
            time.sleep(_ASK_AGAIN_S)
        self._gone = dict.fromkeys(missing, 0.0)

    def _agreed(self, sites: Sequence[str], seconds: float) -> list[str]:
        """Ask sites to agree to the study; returns those that have.

        Raises:
            TrainingError: a site's policy forbids it.
        """
        study = self._study
        values = {"study": study.for_sites().model_dump(mode="json")}
        replies = self._link.ask(Request("agree", self._server.averaging.round, {}, values), sites, seconds)
        for site, reply in replies.items():
            if reply.kind == "agreement":
                self._server.reporter.note(f"{site} takes part with {reply.values.get('cases')} cases.")
        refused = {site: reply.reason for site, reply in replies.items() if reply.kind != "agreement"}
        if refused and len(study.site_names) - len(refused) < study.fewest:
            raise TrainingError(f"The study cannot begin or go on: {_listed(refused)}")
        for site, reason in refused.items():
            self._server.reporter.warn(f"{site} does not take part: {reason}")
        return [site for site, reply in replies.items() if reply.kind == "agreement"]

    def _look_after_gone(self) -> None:
        due = [site for site, when in self._gone.items() if time.monotonic() >= when]
        if not due:
            return
        back = self._agreed(due, _KNOCK_S)
        for site in due:
            if site in back:
                del self._gone[site]
            else:
                self._gone[site] = time.monotonic() + _LOOK_AFTER_S

    def _gather(self) -> _Gathered:
        """Gather a round's updates.

        A site whose answer can't be used, or that has none, is asked again until the deadline. After it, the study
        says whether the others go on without it.
        """
        server, study = self._server, self._study
        request = Request("round", server.averaging.round, server.averaging.weights())
        deadline = time.monotonic() + study.deadline_s
        found = _Gathered(absent=dict.fromkeys(self._gone, "it is gone"))
        wanted = [site for site in study.site_names if site not in self._gone]
        while True:
            missing = [site for site in wanted if site not in found.updates]
            replies = self._link.ask(request, missing, max(deadline - time.monotonic(), _ASK_AGAIN_S))
            for site in missing:
                self._take(found, site, replies.get(site))
            missing = [site for site in missing if site not in found.updates]
            if not missing and len(found.updates) >= study.fewest:
                return found
            given_up = all(found.refusals.get(site, 0) >= _MOST_REFUSALS for site in missing)
            late = time.monotonic() >= deadline
            enough = len(found.updates) >= study.fewest and study.when_late == "go-on"
            if enough and (late or given_up):
                self._gone |= {site: time.monotonic() + _LOOK_AFTER_S for site in missing}
                return found
            if given_up and missing:
                raise TrainingError(
                    f"Round {server.averaging.round + 1} cannot be closed: {_listed(found.absent)} "
                    f"The weights are those of round {server.averaging.round}."
                )
            if late:
                server.reporter.warn(f"Round {server.averaging.round + 1} waits: {_listed(found.absent)}")
                deadline = time.monotonic() + study.deadline_s
                wanted = list(study.site_names)  # Whoever is back counts.
            if server.wants_stop():
                self._stop(within_round=True)
            time.sleep(_ASK_AGAIN_S)
            self._agreed([site for site in missing if site in replies], _KNOCK_S)

    def _take(self, found: _Gathered, site: str, reply: Reply | None) -> None:
        """Keep a site's update, or why there is none."""
        if reply is None:
            found.absent[site] = "it has not answered"
            return
        try:
            if reply.kind != "update":
                raise RefusedUpdate(reply.reason)
            found.norms[site] = self._server.averaging.check(reply, self._server.averaging.round)
        except RefusedUpdate as error:
            found.absent[site] = str(error)
            found.refusals[site] = found.refusals.get(site, 0) + 1
            self._server.reporter.warn(
                f"Round {self._server.averaging.round + 1}: what {site} sent was not used. {error}"
            )
            return
        found.updates[site] = reply
        found.absent.pop(site, None)

    def _stop(self, within_round: bool = False) -> None:
        """Save, let the sites save the same round, and end.

        Within a round some sites have made their step already and others have not: then nothing is saved, and all go
        on from the last checkpoint that they have in common.

        Raises:
            CancelledError: always.
        """
        server = self._server
        if not within_round:
            server.save()
        self.end_sites(f"The study was stopped after round {server.averaging.round}.", save=not within_round)
        raise CancelledError(
            f"Stopped after round {server.averaging.round} of {self._study.rounds} because {server.wants_stop.reason}; "
            "go on with `fedsim federate resume`."
        )

    def end_sites(self, reason: str, save: bool = False) -> None:
        """Let the sites close their runs, as far as they hear it; ``save``: with a checkpoint of this round."""
        request = Request("stop", self._server.averaging.round, {}, {"reason": reason, "save": save})
        with suppress(CancelledError):
            self._link.ask(request, self._there(), 10 * _KNOCK_S)

    def _finish(self) -> None:
        server, study = self._server, self._study
        normal = None
        if server.averaging.part.latent_size:
            told = self._link.ask(Request("moments", study.rounds), self._there(), study.deadline_s)
            normal = server.normal_of({site: reply for site, reply in told.items() if reply.kind == "moments"})
        request = Request("finish", study.rounds, server.finish(normal))
        done = self._link.ask(request, self._there(), study.deadline_s)
        for site in study.site_names:
            if site not in done or done[site].kind != "done":
                reason = done[site].reason if site in done else "it has not answered"
                server.reporter.warn(f"{site} has not written its model: {reason}")
        server.end("finished")

    def _there(self) -> list[str]:
        return [site for site in self._study.site_names if site not in self._gone]


def _listed(reasons: Mapping[str, str]) -> str:
    return " ".join(f"{site}: {reason.rstrip('.')}." for site, reason in reasons.items())
