"""The heart generator, and its file: shape and material generator, latents, and the normal fitted to them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from FedSimCore.errors import InputError
from FedSimCore.generation.coarse import Coarse, coarse_ct
from FedSimCore.generation.latent_normal import LatentNormal, normals_of_sites
from FedSimCore.generation.weights import FileHeader, checked_header, checksum_of, for_file, network_of, prefixed
from FedSimCore.networks.coarse_ct import CoarseCT
from FedSimCore.networks.generators import ShapeGenerator
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.material_generator import MaterialGenerator
from FedSimCore.shape.model import ShapeModel, builtin_model
from FedSimCore.shape.voxelizer import label_map, region_probabilities
from FedSimCore.tensor_files import read_weights, write_weights
from FedSimCore.volumes import Grid

EVERYBODY = "all"
"""The population of all training cases, whatever their site."""
KIND: Literal["heart generator"] = "heart generator"
VERSION: Literal[1] = 1
SHAPE_MODEL_FILE = "shape_model.safetensors"
"""Beside the generator, where its shape model is not the one that ships."""


class TrainingCase(BaseModel):
    """Whose latent a latent is.

    Attributes:
        id: of the case in its cohort.
        site: of the case.
        labelled: whether its label map was learnt from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    site: str
    labelled: bool = True


class GeneratorHeader(FileHeader):
    """What the generator's file tells beside the weights.

    Attributes:
        stage: ``"pre-trained"`` on labelled hearts (the paper's Pre), or ``"semi-supervised"`` afterwards (Full).
        coarse: how the coarse CT is made; with ``"fixed-materials"`` there is no material generator.
        latent_size: numbers of a latent.
        hidden: widths of the shape generator's layers.
        kernels: of the material generator.
        modes: of the shape model that are used.
        shape_model_sha256: checksum of the shape model.
        size: voxels along each side of the working grid.
        spacing_mm: of the working grid.
        low_hu: see :class:`~FedSimCore.networks.intensity.IntensityRange`.
        high_hu: likewise.
        features: what the perceptual loss compared images by.
        cases: whose the latents are, in their order.
    """

    kind: Literal["heart generator"] = KIND
    version: Literal[1] = VERSION
    stage: Literal["pre-trained", "semi-supervised"] = "pre-trained"
    coarse: Coarse
    latent_size: int = Field(ge=1)
    hidden: tuple[int, ...] = Field(max_length=16)
    kernels: tuple[int, int, int] = (3, 3, 5)
    modes: int = Field(ge=1)
    shape_model_sha256: str
    size: int = Field(ge=8, le=1024)
    spacing_mm: float = Field(gt=0, le=50)
    low_hu: float = -1000.0
    high_hu: float = 1000.0
    features: str = ""
    cases: tuple[TrainingCase, ...]


