"""How much a site's messages can tell of one case: the accountant of Opacus, for the way in which cases are used here.

The guarantee is for one case of one site, of which everything that the site has sent would look nearly the same had
that case added nothing (zero-out adjacency: the numbers of cases are no secret). No case is drawn at random: an order
goes round all cases. So nothing is gained from sampling, and a case that was used T times has T Gaussian mechanisms.
"""

from __future__ import annotations

from functools import lru_cache

from FedSimCore.errors import MissingDependencyError


def uses_of(rounds: int, batch_size: int, cases: int) -> int:
    """Return how often a case is used at most: an order of cases goes round all before it comes to one again.

    Args:
        rounds: of the study, a step each.
        batch_size: cases in a step.
        cases: of the site.
    """
    return rounds * min(batch_size, cases) // cases + 1 if rounds else 0


@lru_cache(maxsize=4096)
def epsilon_of(noise: float, uses: int, delta: float) -> float:
    """Return epsilon of Gaussian mechanisms one after the other.

    An upper bound from Renyi differential privacy (Mironov 2017), as Opacus computes it; a few percent above the exact
    one, which for Gaussian noise without sampling is known (Balle and Wang 2018).

    Args:
        noise: standard deviation over the largest norm of one case's share.
        uses: how often a case is used.
        delta: probability with which the guarantee need not hold.

    Raises:
        MissingDependencyError: Opacus is missing.
    """
    if uses == 0:
        return 0.0
    try:
        from opacus.accountants import RDPAccountant
    except ImportError as error:
        raise MissingDependencyError(
            'Differential privacy needs opacus; install it with pip install "fedsim[federated]".'
        ) from error
    accountant = RDPAccountant()
    accountant.history = [(noise, 1.0, uses)]
    return float(accountant.get_epsilon(delta))
