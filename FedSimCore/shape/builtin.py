"""How the model that ships with FedSim is made: from phantoms, since no patient's shape may be shared."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from FedSimCore.cohorts.phantom import make_label_map
from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.progress import Progress, silent
from FedSimCore.resources import resource_path
from FedSimCore.shape.build import build_model, provenance_now
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.model import ShapeModel

RECIPE = "shape/builtin.json"


class PhantomGroup(BaseModel):
    """Phantoms of one site with seeds in a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    site: str
    first_seed: int = Field(ge=0)
    count: int = Field(ge=1)


class Recipe(BaseModel):
    """What the built-in model is made of, ``Resources/shape/builtin.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_: str = Field(alias="schema", pattern="^fedsim/builtin-model/1$")
    comment: str = ""
    modes: int = Field(ge=1)
    limit_sigma: float = Field(gt=0)
    seed: int = Field(ge=0)
    phantoms: tuple[PhantomGroup, ...]


def builtin_recipe() -> Recipe:
    """Return what the built-in model is made of."""
    return Recipe.model_validate(read_json(resource_path(RECIPE)))


def phantom_hearts(
    groups: tuple[PhantomGroup, ...], progress: Progress = silent
) -> tuple[list[LabelledHeart], dict[str, int], list[str]]:
    """Make the label maps of phantoms.

    Returns:
        The hearts that have all seven regions; their number for each site; one sentence for each left out
        (severe defects may lack a chamber, which a model of seven surfaces cannot have).
    """
    hearts: list[LabelledHeart] = []
    sites: dict[str, int] = {}
    skipped: list[str] = []
    jobs = [(group.site, group.first_seed + k) for group in groups for k in range(group.count)]
    for number, (site, seed) in enumerate(jobs):
        progress(number, len(jobs), "making phantoms")
        heart = LabelledHeart.from_volume(f"{site}-{seed}", make_label_map(site, seed))
        try:
            heart.require_all_regions()
        except InputError as error:
            skipped.append(str(error))
            continue
        hearts.append(heart)
        sites[site] = sites.get(site, 0) + 1
    progress(len(jobs), len(jobs), "making phantoms")
    return hearts, sites, skipped


def build_builtin_model(command: str, progress: Progress = silent) -> ShapeModel:
    """Build the model that ships with FedSim anew.

    Args:
        command: what was called, for the provenance.
        progress: told of every step.
    """
    recipe = builtin_recipe()
    hearts, sites, skipped = phantom_hearts(recipe.phantoms, progress)
    provenance = provenance_now("FedSim phantoms", sites, command, recipe.seed, skipped)
    return build_model(hearts, provenance, recipe.modes, recipe.limit_sigma, progress=progress)[0]
