"""What a site lets others do with its data: its own file, which no server can change. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from FedSimCore.errors import FedSimError

if TYPE_CHECKING:
    from FedSimCore.federated.study import Study

Method = Literal["exact", "fedavg", "fedprox", "fedopt"]
Moments = Literal["none", "diagonal", "full"]
_MORE: dict[str, int] = {"none": 0, "diagonal": 1, "full": 2}


class PolicyError(FedSimError):
    """A site refuses what a study asks of it."""


class Privacy(BaseModel):
    """Noise on everything that leaves a site (differential privacy of each case; docs/privacy.md).

    Attributes:
        clip: largest Euclidean norm that one case may add to a sum of gradients.
        noise: standard deviation of the noise on that sum, in units of ``clip``.
        delta: of the guarantee.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    clip: float = Field(gt=0, description="Largest norm of one case's gradient.")
    noise: float = Field(gt=0, description="Standard deviation of the noise, in units of clip.")
    delta: float = Field(default=1e-5, gt=0, lt=1, description="Probability that the guarantee does not hold.")

    def length(self, numbers: int, cases: int = 1) -> float:
        """Return the expected Euclidean norm of the noise in an update of so many numbers, of so many cases."""
        return self.noise * self.clip * float(numbers) ** 0.5 / cases


class SitePolicy(BaseModel):
    """A site's own rules.

    Every study is compared with them before anything is computed; what they forbid is refused with a sentence that
    the server sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    recipes: tuple[str, ...] = Field(
        default=("generator", "semi-supervised", "segmenter"), description="Recipes that the site takes part in."
    )
    methods: tuple[Method, ...] = Field(
        default=("exact", "fedavg", "fedprox", "fedopt"), description="How updates may be made."
    )
    least_cases: int = Field(default=2, ge=1, description="Fewest cases of its own that an update may be made of.")
    least_in_round: int = Field(
        default=4,
        ge=1,
        description="Fewest cases in one update without noise: of a single case it tells the latent, and of two or "
        "three more than it should.",
    )
    most_rounds: int | None = Field(default=None, ge=1, description="Rounds of one study; None: any number.")
    send_metrics: bool = Field(default=True, description="Mean losses of a round may be told to the server.")
    send_moments: Moments = Field(
        default="diagonal", description="What may be told of the distribution of the latents at the end."
    )
    privacy: Privacy | None = Field(
        default=None, description="Clip and noise that the site adds, whatever the study says; None: the study's."
    )
    most_epsilon: float | None = Field(
        default=None, gt=0, description="Epsilon of a whole study; a study without noise is refused then."
    )

    def require(self, study: Study, cases: int, in_round: int) -> None:
        """Check a study.

        Args:
            study: as the server sent it.
            cases: of this site that it would learn from.
            in_round: fewest cases of one update.

        Raises:
            PolicyError: it asks for something that is not allowed.
        """
        kind = study.kind
        if kind not in self.recipes:
            raise PolicyError(f"This site does not take part in the recipe {kind!r}, only in {_listed(self.recipes)}.")
        if study.method not in self.methods:
            raise PolicyError(f"This site does not allow the method {study.method!r}, only {_listed(self.methods)}.")
        if self.most_rounds is not None and study.rounds > self.most_rounds:
            raise PolicyError(f"This site allows {self.most_rounds} rounds of a study, not {study.rounds}.")
        if cases < self.least_cases:
            raise PolicyError(
                f"This site has {cases} cases for this study, fewer than its policy's {self.least_cases}."
            )
        self.require_in_round(study, in_round)

    def require_in_round(self, study: Study, cases: int) -> None:
        """Check how many cases an update is made of.

        Raises:
            PolicyError: too few.
        """
        if cases < self.least_in_round and self.privacy_of(study) is None:
            raise PolicyError(
                f"This site sends no update of {cases} case{'s' * (cases != 1)} without noise, but of "
                f"{self.least_in_round} at least; raise the recipe's batch_size, or let more cases take part "
                "(labelled and unlabelled ones have rounds of their own)."
            )

    def privacy_of(self, study: Study) -> Privacy | None:
        """Return the noise that is added: the site's own, or else the study's."""
        return self.privacy or study.privacy

    def metrics_of(self, study: Study) -> bool:
        """Return whether mean losses are told: never beside noise, whose guarantee they would break."""
        return self.send_metrics and study.send_metrics and self.privacy_of(study) is None

    def moments_of(self, study: Study) -> Moments:
        """Return what is told of the latents: the less of what site and study say, and nothing beside noise."""
        if self.privacy_of(study) is not None:
            return "none"
        return min(self.send_moments, study.latent_moments, key=lambda name: _MORE[name])


ON_ONE_MACHINE = SitePolicy(least_in_round=2)
"""Of a site whose study names no policy and runs on one machine, where nothing leaves it."""


class SiteFile(BaseModel):
    """What a site keeps to itself: ``site.json`` in its kit.

    Attributes:
        name: as the study calls the site.
        cohort: folder or table of its cases.
        cohort_site: the cohort's own name of the site, where it holds several; None: all of the cohort.
        runs: folder in which the site's runs are written.
        model: model folder to go on with (recipe semi-supervised).
        paths: where files that a recipe names lie at this site, by field, e.g. ``vgg19``.
        policy: its rules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")
    cohort: Path
    cohort_site: str | None = None
    runs: Path
    model: Path | None = None
    paths: dict[str, Path] = {}
    policy: SitePolicy = SitePolicy()


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
