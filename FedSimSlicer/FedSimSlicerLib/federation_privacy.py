"""How much privacy a site has spent in a study, and how much it will have at the end, in plain words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from FedSimSlicerLib.interpreter import python_interpreter
from FedSimSlicerLib.python_path import find_fedsim_core

if TYPE_CHECKING:
    from FedSimCore.federated.policy import Privacy

WITHIN_S = 300.0


@dataclass(frozen=True)
class Expense:
    """What decides the epsilon of a site at the end of a study.

    Attributes:
        noise: standard deviation over the largest norm of a case's share.
        delta: of the guarantee.
        rounds: of the study.
        batch_size: cases in a round.
        cases: of the site.
    """

    noise: float
    delta: float
    rounds: int
    batch_size: int
    cases: int


@dataclass(frozen=True)
class Budget:
    """A site's privacy budget.

    Attributes:
        privacy: clip and noise.
        spent: epsilon so far.
        planned: at the end; None while that is worked out.
        limit: most that the site allows; None without one.
    """

    privacy: Privacy
    spent: float = 0.0
    planned: float | None = None
    limit: float | None = None

    @property
    def share(self) -> float | None:
        """Spent of the planned, 0 to 1; None while that is unknown."""
        return min(1.0, self.spent / self.planned) if self.planned else None


class EpsilonPlans:
    """Works epsilons out with ``fedsim federate epsilon`` in a process of its own: its accountant needs torch."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fedsim-epsilon")
        self._asked: dict[Expense, Future[float | None]] = {}

    def planned(self, expense: Expense) -> float | None:
        """Return the epsilon at the end; None while it is worked out, and where Opacus is missing."""
        if expense not in self._asked:
            self._asked[expense] = self._executor.submit(worked_out, expense)
        asked = self._asked[expense]
        return asked.result() if asked.done() and not asked.cancelled() else None

    @property
    def failed(self) -> bool:
        """Whether one could not be worked out."""
        done = [asked for asked in self._asked.values() if asked.done() and not asked.cancelled()]
        return any(asked.result() is None for asked in done)

    def close(self) -> None:
        """Work nothing more out."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def worked_out(expense: Expense) -> float | None:
    """Return the epsilon at the end of a study, or None where it can't be worked out; takes seconds."""
    options = ("noise", "delta", "rounds", "batch_size", "cases")
    given = [part for name in options for part in (f"--{name.replace('_', '-')}", str(getattr(expense, name)))]
    path = os.pathsep.join(filter(None, [find_fedsim_core(), os.environ.get("PYTHONPATH")]))
    command = [python_interpreter(), "-m", "FedSimCore.cli.main", "federate", "epsilon", *given, "--json"]
    try:
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, "PYTHONPATH": path}, timeout=WITHIN_S, check=True
        )
        return float(json.loads(done.stdout)["epsilon"][0])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError):
        return None


def budget_text(name: str, budget: Budget) -> str:
    """Return what a site has spent, and may."""
    parts = [_("epsilon {spent:.2f} spent").format(spent=budget.spent)]
    if budget.planned is not None:
        parts.append(_("{planned:.2f} at the end").format(planned=budget.planned))
    if budget.limit is not None:
        parts.append(_("at most {limit:g} allowed here").format(limit=budget.limit))
    return f"{name}: {', '.join(parts)}."


def noise_text(names: Sequence[str], privacy: Privacy) -> str:
    """Return how sites add noise."""
    return _(
        "{sites}: each case is clipped to norm {clip:g} and gets noise of {noise:g} times that (delta {delta:g})."
    ).format(sites=", ".join(names), clip=privacy.clip, noise=privacy.noise, delta=privacy.delta)


def without_text(names: Sequence[str]) -> str:
    """Return what holds for sites that add no noise."""
    return _(
        "{sites}: no noise is added. Nothing bounds what the updates tell of a case, beyond that they are sums over "
        "several cases."
    ).format(sites=", ".join(names))


def explanation() -> str:
    """Return what epsilon is."""
    return _(
        "Epsilon bounds how much surer anybody who reads all updates can become that a certain case was among the "
        "site’s. Below 1 is strong, above 10 says little."
    )