class HeartGenerator(nn.Module):
    """From latents (B, L) to shapes and coarse CT; everything on the module's device.

    Attributes:
        header: sizes and origin.
        model: the shape model.
        shape: the shape generator.
        material: the material generator; None for fixed materials.
        latents: (cases, L), those learnt for the training cases.
        normal: the distribution fitted to all of them.
        normals: those fitted to the latents of each site with two cases at least.
    """

    latents: Tensor

    def __init__(
        self,
        header: GeneratorHeader,
        model: ShapeModel,
        shape: ShapeGenerator,
        material: MaterialGenerator | None,
        latents: Tensor,
        normal: LatentNormal,
    ) -> None:
        """Put the parts together.

        Raises:
            InputError: they don't fit each other or the header.
        """
        super().__init__()
        if model.checksum != header.shape_model_sha256 or model.mode_count != header.modes:
            raise InputError(
                f"The generator was trained with shape model {header.shape_model_sha256[:12]} and {header.modes} "
                f"modes, not with {model.checksum[:12]} and {model.mode_count}; give that one."
            )
        if (material is None) != (header.coarse == "fixed-materials"):
            raise InputError(f"A generator whose coarse CT is {header.coarse} cannot have this material generator.")
        if latents.shape != (len(header.cases), header.latent_size) or normal.size != header.latent_size:
            raise InputError(
                f"Latents {tuple(latents.shape)} and a normal of {normal.size} numbers don't fit {len(header.cases)} "
                f"cases of {header.latent_size} numbers."
            )
        self.header = header
        self.model, self.shape, self.material, self.normal = model, shape, material, normal
        self.register_buffer("latents", latents.detach().float().clone())
        self.normals = normals_of_sites(latents, [case.site for case in header.cases])
        self._coarse: tuple[torch.device, CoarseCT] | None = None

    @property
    def grid(self) -> Grid:
        """The working grid, round the origin."""
        return Grid.centered(self.header.size, self.header.spacing_mm)

    @property
    def intensity(self) -> IntensityRange:
        """The unit scale of the images."""
        return IntensityRange(self.header.low_hu, self.header.high_hu)

    @property
    def checksum(self) -> str:
        """SHA-256 of the networks, latents and shape model; the same in full and in half precision."""
        return checksum_of(self._tensors(), self.header.shape_model_sha256, self.header.coarse, self.header.size)

    def latent_of(self, case: str) -> Tensor:
        """Return the latent (1, L) of a training case.

        Raises:
            InputError: there is none.
        """
        for number, known in enumerate(self.header.cases):
            if known.id == case:
                return self.latents[number : number + 1]
        raise InputError(f"The generator has no latent of a case {case!r}; it has learnt {len(self.latents)} others.")

    def refined(self, times: int) -> HeartGenerator:
        """Return this generator with a working grid of the same extent and voxels ``times`` as fine.

        Surfaces and material maps know no voxels: a training on a coarse grid costs a fraction of one on the grid that
        hearts are generated on.
        """
        finer = {"size": self.header.size * times, "spacing_mm": self.header.spacing_mm / times}
        header = self.header.model_copy(update=finer)
        return HeartGenerator(header, self.model, self.shape, self.material, self.latents, self.normal)

    def normal_of(self, population: str) -> LatentNormal:
        """Return the distribution of the latents of a site's hearts, or of all (:data:`EVERYBODY`).

        Raises:
            InputError: the generator has learnt fewer than two hearts of the site.
        """
        if population == EVERYBODY:
            return self.normal
        if population not in self.normals:
            known = ", ".join((*self.normals, EVERYBODY))
            raise InputError(
                f"The generator has learnt fewer than two hearts of {population!r}; choose a population of {known}."
            )
        return self.normals[population]

    def population_at(self, site: str) -> str:
        """Return whose hearts a site is shown by default: its own where they are known, else everybody's."""
        return site if site in self.normals else EVERYBODY

    def parameters_of(self, latents: Tensor) -> Tensor:
        """Return the shape model's parameters (B, modes + 7), differentiably."""
        return self.model.from_unit(self.shape(latents))

    def vertices(self, latents: Tensor) -> Tensor:
        """Return the hearts' vertices (B, V, 3), RAS mm round the working grid's middle, differentiably."""
        return self.model.vertices(self.parameters_of(latents))

    def labels(self, latents: Tensor) -> Tensor:
        """Return label maps (B, X, Y, Z) uint8 on the working grid."""
        return label_map(self.vertices(latents), self.model.topology, self.grid)

    def probabilities(self, latents: Tensor) -> Tensor:
        """Return the regions (B, R, X, Y, Z), 0 or 1, with the boundary gradient."""
        return region_probabilities(self.vertices(latents), self.model.topology, self.grid)

    def coarse(self, latents: Tensor) -> Tensor:
        """Return coarse CT (B, 1, 16, 16, 16) on the unit scale, differentiably.

        Raises:
            InputError: the generator has fixed materials, see :mod:`FedSimCore.generation.fixed_materials`.
        """
        coarse = self.header.coarse
        if self.material is None or coarse == "fixed-materials":
            raise InputError("This generator has fixed materials; its hearts are scanned, not generated.")
        if self._coarse is None or self._coarse[0] != latents.device:
            field_of_view = self.header.size * self.header.spacing_mm
            self._coarse = latents.device, coarse_ct(coarse, field_of_view, self.intensity, latents.device)
        result: Tensor = self._coarse[1](self.material(latents))
        return result

    def save(self, path: Path, half: bool = False) -> Path:
        """Write the generator; its shape model is not in the file.

        Args:
            path: ends in ``.safetensors``.
            half: weights in float16, for shipping.

        Raises:
            InputError: a weight is too large for float16.
            DiskError: the file can't be written.
        """
        tensors = {**self._tensors(), **prefixed("normal.", self.normal)}
        write_weights(path, for_file(tensors, half), self.header.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, path: Path, model: ShapeModel | None = None) -> HeartGenerator:
        """Read a generator onto the CPU, in float32 and evaluation mode.

        Args:
            path: the file.
            model: its shape model, with all modes it has; None: the one that ships, or the file
                ``shape_model.safetensors`` beside it.

        Raises:
            InputError: the file is missing, damaged, hostile, of another version or kind, its weights don't fit its
                header, or the shape model is another.
        """
        tensors, content = read_weights(path, KIND)
        header = checked_header(GeneratorHeader, content, path, VERSION)
        model = _shape_model(header, path, model)
        unknown = [name for name in tensors if not name.startswith(_parts(header))]
        if unknown:
            raise InputError(f"{path} has too many weights, {unknown[0]}; take another copy.")
        outputs = model.parameter_count
        shape = network_of(lambda: ShapeGenerator(outputs, header.latent_size, header.hidden), tensors, "shape.", path)
        material = None
        if header.coarse != "fixed-materials":
            material = network_of(
                lambda: MaterialGenerator(header.latent_size, header.kernels), tensors, "material.", path
            )
        try:
            latents = tensors["latents"].float()
            normal = LatentNormal(tensors["normal.mean"], tensors["normal.covariance"])
            return cls(header, model, shape, material, latents, normal).eval()
        except KeyError as error:
            raise InputError(f"{path} lacks {error.args[0]}; take another copy.") from None
        except InputError as error:
            raise InputError(f"{path} cannot be used: {error}") from error

    def _tensors(self) -> dict[str, Tensor]:
        material = prefixed("material.", self.material) if self.material is not None else {}
        return {**prefixed("shape.", self.shape), **material, "latents": self.latents}


def _parts(header: GeneratorHeader) -> tuple[str, ...]:
    learnt = () if header.coarse == "fixed-materials" else ("material.",)
    return ("shape.", *learnt, "normal.", "latents")


def _shape_model(header: GeneratorHeader, path: Path, given: ShapeModel | None) -> ShapeModel:
    if given is None:
        beside = path.parent / SHAPE_MODEL_FILE
        given = builtin_model(None)
        if given.checksum != header.shape_model_sha256 and beside.exists():
            given = ShapeModel.load(beside)
    if given.checksum != header.shape_model_sha256:
        raise InputError(
            f"{path} was trained with shape model {header.shape_model_sha256[:12]}, which is neither the one that "
            f"ships nor {SHAPE_MODEL_FILE} beside it; copy that file there."
        )
    try:
        return given.with_modes(header.modes)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
