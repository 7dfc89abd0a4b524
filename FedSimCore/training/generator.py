"""Pre-training of shape and material generator (Li et al. 2020, section 2.2), by generative latent optimization.

Every labelled case has one latent vector, learnt together with both generators: the shape generator by the IoU of the
label map it leads to, the material generator by mean squared error and perceptual loss of the coarse CT against the
trilinearly downsampled real CT. The latent hears both, so shape and material of a heart go together when it is drawn.

Adam moves every latent in every step, those of the other cases by their momentum alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from FedSimCore.generation.generator_file import GeneratorHeader, TrainingCase
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import MODEL_OF_RUN, write_model
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.networks.material_generator import KERNELS, MaterialGenerator
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.vgg_file import perceptual_features
from FedSimCore.progress import Progress
from FedSimCore.shape.model import ShapeModel
from FedSimCore.training.case_choice import choose_cases
from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.heart_learning import (
    INTENSITY,
    HeartLearning,
    coarse_targets,
    parameter_groups,
    provenance,
    rates_of_groups,
)
from FedSimCore.training.hearts import Hearts, WorkingGrid, read_hearts
from FedSimCore.training.model_card import card
from FedSimCore.training.shape_generator import require_two, shape_model
from FedSimCore.training.shape_voxels import ShapeVoxels
from FedSimCore.training.task import Losses, Outcome, Phase, Task

_SHOWN = 4


def build(config: GeneratorConfig, progress: Progress) -> GeneratorTask:
    """Read the cohort and make the networks, with the first weights and latents of the config's seed.

    Raises:
        InputError: the cohort has fewer than two hearts with labels that may be used, one can't be used, the shape
            model has too few modes, or the weights of VGG-19 can't be read.
    """
    cases = choose_cases(config.cohort, config.sites, config.labelled, config.splits, config.fold, config.seed)
    require_two(cases, config.cohort)
    model, learnt = shape_model(config.shape_model, config.modes), config.material == "learnt"
    perceptual = PerceptualLoss(perceptual_features(config.vgg19)) if learnt else None
    on = WorkingGrid(config.size, config.spacing_mm)
    hearts = read_hearts(cases.labelled, on, progress, labels=True, images=learnt)
    return GeneratorTask(config, hearts, model, perceptual)


class GeneratorTask(Task):
    """Both generators and the latents.

    Attributes:
        names: ids of the cases.
        learning: their losses and measures.
        normal: distribution of latents for the model to be written; None: the one fitted to the cases' own.
    """

    memory_advice = "lower size (and raise spacing_mm with it), or take device=cpu"

    def __init__(
        self, config: GeneratorConfig, hearts: Hearts, model: ShapeModel, perceptual: PerceptualLoss | None
    ) -> None:
        """Make the networks.

        Args:
            config: of the run.
            hearts: with labels, and images if materials are learnt.
            model: with the config's number of modes.
            perceptual: compares coarse CT; None for fixed materials.
        """
        super().__init__()
        assert hearts.labels is not None
        self.normal: LatentNormal | None = None
        self.names = hearts.names
        self.data_sha256 = {**hearts.sha256, "shape model": model.checksum}
        voxels = ShapeVoxels(model, WorkingGrid(config.size, config.spacing_mm).grid, config.gradient)
        header = generator_header(config, hearts, model, perceptual.name if perceptual is not None else "")
        self.learning = HeartLearning(header, model, voxels, perceptual)
        shared = generator_networks(config, model.parameter_count)
        self.modules = {
            "shape": shared.pop("shape"),
            "latents": Latents(len(hearts), config.latent_size, config.seed),
            **shared,
        }
        self.optimizers = {"adam": torch.optim.Adam(parameter_groups(self.modules), lr=config.learning_rate)}
        self._config, self._labels = config, hearts.labels
        # The volumes themselves are needed no more.
        self._targets = coarse_targets(hearts) if perceptual is not None else None
        self._order = DataOrder(len(hearts), config.batch_size, config.seed)

    def to(self, device: torch.device) -> None:
        """Bring shape model, renderer and features along."""
        super().to(device)
        self.learning.to(device)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the one phase: reconstruct the next hearts."""
        return [Phase("", "adam", self._order.batch(step), self._load, self._losses)]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return the rates of shape generator, latents and material generator: constant, then falling linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return {"adam": rates_of_groups(self.modules, generator_rates(self._config), factor)}

    def evaluate(self) -> Mapping[str, float]:
        """Return IoU and root mean square error of the coarse CT of the reconstructed training hearts."""
        found = self.learning.measures(self.modules, range(len(self.names)), self._labels, self._targets)
        return {f"train/{name}": value for name, value in found.items()}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return the middle planes of some hearts, and of their coarse CT: as they are, and below as generated."""
        count = min(_SHOWN, len(self.names))
        targets = self._targets[:count] if self._targets is not None else None
        return self.learning.pictures(self.modules, range(count), self._labels[:count], targets)

    def finish(self, folder: Path) -> Outcome:
        """Write the model folder, without any enhancer yet."""
        metrics = dict(self.evaluate())
        generator = self.learning.generator(self.modules, metrics, self.normal)
        files = write_model(
            folder / MODEL_OF_RUN, generator, shape_model=self._config.shape_model, card=card(generator)
        )
        return Outcome(files, metrics)

    def _load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return indices (batch,), label maps (batch, X, Y, Z) and coarse CT (batch, 1, 16, 16, 16)."""
        cases = torch.tensor(list(samples))
        targets = self._targets[cases].to(self.device) if self._targets is not None else None
        return cases.to(self.device), self._labels[cases].to(self.device, non_blocking=True), targets

    def _losses(self, batch: tuple[Tensor, Tensor, Tensor | None]) -> Losses:
        cases, labels, targets = batch
        latents = self.modules["latents"](cases)
        iou = self.learning.shape_loss(self.modules, latents, labels)
        if targets is None:
            return {"loss": iou, "iou": iou}
        losses = self.learning.material_losses(self.learning.coarse(self.modules, latents), targets)
        config = self._config
        total = iou + config.mse_weight * losses["mse"] + config.perceptual_weight * losses["perceptual"]
        return {"loss": total, "iou": iou, **losses}


