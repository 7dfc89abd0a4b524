"""Pre-training of a site's enhancer (Li et al. 2020, section 2.2), with GauGAN's losses and schedule.

What it sees is the ground truth label map, so that label and image have the same shape, together with the coarse CT
that the generator makes of the case's latent; what it is to make is the real slice. In every step the discriminator
moves first, then the enhancer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.ct.scanners import scanner, scanners
from FedSimCore.errors import InputError
from FedSimCore.generation.enhancer_file import (
    DiscriminatorHeader,
    EnhancerHeader,
    SiteDiscriminator,
    SiteEnhancer,
    new_discriminator,
    new_enhancer,
)
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.generator_file import SHAPE_MODEL_FILE, HeartGenerator
from FedSimCore.generation.model_folder import MODEL_OF_RUN, GenerativeModel, write_model
from FedSimCore.networks.losses import discriminator_loss
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.vgg_file import perceptual_features
from FedSimCore.progress import Progress
from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.enhancer_config import EnhancerConfig
from FedSimCore.training.field_of_view import where_seen
from FedSimCore.training.heart_learning import grid_of, provenance
from FedSimCore.training.hearts import Hearts, read_hearts
from FedSimCore.training.model_card import card
from FedSimCore.training.model_cases import labelled_cases, require_same_files
from FedSimCore.training.slice_learning import SliceLearning
from FedSimCore.training.slices import ConditionedSlices, SliceBatch, coarse_of_images
from FedSimCore.training.task import Losses, Outcome, Phase, Task
from FedSimCore.volumes import Volume

BETAS = (0.0, 0.9)
"""Adam's, as GauGAN's; torch refuses an integer beside a float."""
_DIVISOR = 32
_MEASURED_CASES = 4


def build(config: EnhancerConfig, progress: Progress) -> EnhancerTask:
    """Open the generator, read the site's cases, and make their coarse CT.

    Raises:
        InputError: the generator or a case can't be used, or the working grid is none for an enhancer.
    """
    model = GenerativeModel.load(config.generator)
    header = model.generator.header
    if header.size % _DIVISOR:
        raise InputError(
            f"The generator's working grid has {header.size} voxels along each side, but the enhancer needs a multiple "
            f"of {_DIVISOR}; train the generator with size = {-(-header.size // _DIVISOR) * _DIVISOR}."
        )
    cases, chosen = labelled_cases(header, config)
    perceptual = PerceptualLoss(perceptual_features(config.vgg19))
    hearts = read_hearts(cases, grid_of(header), progress, labels=True, images=True)
    require_same_files(header, hearts.sha256, config.cohort)
    held = read_hearts(chosen.held[: config.held_cases], grid_of(header), progress, labels=True, images=True)
    fixed = _fixed_materials(config) if header.coarse == "fixed-materials" else None
    learning = SliceLearning(config, perceptual, model.generator.intensity)
    made = coarse_of(hearts, model.generator, fixed, progress)
    seen = ConditionedSlices(hearts, made, learning.intensity, learning.neighbours)
    unseen = ConditionedSlices(held, _coarse_of_held(held, model.generator, fixed, progress), learning.intensity)
    return EnhancerTask(config, model, learning, seen, unseen, fixed)


class EnhancerTask(Task):
    """Enhancer and discriminator of one site.

    Attributes:
        slices: what is learnt from.
        held: validation cases, possibly none.
        learning: losses and measures.
    """

    memory_advice = "lower channels or hidden, or take device=cpu"

    def __init__(
        self,
        config: EnhancerConfig,
        model: GenerativeModel,
        learning: SliceLearning,
        slices: ConditionedSlices,
        held: ConditionedSlices,
        fixed: FixedMaterials | None,
    ) -> None:
        """Make the networks.

        Args:
            config: of the run.
            model: whose generator made the coarse CT.
            learning: losses and measures.
            slices: to learn from.
            held: to measure on, possibly without cases.
            fixed: how the coarse CT was scanned, with fixed materials.
        """
        super().__init__()
        self.slices, self.held, self.learning = slices, held, learning
        self._config, self._model = config, model
        self.data_sha256 = {**slices.hearts.sha256, **held.hearts.sha256, "generator": model.generator.checksum}
        self._header = _header(config, model.generator, slices.hearts, learning.perceptual.name, fixed)
        judge = DiscriminatorHeader(
            site=config.site, enhancer_sha256="", channels=config.discriminator_channels, layers=4, scales=2
        )
        self._judge = judge
        self.modules = {
            "enhancer": new_enhancer(self._header, config.seed),
            "discriminator": new_discriminator(judge, config.seed),
        }
        self._rates = {"enhancer": config.learning_rate, "discriminator": config.discriminator_learning_rate}
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), lr=self._rates[name], betas=BETAS)
            for name, module in self.modules.items()
        }
        self._order = DataOrder(slices.samples, config.batch_size, config.seed)

    def to(self, device: torch.device) -> None:
        """Bring the features along."""
        super().to(device)
        self.learning.to(device)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the discriminator's and then the enhancer's part, on the same slices."""
        samples = self._order.batch(step)
        return [
            Phase("discriminator", "discriminator", samples, self._load, self._discriminator_losses),
            Phase("enhancer", "enhancer", samples, self._load, self._enhancer_losses),
        ]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return the rates of both networks: constant at first, then falling linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return {name: [factor * rate] for name, rate in self._rates.items()}

    def evaluate(self) -> Mapping[str, float]:
        """Return error and banding of enhanced slices of training cases, and of validation cases if there are any."""
        found: dict[str, float] = {}
        for name, data in (("train", self.slices), ("held", self.held)):
            cases = range(min(_MEASURED_CASES, len(data.hearts)))
            if cases:
                measures = self.learning.measures(
                    self.modules["enhancer"], data.of_heart, cases, data.depth, self.device
                )
                found |= {f"{name}/{key}": value for key, value in measures.items()}
        return found

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return slices of a training case, and of a validation case: label, coarse CT, enhanced, real."""
        return {
            name: self.learning.picture(self.modules["enhancer"], data.of_heart, 0, data.depth, self.device)
            for name, data in (("slices", self.slices), ("held-slices", self.held))
            if len(data.hearts)
        }

    def finish(self, folder: Path) -> Outcome:
        """Write a model folder with the generator, the enhancer and its discriminator."""
        metrics = dict(self.evaluate())
        enhancer, discriminator = finished_enhancer(
            self._header.model_copy(update={"metrics": metrics}), self._judge, self.modules
        )
        beside = self._model.folder / SHAPE_MODEL_FILE
        files = write_model(
            folder / MODEL_OF_RUN,
            self._model.generator,
            [enhancer],
            [discriminator],
            shape_model=beside if beside.exists() else None,
            card=card(self._model.generator, [enhancer]),
        )
        return Outcome(files, metrics)

    def _load(self, samples: Sequence[int]) -> SliceBatch:
        return self.slices.batch(samples, self.device)

    def _discriminator_losses(self, batch: SliceBatch) -> Losses:
        with torch.no_grad():
            generated = self.modules["enhancer"](batch.condition)
        made, real = where_seen(generated, batch.real)
        return {"loss": discriminator_loss(self.modules["discriminator"], batch.condition, made, real)}

    def _enhancer_losses(self, batch: SliceBatch) -> Losses:
        # Several devices would wait for gradients of a wrapped discriminator, which has none here.
        wrapped = self.modules["discriminator"]
        return self.learning.losses(self.modules["enhancer"], getattr(wrapped, "module", wrapped), batch)


def finished_enhancer(
    header: EnhancerHeader, judge: DiscriminatorHeader, modules: Mapping[str, torch.nn.Module]
) -> tuple[SiteEnhancer, SiteDiscriminator]:
    """Return ``enhancer`` and ``discriminator`` as they are now, on the CPU."""
    enhancer = SiteEnhancer(header, new_enhancer(header))
    enhancer.network.load_state_dict(modules["enhancer"].state_dict())
    judge = judge.model_copy(update={"enhancer_sha256": enhancer.checksum})
    discriminator = SiteDiscriminator(judge, new_discriminator(judge))
    discriminator.network.load_state_dict(modules["discriminator"].state_dict())
    return enhancer.eval(), discriminator.eval()


@torch.no_grad()
def coarse_of(hearts: Hearts, generator: HeartGenerator, fixed: FixedMaterials | None, progress: Progress) -> Tensor:
    """Return the coarse CT of training cases on the unit scale.

    Args:
        hearts: cases that the generator has latents of, with labels.
        generator: in evaluation mode.
        fixed: scans the label maps instead, (cases, 1, X, Y, Z) in float16, where there is no material generator.
        progress: told of every scan.
    """
    if fixed is not None:
        return _scanned(hearts, generator, fixed, progress)
    return generator.coarse(torch.cat([generator.latent_of(name) for name in hearts.names]))


def _coarse_of_held(
    held: Hearts, generator: HeartGenerator, fixed: FixedMaterials | None, progress: Progress
) -> Tensor:
    """Validation cases have no latent: theirs is the downsampled real CT, as for the paper's visiting patients."""
    if fixed is not None:
        return _scanned(held, generator, fixed, progress)
    return coarse_of_images(held, generator.intensity)


