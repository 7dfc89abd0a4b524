"""The study: which sites learn what, how, and what may be sent. A JSON file; no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from FedSimCore.errors import InputError
from FedSimCore.federated.policy import Method, Moments, Privacy, SitePolicy
from FedSimCore.files import read_json
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.recipes import KINDS, SCHEMA, ConfigError, checked_config, read_recipe, with_settings

STUDY_SCHEMA = "fedsim/study/1"
FEDERATED_KINDS = ("generator", "semi-supervised", "segmenter")
"""Recipes with a shared part: see :mod:`FedSimCore.federated.shared`."""
_SPREAD = 1.05
"""The length of noise of many numbers hardly differs from its expectation."""
ELSEWHERE = Path("/at/the/site")
"""Stands for a site's own paths where a config is needed without its data: at the server."""


class StudySite(BaseModel):
    """A site of a study.

    Attributes:
        name: of the site; names its kit and its certificate.
        cohort: its data, for a study on one machine; in a kit the site says it itself.
        cohort_site: see :class:`~FedSimCore.federated.policy.SiteFile`.
        model: likewise.
        policy: its rules for a study on one machine, and those that its kit begins with; None: the usual ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")
    cohort: Path | None = None
    cohort_site: str | None = None
    model: Path | None = None
    policy: SitePolicy | None = None


class Study(BaseModel):
    """What is learnt, by whom, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", description="Of the study.")
    recipe: dict[str, Any] = Field(description="Recipe and its fields, as in a recipe file, without paths of data.")
    sites: tuple[StudySite, ...] = Field(min_length=1, description="Who takes part.")
    rounds: int = Field(ge=1, description="Exchanges between server and sites.")
    method: Method = Field(
        default="exact",
        description="exact: a gradient a round, one optimizer step at the server (the paper's). fedavg, fedprox, "
        "fedopt: local_steps at each site a round, then an average of what they changed.",
    )
    local_steps: int = Field(default=1, ge=1, description="Steps of a site in a round; 1 for exact.")
    proximal: float = Field(default=0.01, ge=0, description="FedProx: weight of the distance to the round's weights.")
    server_learning_rate: float = Field(default=1e-3, gt=0, description="FedOpt: Adam's rate at the server.")
    min_sites: int | None = Field(default=None, ge=1, description="Fewest sites in a round; None: all.")
    deadline_s: float = Field(default=600, gt=0, description="Longest wait for a site in a round, seconds.")
    when_late: Literal["wait", "go-on"] = Field(
        default="wait", description="After the deadline: wait for the site, or go on without it if min_sites are there."
    )
    largest_norm: float = Field(
        default=1e3,
        gt=0,
        description="Updates with a larger Euclidean norm, beyond that of the noise, are refused by the server.",
    )
    privacy: Privacy | None = Field(default=None, description="Noise that every site adds at least.")
    send_metrics: bool = Field(default=True, description="Sites tell the mean losses of a round.")
    latent_moments: Moments = Field(
        default="diagonal", description="What sites tell of their latents' distribution at the end."
    )
    checkpoint_every: int = Field(
        default=50, ge=1, description="Rounds between two checkpoints, at the server and sites."
    )
    report_every: int = Field(default=1, ge=1, description="Rounds between two progress events.")
    evaluate_every: int = Field(default=100, ge=1, description="Rounds between two measurements at the sites.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Of every random number.")

    @field_validator("sites")
    @classmethod
    def _different(cls, sites: tuple[StudySite, ...]) -> tuple[StudySite, ...]:
        names = [site.name for site in sites]
        if len({*names, "server"}) != len(names) + 1:
            raise ValueError("every site needs a name of its own, and none may be called server")
        return sites

    @field_validator("recipe")
    @classmethod
    def _federated(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        if recipe.get("recipe") not in FEDERATED_KINDS:
            raise ValueError(f"its recipe must be one of {', '.join(FEDERATED_KINDS)}")
        return recipe

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if self.method == "exact" and self.local_steps != 1:
            raise ValueError("local_steps must be 1 with the method exact")
        if self.min_sites is not None and self.min_sites > len(self.sites):
            raise ValueError(f"min_sites = {self.min_sites}, but there are {len(self.sites)} sites")
        if self.privacy is not None and (self.method != "exact" or self.kind != "generator"):
            raise ValueError("privacy needs the recipe generator and the method exact, where cases are clipped singly")
        return self

    @property
    def kind(self) -> str:
        """Kind of the recipe."""
        return str(self.recipe["recipe"])

    @property
    def site_names(self) -> tuple[str, ...]:
        """Names of the sites, in their order."""
        return tuple(site.name for site in self.sites)

    @property
    def fewest(self) -> int:
        """Fewest sites in a round."""
        return self.min_sites or len(self.sites)

    def longest_update(self, numbers: int) -> float:
        """Return the largest Euclidean norm of an update of so many numbers that the server takes.

        With noise it is that of a single case's noise more, since noise alone may be longer than any gradient.
        """
        return self.largest_norm + (_SPREAD * self.privacy.length(numbers) if self.privacy is not None else 0.0)

    @property
    def digest(self) -> str:
        """Checksum of what server and sites have to agree on."""
        return hashlib.sha256(self.for_sites().model_dump_json().encode()).hexdigest()

    def for_sites(self) -> Study:
        """Return what sites are told: no site hears of another's folders or rules."""
        return self.model_copy(update={"sites": tuple(StudySite(name=name) for name in self.site_names)})

    def config(self, site: str | None, /, **own: Any) -> TrainingConfig:
        """Return the recipe's config.

        Args:
            site: whose; None for the server's, which has no data.
            own: fields that only the site knows, such as its cohort.

        Raises:
            ConfigError: a field can't be used.
        """
        drawn = int.from_bytes(hashlib.sha256(f"{self.seed} {site}".encode()).digest()[:4], "little")
        fields = {
            **dict.fromkeys(_missing_paths(self.kind), str(ELSEWHERE)),
            **({"site": ELSEWHERE.name} if self.kind == "semi-supervised" else {}),
            "checkpoint_minutes": 1e9,
            "checkpoints_kept": 3,
            **self.recipe,
            "seed": self.seed if site is None else drawn,
            "steps": self.rounds * self.local_steps,
            "report_every": self.report_every * self.local_steps,
            "evaluate_every": self.evaluate_every * self.local_steps,
            "checkpoint_every": self.checkpoint_every * self.local_steps,
            **own,
        }
        return checked_config(fields, f"The recipe of {self.name}")


def _missing_paths(kind: str) -> list[str]:
    fields = KINDS[kind].model_fields
    return [name for name in KINDS[kind].paths if fields[name].is_required() or name == "cohort"]


def read_study(path: Path, settings: Sequence[str] = ()) -> Study:
    """Read a study file; its relative paths start at its folder.

    Args:
        path: JSON.
        settings: ``KEY=VALUE`` changes.

    Raises:
        ConfigError: a field is missing, unknown or impossible; the sentence tells every one.
        InputError: the file can't be read.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != STUDY_SCHEMA:
        raise InputError(f"{path} is no study of FedSim ({STUDY_SCHEMA}); docs/federated.md shows one.")
    fields = {key: value for key, value in content.items() if key not in ("schema", "comment")}
    return checked_study(_whole_paths(with_settings(fields, settings), path.resolve().parent), path)


def checked_study(fields: Mapping[str, Any], origin: str | Path) -> Study:
    """Check a study's fields, and those of its recipe.

    Raises:
        ConfigError: a field is missing, unknown or impossible; the sentence tells every one.
    """
    try:
        study = Study.model_validate(dict(fields))
    except ValidationError as error:
        wrong = {".".join(map(str, e["loc"])) or "study": _reason(e) for e in error.errors()}
        raise ConfigError(origin, wrong) from error
    study.config(None)
    return study


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is no field of a study"
    reason = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"cannot be used ({reason[:1].lower()}{reason[1:]})"


def _whole_paths(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make a study's paths whole, and put a recipe that is named by a text in its place."""
    recipe = fields.get("recipe")
    if isinstance(recipe, str):
        named, _ = read_recipe(str(folder / recipe) if recipe.endswith(".json") else recipe)
        fields["recipe"] = named
    elif isinstance(recipe, dict):
        kind = KINDS.get(str(recipe.get("recipe")))
        for name in kind.paths if kind is not None else ():
            if isinstance(recipe.get(name), str):
                recipe[name] = str(folder / recipe[name])
        recipe.pop("schema", None) if recipe.get("schema") == SCHEMA else None
    for site in fields.get("sites", []) if isinstance(fields.get("sites"), list) else []:
        for name in ("cohort", "model"):
            if isinstance(site, dict) and isinstance(site.get(name), str):
                site[name] = str(folder / site[name])
    return fields