def generator_networks(config: GeneratorConfig, parameters: int) -> dict[str, nn.Module]:
    """Return shape and, unless materials are fixed, material generator with the first weights of the config's seed.

    Args:
        config: of the run.
        parameters: of the shape model.
    """
    networks: dict[str, nn.Module] = {
        "shape": ShapeGenerator(parameters, config.latent_size, config.hidden, config.seed)
    }
    if config.material == "learnt":
        networks["material"] = MaterialGenerator(config.latent_size, KERNELS, config.seed)
    return networks


def generator_rates(config: GeneratorConfig) -> dict[str, float]:
    """Return the full rates of the networks and latents, by name."""
    return {
        "shape": config.learning_rate,
        "latents": config.latent_learning_rate,
        "material": config.material_learning_rate,
    }


def generator_header(config: GeneratorConfig, hearts: Hearts, model: ShapeModel, features: str) -> GeneratorHeader:
    """Return what the generator's file will tell.

    Args:
        config: of the run.
        hearts: that are learnt from.
        model: the shape model.
        features: what the perceptual loss compares images by; empty for fixed materials.
    """
    return GeneratorHeader(
        coarse=config.coarse if config.material == "learnt" else "fixed-materials",
        latent_size=config.latent_size,
        hidden=config.hidden,
        kernels=KERNELS,
        modes=config.modes,
        shape_model_sha256=model.checksum,
        size=config.size,
        spacing_mm=config.spacing_mm,
        low_hu=INTENSITY.low_hu,
        high_hu=INTENSITY.high_hu,
        features=features,
        cases=tuple(TrainingCase(id=name, site=site) for name, site in zip(hearts.names, hearts.sites, strict=True)),
        provenance=provenance(config),
        data_sha256=hearts.sha256,
    )