def _scanned(hearts: Hearts, generator: HeartGenerator, fixed: FixedMaterials, progress: Progress) -> Tensor:
    assert hearts.labels is not None
    scans = []
    for number, label in enumerate(hearts.labels):
        progress(number, len(hearts), "scanning hearts with fixed materials")
        scan = fixed.scan(Volume(label.numpy(), generator.grid))
        scans.append(generator.intensity.clip(torch.from_numpy(scan.array)).half()[None])
    if not scans:
        return torch.zeros(0, 1, *generator.grid.shape, dtype=torch.float16)
    progress(len(hearts), len(hearts), "scanning hearts with fixed materials")
    return torch.stack(scans)


def _fixed_materials(config: EnhancerConfig) -> FixedMaterials:
    name = config.scanner or (config.site if config.site in scanners() else "adult")
    return FixedMaterials(scanner=scanner(name), surroundings=config.surroundings)


def _header(
    config: EnhancerConfig, generator: HeartGenerator, hearts: Hearts, features: str, fixed: FixedMaterials | None
) -> EnhancerHeader:
    known = generator.header
    return EnhancerHeader(
        site=config.site,
        condition=known.coarse,
        fixed_materials=fixed,
        generator_sha256=generator.checksum,
        channels=config.channels,
        hidden=config.hidden,
        shrinking=config.shrinking,
        size=known.size,
        spacing_mm=known.spacing_mm,
        low_hu=known.low_hu,
        high_hu=known.high_hu,
        features=features,
        cases=hearts.names,
        provenance=provenance(config),
        data_sha256=hearts.sha256,
    )
