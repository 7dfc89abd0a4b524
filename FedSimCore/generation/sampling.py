"""Hearts from a trained model: latent, shape, labels, coarse CT, and the site's look (Li et al. 2020, section 2.1).

A heart is told by a seed and a number, and depends on nothing else: heart 7 of seed 0 is the same whether it is asked
for alone or with a hundred others. On one kind of machine, with the same libraries and threads, it is the same bit for
bit on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.generation.blending import Blend, blended
from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.generator_file import EVERYBODY, HeartGenerator
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.networks.coarse_ct import coarse_slices
from FedSimCore.progress import Progress, part_of, silent
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Volume

ShapeSource = Literal["learnt", "random"]
"""``"learnt"``: from the latent; ``"random"``: from the shape model's own distribution (the ablation of table 2)."""

_LATENT, _SHAPE = 0, 1
_SLICES_AT_ONCE = {"cpu": 4, "cuda": 32}
"""On the CPU, memory for more is fetched from the system and given back layer by layer, which takes two thirds of the
time again."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is decided before anything is rendered.

    Attributes:
        latent: (1, L), on the CPU.
        parameters: (1, modes + 7) of the shape model, on the CPU.
        population: whose distribution the latent is of, see
            :meth:`~FedSimCore.generation.generator_file.HeartGenerator.normal_of`.
    """

    latent: Tensor
    parameters: Tensor
    population: str = EVERYBODY

    @property
    def heart(self) -> HeartParameters:
        """The shape model's parameters as others read them."""
        return HeartParameters.from_vector(self.parameters[0].double().numpy())


@dataclass(eq=False)
class Stopwatch:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens within this context to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass(frozen=True, eq=False)
class GeneratedHeart:
    """A heart with its CT.

    Attributes:
        drawn: latent and parameters.
        image: HU, float32, on the working grid.
        label: uint8, the seven regions.
        seconds: that each stage took.
    """

    drawn: Drawn
    image: Volume
    label: Volume
    seconds: dict[str, float]


