"""The gate through which everything leaves a site: checked against its policy, then written into its ledger."""

from __future__ import annotations

from typing import Any

from FedSimCore.federated.accounting import epsilon_of, uses_of
from FedSimCore.federated.ledger import Ledger
from FedSimCore.federated.messages import AllowList, Reply, bytes_of, checksum_of, norm_of
from FedSimCore.federated.policy import PolicyError, SitePolicy
from FedSimCore.federated.study import Study

_VALUES = {"agreement": {"cases", "study_sha256", "metrics"}, "update": {"cases", "metrics"}, "moments": {"cases"}}
_NOTHING = AllowList({})


class Gate:
    """Lets messages of one study out.

    Attributes:
        allowed: arrays of an update, and of the weights that come in.
        moments: arrays that tell of the latents' distribution.
        privacy: noise on every update, or None.
        tells_metrics: whether mean losses go with an update.
    """

    def __init__(
        self,
        ledger: Ledger,
        study: Study,
        policy: SitePolicy,
        cases: int,
        batch_size: int,
        allowed: AllowList,
        moments: AllowList,
    ) -> None:
        """Open the gate for a study that the policy allows.

        Args:
            ledger: of the site.
            study: as agreed.
            policy: of the site.
            cases: that the site learns from.
            batch_size: of a step.
            allowed: arrays of an update.
            moments: arrays that tell of the latents.

        Raises:
            PolicyError: the study's epsilon would be larger than the policy allows, or the site's own noise longer
                than the server takes.
        """
        self.allowed, self.moments = allowed, moments
        self.privacy, self.tells_metrics = policy.privacy_of(study), policy.metrics_of(study)
        self._ledger, self._study, self._policy = ledger, study, policy
        self._batch_size, self._cases = batch_size, cases
        self.epsilon_at_end = self.epsilon(study.rounds)
        self._require_room_for_noise()
        limit = policy.most_epsilon
        if limit is not None and (self.epsilon_at_end is None or self.epsilon_at_end > limit):
            found = "no bound at all" if self.epsilon_at_end is None else f"{self.epsilon_at_end:.2f}"
            raise PolicyError(
                f"This site allows epsilon = {limit:g} for a study, but this one has {found}; use more noise or fewer "
                "rounds."
            )

    def _require_room_for_noise(self) -> None:
        longest = self._study.longest_update(self.allowed.numbers)
        count = min(self._batch_size, self._cases)
        found = self.privacy.length(self.allowed.numbers, count) if self.privacy is not None else 0.0
        if found > longest:
            raise PolicyError(
                f"With the noise that this site adds its updates would be about {found:.0f} long, but the study "
                f"refuses those longer than {longest:.0f}; it needs a largest_norm of {1.1 * found:.0f}."
            )

    def epsilon(self, rounds: int) -> float | None:
        """Return the epsilon of so many rounds for each case of the site; None without noise."""
        if self.privacy is None:
            return None
        uses = uses_of(rounds, self._batch_size, self._cases)
        return epsilon_of(self.privacy.noise, uses, self.privacy.delta)

    def require_budget(self, round_: int) -> None:
        """Check that one round more may be made.

        Raises:
            PolicyError: the policy's epsilon or rounds are used up.
        """
        limit, after = self._policy.most_epsilon, self.epsilon(round_ + 1)
        if limit is not None and (after is None or after > limit):
            raise PolicyError(f"This site's epsilon of {limit:g} is used up.")

    def release(self, reply: Reply) -> Reply:
        """Write a message into the ledger, and return it to be sent.

        Raises:
            PolicyError: it has something that may not leave.
            RefusedUpdate: its arrays are not those that were agreed on.
            DiskError: the ledger can't be written, so the message must not be sent.
        """
        allowed = {"update": self.allowed, "moments": self.moments}.get(reply.kind, _NOTHING)
        allowed.check(reply.arrays)
        strange = sorted(set(reply.values) - _VALUES.get(reply.kind, {"reason"}))
        if strange or ("metrics" in reply.values and reply.kind == "update" and not self.tells_metrics):
            raise PolicyError(f"The site's policy does not let {strange[0] if strange else 'metrics'!r} leave.")
        if reply.kind == "update":
            self._policy.require_in_round(self._study, int(reply.values["cases"]))
        noisy = self.privacy is not None and reply.kind == "update"
        record(self._ledger, self._study, reply, self._filter() if noisy else "none", self._spent(reply))
        return reply

    def _spent(self, reply: Reply) -> float | None:
        return self.epsilon(reply.round + 1) if reply.kind == "update" else None

    def _filter(self) -> str:
        assert self.privacy is not None
        return f"each case clipped to norm {self.privacy.clip:g}, noise of {self.privacy.noise:g} times that added"

    def in_words(self) -> str:
        """Return in one sentence what leaves."""
        sentence = (
            f"Each round {len(self.allowed.shapes)} arrays leave this site"
            + (" with the mean losses" if self.tells_metrics else "")
            + (
                f"; {self._filter()}, epsilon {self.epsilon_at_end:.2f} at the end"
                if self.privacy
                else ", without noise"
            )
        )
        told = {0: "nothing", 1: "mean and variances"}.get(
            max((len(s) for s in self.moments.shapes.values()), default=0)
        )
        return f"{sentence}. At the end {told or 'mean and covariance'} of its latents."


def record(
    ledger: Ledger, study: Study | None, reply: Reply, filter_: str = "none", epsilon: float | None = None
) -> None:
    """Write a message into a ledger.

    Raises:
        DiskError: the ledger can't be written.
    """
    values: dict[str, Any] = dict(reply.values)
    ledger.record(
        study=study.name if study else "",
        study_sha256=study.digest if study else "",
        message=reply.kind,
        round=reply.round,
        shapes={name: array.shape for name, array in reply.arrays.items()},
        norms={name: norm_of({name: array}) for name, array in reply.arrays.items()},
        bytes=bytes_of(reply.arrays),
        sha256=checksum_of(reply.arrays),
        values=values,
        filter=filter_,
        epsilon=epsilon,
    )
