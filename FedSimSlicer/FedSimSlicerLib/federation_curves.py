"""The curves of a study over its rounds: the server's means, and each site's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from FedSimCore.federated.following import RoundHistory
from FedSimCore.federated.status import ROUNDS_NAME
from FedSimSlicerLib.run_reader import REST_S
from FedSimSlicerLib.training_watch import Curve, thinned

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunHistory

WITHOUT = ("time/waiting_for_data",)


class StudyCurves:
    """Draws the curves of one study anew when something was told."""

    def __init__(self) -> None:
        self._rounds: dict[Path, RoundHistory] = {}
        self._drawn: tuple[tuple[int, ...], tuple[Curve, ...]] = (), ()

    def rounds_of(self, server: Path) -> RoundHistory:
        """Return the rounds that a server has closed, as far as they were read."""
        return self._rounds.setdefault(server, RoundHistory(server / ROUNDS_NAME))

    def look(self, server: RunHistory | None, sites: Mapping[str, RunHistory], local_steps: int) -> tuple[Curve, ...]:
        """Return the curves.

        What a site has told the server comes from the server. Sites whose runs lie on this machine are asked for the
        rest, which stays at home, such as their measurements.

        Args:
            server: the server's run; None where it is elsewhere.
            sites: runs of sites on this machine.
            local_steps: of a site in a round.
        """
        told = tuple(len(history.events) for history in (server, *sites.values()) if history is not None)
        if told != self._drawn[0] or len(told) != len(self._drawn[0]):
            curves = [*_of_server(server, frozenset(sites))] if server is not None else []
            known = {(curve.run, curve.metric) for curve in curves}
            for name, history in sites.items():
                for metric in history.metric_names():
                    if (name, metric) not in known and metric not in WITHOUT:
                        steps, values = history.curve(metric)
                        rounds = [step / local_steps for step in steps]
                        curves.append(Curve(name, metric, *thinned(rounds, values)))
                        time.sleep(REST_S)
            self._drawn = told, tuple(curves)
        return self._drawn[1]


def _of_server(server: RunHistory, sites: frozenset[str]) -> list[Curve]:
    """Return the server's curves: its own as those of all sites, ``a/loss`` as the loss of the site a."""
    found = []
    names = sites | {str(site["name"]) for site in server.run.config().get("study", {}).get("sites", [])}
    for metric in server.metric_names():
        site, _slash, rest = metric.partition("/")
        of_site = bool(rest) and site in names
        curve = Curve(site if of_site else _("all sites"), rest if of_site else metric, *thinned(*server.curve(metric)))
        found.append(curve)
        time.sleep(REST_S)
    return found