def heart_seed(seed: int, number: int, purpose: int = 0) -> int:
    """Return the seed of one heart's random numbers, unrelated to those of all other seeds, numbers and purposes."""
    return int(np.random.SeedSequence([seed, number, purpose]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def draw(
    generator: HeartGenerator, seed: int, number: int, shape: ShapeSource = "learnt", population: str = EVERYBODY
) -> Drawn:
    """Draw a heart.

    Args:
        generator: with the distributions of the latents.
        seed: of the cohort, 0 or more.
        number: of the heart, from 0.
        shape: where its shape comes from; its materials are the latent's in any case.
        population: a site whose hearts the generator has learnt, or all.

    Raises:
        InputError: seed or number is negative, or the population is unknown.
    """
    if seed < 0 or number < 0:
        raise InputError(f"Seed {seed} and number {number} of a heart must be 0 or more.")
    normal = generator.normal_of(population)
    latent = normal.sample(1, torch.Generator().manual_seed(heart_seed(seed, number, _LATENT)))
    if shape == "random":
        source = torch.Generator().manual_seed(heart_seed(seed, number, _SHAPE))
        return Drawn(latent, generator.model.sample(1, source, pose=True), population)
    return of_latent(generator, latent, population)


@torch.no_grad()
def of_latent(generator: HeartGenerator, latent: Tensor, population: str = EVERYBODY) -> Drawn:
    """Return the heart of a latent (1, L), of a population.

    Raises:
        InputError: the latent has another size or is not finite.
    """
    size = generator.header.latent_size
    if latent.shape != (1, size) or not bool(torch.isfinite(latent).all()):
        raise InputError(f"A latent {tuple(latent.shape)} cannot be used; (1, {size}) finite numbers are needed.")
    return Drawn(latent.cpu(), generator.parameters_of(latent.to(generator.latents)).cpu(), population)


class HeartSampler:
    """Makes hearts as a site's scanner would show them.

    Args:
        model: an opened model folder.
        site: one with an enhancer.
        blend: how the simulator's heart is put into the enhancer's image; None: the enhancer's image as it is.
        device: where to compute.

    Attributes:
        generator: of the model, on the device.
        enhancer: of the site, on the device.
        condition: how the coarse CT is made, see :data:`~FedSimCore.generation.coarse.Coarse`.
        blend: as given.

    Raises:
        InputError: there is no usable enhancer for the site, or it and the generator are on different grids.
    """

    def __init__(
        self, model: GenerativeModel, site: str, blend: Blend | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.enhancer: SiteEnhancer = model.enhancer(site).to(self.device).eval()
        # oneDNN convolves a fifth faster on channels last; a graphics card chooses for itself.
        if self.device.type == "cpu":
            self.enhancer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stubs lack it
        self.generator: HeartGenerator = model.generator.to(self.device).eval()
        self.condition = self.enhancer.header.condition
        self.blend = blend
        self._fixed = self.enhancer.header.fixed_materials if self.condition == "fixed-materials" else None
        if not self.enhancer.grid.same_as(self.generator.grid):
            raise InputError(f"The enhancer of {site} and the generator in {model.folder} are on different grids.")

    @torch.no_grad()
    def make(self, drawn: Drawn, progress: Progress = silent) -> GeneratedHeart:
        """Render a heart.

        Args:
            drawn: of :func:`draw` or :func:`of_latent`.
            progress: told of stages, in thousandths.
        """
        watch, grid, slices = Stopwatch(), self.generator.grid, _SLICES_AT_ONCE[self.device.type]
        with watch.stage("shape and labels"):
            progress(0, 1000, "voxelizing")
            label = self._labels(drawn)
        with watch.stage("coarse CT"):
            coarse = self.coarse(drawn.latent, label, part_of(progress, 0.05, 0.15, "coarse CT"))
        with watch.stage("enhancer"):
            enhancing = part_of(progress, 0.15, 0.95, "enhancing slices")
            image = self.enhancer.enhance(coarse, label, slices, enhancing)[0, 0].float().cpu().numpy()
        regions = label[0].cpu().numpy()
        if self.blend is not None:
            with watch.stage("blending"):
                image = blended(self.blend, self._at_full_size(coarse, label), image, regions != 0)
        progress(1000, 1000, "done")
        return GeneratedHeart(drawn, Volume(image, grid), Volume(regions, grid), watch.seconds)

    def _labels(self, drawn: Drawn) -> Tensor:
        model = self.generator.model
        vertices = model.vertices(drawn.parameters.to(model.mean))
        return label_map(vertices, model.topology, self.generator.grid)

    def coarse(self, latent: Tensor, label: Tensor, progress: Progress = silent) -> Tensor:
        """Return what conditions the enhancer (1, 1, x, y, z), on the unit scale.

        Args:
            latent: (1, L); with fixed materials it has no say.
            label: (1, X, Y, Z) on the working grid; only fixed materials are scanned in it.
            progress: told of a scan.
        """
        if self._fixed is None:
            return self.generator.coarse(latent.to(self.device))
        scan = self._fixed.scan(Volume(label[0].cpu().numpy(), self.generator.grid), self.device, progress)
        return self.enhancer.intensity.scale(torch.from_numpy(scan.array).to(self.device))[None, None]

    def _at_full_size(self, coarse: Tensor, label: Tensor) -> NDArray[np.float32]:
        """Return the simulator's image (X, Y, Z) in HU; a coarse one is upsampled trilinearly."""
        shape = (label.shape[1], label.shape[2], label.shape[3])
        index = torch.arange(shape[2], device=self.device)[None]
        slices = coarse_slices(coarse, index, shape)[0, :, 0]
        hounsfield: NDArray[np.float32] = (
            self.enhancer.intensity.hounsfield(slices.movedim(0, -1)).float().cpu().numpy()
        )
        return hounsfield
