"""Looking at studies every second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from FedSimSlicerLib.federation_eyes import FederationEyes
from FedSimSlicerLib.federation_seen import FederationSeen
from FedSimSlicerLib.repeated_look import RepeatedLook

if TYPE_CHECKING:
    from FedSimSlicerLib.federation_privacy import EpsilonPlans
    from FedSimSlicerLib.federation_runs import FederationRuns


class FederationWatch(RepeatedLook[FederationSeen]):
    """Looks at the studies in a folder and at sites with kits; of the one that is chosen the details are wanted.

    Args:
        runs: whose processes are followed until they work.
        plans: works out what studies will have spent of privacy.
        kits: gives the kits that are known; called in the thread.
    """

    def __init__(self, runs: FederationRuns, plans: EpsilonPlans, kits: Callable[[], Sequence[Path]]) -> None:
        super().__init__(runs, FederationEyes(plans, kits).look, lambda problem: FederationSeen(problem=problem))
