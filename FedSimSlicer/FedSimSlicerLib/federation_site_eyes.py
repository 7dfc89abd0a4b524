"""Reading what a site has on this machine: its rules, its ledger, its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from FedSimCore.errors import FedSimError
from FedSimCore.federated.following import LedgerHistory, RoundHistory
from FedSimCore.federated.ledger import LEDGER_NAME
from FedSimCore.federated.policy import SitePolicy
from FedSimCore.files import read_json
from FedSimSlicerLib.federation_privacy import Budget, Expense
from FedSimSlicerLib.federation_seen import SiteSeen
from FedSimSlicerLib.federation_states import SiteState, state_alone, state_elsewhere, state_here
from FedSimSlicerLib.run_reader import read_in_portions

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry
    from FedSimCore.federated.study import Study
    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.federation_privacy import EpsilonPlans


class SiteEyes:
    """What is known of a site; used by the thread alone.

    Args:
        name: of the site.
        home: folder of its runs and its ledger.
        rules: file with its policy.
        plans: tells epsilons.
    """

    def __init__(self, name: str, home: Path, rules: Path, plans: EpsilonPlans) -> None:
        self._name, self._rules, self._plans = name, rules, plans
        self._ledger_file = home / LEDGER_NAME
        self._ledger = LedgerHistory(self._ledger_file)
        self._policy: tuple[float, SitePolicy] | None = None

    def look(self, run: RunStatus | None, study: Study, server: RunStatus | None, rounds: RoundHistory) -> SiteSeen:
        """Look at a site whose server is on this machine."""
        read_in_portions(self._ledger.update)
        newest = self._newest(study.name)
        record = next(reversed(rounds.rounds.values()), None)
        if server is None:
            state = state_alone(False, run, newest)
        else:
            state = state_here(self._name, server, run, newest, record)
        was_in = (number for number, record in reversed(rounds.rounds.items()) if self._name in record.sites)
        return self._seen(state, run, study, next(was_in, None))

    def look_alone(self, run: RunStatus | None, study: Study | None, alive: bool) -> SiteSeen:
        """Look at a site whose server is elsewhere."""
        read_in_portions(self._ledger.update)
        newest = self._newest(study.name if study is not None else "")
        state = state_alone(alive, run, newest)
        updates = (entry.round + 1 for entry in reversed(self._ledger.entries) if entry.message == "update")
        return self._seen(state, run, study, next(updates, None))

    def _seen(self, state: SiteState, run: RunStatus | None, study: Study | None, last_round: int | None) -> SiteSeen:
        entries = self._ledger.entries
        agreed = next((entry for entry in reversed(entries) if entry.message == "agreement"), None)
        cases = agreed.values.get("cases") if agreed is not None else None
        path = Path(run.path) if run is not None else None
        has_model = path is not None and (path / "model" / "generator.safetensors").is_file()
        return SiteSeen(
            self._name,
            state,
            "" if cases is None else str(cases),
            last_round,
            entries[-1].time if entries else None,
            tuple(entries),
            self._ledger.bytes,
            self._ledger.problem,
            self._ledger_file if entries else None,
            self._budget(study, cases),
            path if has_model else None,
        )

    def _newest(self, study: str) -> LedgerEntry | None:
        """Return the newest message of a study; a refusal to take part may name none."""
        entries = self._ledger.entries
        return next((entry for entry in reversed(entries) if entry.study in (study, "") or not study), None)

    def _budget(self, study: Study | None, cases: object) -> Budget | None:
        policy = self._own_policy()
        privacy = policy.privacy_of(study) if study is not None else policy.privacy
        if privacy is None:
            return None
        told = (entry.epsilon for entry in reversed(self._ledger.entries) if entry.epsilon is not None)
        planned = None
        if study is not None and isinstance(cases, int) and cases > 0:
            batch_size = study.config(None).batch_size
            planned = self._plans.planned(Expense(privacy.noise, privacy.delta, study.rounds, batch_size, cases))
        return Budget(privacy, next(told, 0.0), planned, policy.most_epsilon)

    def _own_policy(self) -> SitePolicy:
        """Return the site's rules; those that hold by default where its file can't be read."""
        try:
            changed = self._rules.stat().st_mtime
            if self._policy is None or self._policy[0] != changed:
                self._policy = changed, SitePolicy.model_validate(read_json(self._rules)["policy"])
        except (FedSimError, OSError, ValueError, KeyError, TypeError):
            return SitePolicy()
        return self._policy[1]


def site_elsewhere(name: str, server: RunStatus | None, rounds: RoundHistory) -> SiteSeen:
    """Return what the server knows of a site that is on another machine."""
    record = next(reversed(rounds.rounds.values()), None)
    mine = next((record for record in reversed(rounds.rounds.values()) if name in record.sites), None)
    return SiteSeen(
        name,
        state_elsewhere(name, server, record) if server is not None else SiteState("waiting"),
        f"{mine.sites[name]} a round" if mine is not None else "",
        mine.round if mine is not None else None,
        mine.time if mine is not None else None,
    )
