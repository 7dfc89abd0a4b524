"""Everything that decides a simulated scan, in one JSON; the same recipe gives the same voxels.

The noise comes from ``torch.Generator`` and the sums from the machine's own libraries: the same voxels are promised
for the same versions of both on the same kind of machine, and equal to within a few HU anywhere. Recipes are read and
written without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from typing_extensions import Self

from FedSimCore import __version__
from FedSimCore.ct.materials import Tissue, changed_tissue, label_in_words, tissues
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.schema import STRICT, checked
from FedSimCore.errors import InputError
from FedSimCore.files import read_json, sha256_of, write_json
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import crop_round_heart
from FedSimCore.volumes.grid_spec import GridSpec
from FedSimCore.volumes.io import read_label_map

if TYPE_CHECKING:
    import torch

    from FedSimCore.ct.body import Body
    from FedSimCore.shape.mesh import HeartMesh
    from FedSimCore.shape.model import ShapeModel

SCHEMA = "fedsim/simulation/1"


class LabelFile(BaseModel):
    """A label map to be scanned instead of a heart of the shape model.

    Attributes:
        path: NIfTI or NRRD.
        scheme: what its values stand for, see ``volumes.labels``.
        sha256: of the file's bytes.
    """

    model_config = STRICT
    path: Path
    scheme: str = "fedsim"
    sha256: str


class LabelTissue(BaseModel):
    """What one label is made of: a base tissue, with another density or iodine where given.

    Attributes:
        base: key of a tissue.
        density_g_cm3: None for the base tissue's.
        iodine_mg_ml: None for what the contrast phase gives the base tissue.
    """

    model_config = STRICT
    base: str
    density_g_cm3: float | None = None
    iodine_mg_ml: float | None = None


class Recipe(BaseModel):
    """A simulated scan.

    Attributes:
        fedsim: version that wrote it.
        parameters: of the shape model, or None.
        model_sha256: checksum of the model the parameters belong to.
        labels: the label map file, or None.
        size: voxels along each side of the working grid, whose middle is the heart's; unused where there is a ``grid``.
        spacing_mm: of the working grid; unused likewise.
        grid: of a heart with parameters, instead of the working grid round its middle.
        scanner: the scanner with its protocol, in full.
        tissues: the tissues that differ from those that ship.
        materials: of labels that are made of something else than their region's tissue.
        surroundings: what lies around the heart.
        person_seed: of the person's build.
        noise_seed: of the noise; None for a noiseless scan.
        provenance: for people, e.g. date and patient; decides nothing.

    Raises:
        InputError: (through :func:`read_recipe`) a value is impossible, or it names both or neither a heart of the
            model and a label map.
    """

    model_config = STRICT
    fedsim: str = __version__
    parameters: HeartParameters | None = None
    model_sha256: str | None = None
    labels: LabelFile | None = None
    size: int = Field(default=128, ge=8, le=1024)
    spacing_mm: float = Field(default=1.25, gt=0.0, le=50.0)
    grid: GridSpec | None = None
    scanner: Scanner
    tissues: list[Tissue] = []
    materials: dict[Annotated[int, Field(ge=1, le=255)], LabelTissue] = {}
    surroundings: Literal["thorax", "fat", "none"] = "thorax"
    person_seed: int = Field(default=0, ge=0)
    noise_seed: int | None = Field(default=0, ge=0)
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_one_heart(self) -> Self:
        if (self.parameters is None) == (self.labels is None):
            raise ValueError("it needs either parameters of a shape model or a label map, and not both")
        if self.grid is not None and self.labels is not None:
            raise ValueError("a label map is scanned on a working grid of its own, so leave out grid")
        return self

    def content(self) -> dict[str, Any]:
        """Return what its JSON file holds, without what is unused."""
        unused = {"grid"} if self.grid is None else {"size", "spacing_mm"}
        return {"schema": SCHEMA, **self.model_dump(mode="json", exclude=unused)}


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a recipe gives.

    Attributes:
        recipe: what was asked for.
        image: HU on the working grid.
        labels: the seven regions on the working grid.
        body: heart and surroundings with their tissues.
        mesh: surfaces, where the heart is the shape model's.
    """

    recipe: Recipe
    image: Volume
    labels: Volume
    body: Body
    mesh: HeartMesh | None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; a label map's path is taken relative to the recipe's folder.

    Raises:
        InputError: the file is missing, of another kind, or asks for something impossible.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path} is no simulation of FedSim ({SCHEMA}); `fedsim simulate` writes such files.")
    recipe = checked(Recipe, {k: v for k, v in content.items() if k != "schema"}, path)
    if recipe.labels is not None and not recipe.labels.path.is_absolute():
        labels = recipe.labels.model_copy(update={"path": path.parent / recipe.labels.path})
        recipe = recipe.model_copy(update={"labels": labels})
    return recipe


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe, for ``fedsim simulate --from``.

    Raises:
        DiskError: the file cannot be written.
    """
    write_json(path, recipe.content())


def simulate(recipe: Recipe, model: ShapeModel | None = None, device: torch.device | str = "cpu") -> Simulated:
    """Make the heart, put it into a body and scan it.

    Args:
        recipe: what to do.
        model: the shape model, for a recipe with parameters; it may have more modes than they have weights.
        device: where the scan is computed.

    Raises:
        InputError: the model is not the recipe's, or the label map has changed or can't be used.
    """
    from FedSimCore.ct.surroundings import surround

    mesh, labels = _heart(recipe, model)
    body = surround(labels, recipe.surroundings, recipe.person_seed)
    return Simulated(recipe, scan(recipe, body, device), labels, body, mesh)


def scan(recipe: Recipe, body: Body, device: torch.device | str = "cpu", progress: Progress = silent) -> Volume:
    """Scan the body that a recipe makes: its last step.

    Args:
        recipe: scanner, tissues and noise are taken from it.
        body: heart and surroundings.
        device: where the scan is computed.
        progress: told of every step.

    Returns:
        HU, float32, on the grid of the heart.

    Raises:
        InputError: the body's grid does not fit the scanner, or there is no such tissue or phase.
    """
    import torch

    from FedSimCore.ct.simulator import CTSimulator

    phase, grid = recipe.scanner.phase, body.inner.grid
    known = tissues(phase) | {tissue.key: tissue for tissue in recipe.tissues}
    apart = {
        label: changed_tissue(material.base, phase, **material.model_dump(exclude={"base"}), what=label_in_words(label))
        for label, material in recipe.materials.items()
    }
    simulator = CTSimulator(recipe.scanner, grid, whole_field=body.outer is not None, device=device)
    with torch.no_grad():
        hounsfield = simulator.simulate(body, known, apart=apart, seed=recipe.noise_seed, progress=progress)
    return Volume(hounsfield[0, 0].float().cpu().numpy(), grid)


def _heart(recipe: Recipe, model: ShapeModel | None) -> tuple[HeartMesh | None, Volume]:
    if recipe.labels is not None:
        if sha256_of(recipe.labels.path) != recipe.labels.sha256:
            raise InputError(f"{recipe.labels.path} has changed since the recipe was written; simulate it anew.")
        whole = read_label_map(recipe.labels.path, recipe.labels.scheme)
        cropped = crop_round_heart(None, whole, recipe.size, recipe.spacing_mm).label
        assert cropped is not None
        return None, cropped
    assert recipe.parameters is not None
    if model is None or recipe.model_sha256 not in (None, model.checksum):
        has = "none" if model is None else model.checksum[:12]
        raise InputError(
            f"The parameters belong to shape model {str(recipe.model_sha256)[:12]}, not {has}; name it with --model."
        )
    import torch

    from FedSimCore.shape.voxelizer import label_map

    mesh = model.with_modes(len(recipe.parameters.weights)).mesh(recipe.parameters)
    if recipe.grid is not None:
        grid = recipe.grid.grid()
    else:
        middle = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
        grid = Grid.centered(recipe.size, recipe.spacing_mm, middle)
    array = label_map(torch.from_numpy(mesh.vertices), mesh.topology, grid)[0].numpy()
    return mesh, Volume(array, grid)
