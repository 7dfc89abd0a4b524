"""The semi-supervised stage (Li et al. 2020, section 2.2): the paper's full model of one site.

Labelled and unlabelled hearts take turns. A labelled step has the losses of both pre-trainings. In an unlabelled one a
latent, at first drawn from the normal distribution fitted to the labelled hearts', goes the whole way: shape, label
map, coarse CT, and random slices of the enhanced image, which the enhancer's losses compare with the real slices. They
reach the material through the coarse CT and the shape through the label map's boundary gradient. The discriminator
judges but is frozen, which "strongly improves training stability".

The paper's two Adams, one for generators and latents and one for the enhancer, are the groups of one here: each group
has its own rate and betas, and Adam treats every weight by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.cohorts import Case, read_cohort
from FedSimCore.errors import InputError
from FedSimCore.generation.enhancer_file import SiteDiscriminator, SiteEnhancer
from FedSimCore.generation.generator_file import SHAPE_MODEL_FILE, GeneratorHeader, HeartGenerator, TrainingCase
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import MODEL_OF_RUN, GenerativeModel, write_model
from FedSimCore.networks.enhancer import slice_conditions
from FedSimCore.networks.generators import Latents
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.vgg_file import perceptual_features
from FedSimCore.progress import Progress
from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.enhancer import BETAS, finished_enhancer
from FedSimCore.training.field_of_view import seen_slices
from FedSimCore.training.heart_learning import (
    HeartLearning,
    coarse_targets,
    grid_of,
    parameter_groups,
    provenance,
    rates_of_groups,
)
from FedSimCore.training.hearts import Hearts, read_hearts
from FedSimCore.training.model_card import card
from FedSimCore.training.model_cases import labelled_cases, require_same_files
from FedSimCore.training.semi_supervised_config import SemiSupervisedConfig
from FedSimCore.training.shape_voxels import ShapeVoxels
from FedSimCore.training.slice_learning import SliceLearning
from FedSimCore.training.slices import ConditionedSlices, SliceBatch, coarse_of_images, real_slices
from FedSimCore.training.task import Losses, Outcome, Phase, Task

_MEASURED_CASES = 4


def build(config: SemiSupervisedConfig, progress: Progress) -> SemiSupervisedTask:
    """Open the model and read the site's labelled and unlabelled cases.

    Raises:
        InputError: the model or a case can't be used, materials are fixed, or there is no unlabelled case.
    """
    model = GenerativeModel.load(config.model)
    header = model.generator.header
    if header.coarse == "fixed-materials":
        raise InputError(
            f"{config.model} has fixed materials, which nothing can be learnt of; train a generator with "
            "material = learnt."
        )
    parts = model.generator, model.enhancer(config.site), model.discriminator(config.site)
    cases, chosen = labelled_cases(header, config)
    names = {case.id for case in cases}
    others = [case for case in (*chosen.labelled, *chosen.unlabelled) if case.id not in names and case.image]
    others += _more_images(config, {case.id for case in (*chosen.labelled, *chosen.unlabelled)} | chosen.forbidden)
    if not others:
        raise InputError(
            f"All cases of the site {config.site!r} are labelled, so this stage has nothing to add; train the "
            "generator with a smaller labelled, or add cases without label maps."
        )
    on = grid_of(header)
    labelled = read_hearts(cases, on, progress, labels=True, images=True)
    require_same_files(header, labelled.sha256, config.cohort)
    unlabelled = read_hearts(others, on, progress, labels=False, images=True)
    held = read_hearts(chosen.held[: config.held_cases], on, progress, labels=True, images=True)
    perceptual = PerceptualLoss(perceptual_features(config.vgg19))
    beside = model.folder / SHAPE_MODEL_FILE
    return SemiSupervisedTask(
        config, parts, perceptual, labelled, unlabelled, held, beside if beside.exists() else None
    )


class SemiSupervisedTask(Task):
    """Generators, latents and enhancer of one site; the discriminator only judges.

    Attributes:
        labelled: cases with labels; their latents come first.
        unlabelled: cases without.
        discriminator: frozen, in evaluation mode, in no checkpoint.
        hearts: losses and measures of shapes and coarse CT.
        slices: losses and measures of slices.
        normal: distribution of latents for the model to be written; None: the one fitted to the cases' own.
    """

    memory_advice = "lower slices, or take device=cpu"

    def __init__(
        self,
        config: SemiSupervisedConfig,
        parts: tuple[HeartGenerator, SiteEnhancer, SiteDiscriminator],
        perceptual: PerceptualLoss,
        labelled: Hearts,
        unlabelled: Hearts,
        held: Hearts,
        shape_model: Path | None,
    ) -> None:
        """Take the networks and draw the unlabelled cases' latents.

        Args:
            config: of the run.
            parts: generator, enhancer and discriminator, on the CPU.
            perceptual: compares coarse CT and slices.
            labelled: with labels and images; the generator has their latents.
            unlabelled: with images.
            held: validation cases with both, possibly none.
            shape_model: file to hand on, where the generator's shape model is not the one that ships.
        """
        super().__init__()
        self.normal: LatentNormal | None = None
        generator, enhancer, discriminator = parts
        self._config, self._parts, self._shape_model = config, parts, shape_model
        self.labelled, self.unlabelled, self._held = labelled, unlabelled, held
        self.discriminator = discriminator.network.eval().requires_grad_(False)
        assert generator.material is not None
        assert labelled.labels is not None
        self._labels = labelled.labels
        self.data_sha256 = {
            **labelled.sha256,
            **unlabelled.sha256,
            **held.sha256,
            "generator": generator.checksum,
            "enhancer": enhancer.checksum,
        }
        model = generator.model
        header = _header(config, generator.header, labelled, unlabelled, perceptual.name)
        self.hearts = HeartLearning(header, model, ShapeVoxels(model, generator.grid), perceptual)
        self.slices = SliceLearning(config, perceptual, generator.intensity)
        self.modules = {
            "shape": generator.shape.train(),
            # Batch norm keeps the statistics of all hearts: those of the two of a step would undo their latents.
            "material": generator.material.eval(),
            "latents": _latents(generator, labelled, unlabelled, config),
            "enhancer": enhancer.network.train(),
        }
        self._rates = {
            "shape": config.learning_rate,
            "material": config.material_learning_rate,
            "latents": config.latent_learning_rate,
            "enhancer": config.enhancer_learning_rate,
        }
        groups = parameter_groups(self.modules)
        groups[-1]["betas"] = BETAS
        self.optimizers = {"adam": torch.optim.Adam(groups)}
        self._random = torch.Generator().manual_seed(config.seed)
        self.generators = {"slices": self._random}
        self._targets = torch.cat((coarse_targets(labelled), coarse_targets(unlabelled)))
        orders = ((len(labelled), 0), (len(unlabelled), 1))
        self._orders = [DataOrder(count, config.batch_size, config.seed, stream) for count, stream in orders]

    def to(self, device: torch.device) -> None:
        """Bring discriminator, shape model, renderer and features along."""
        super().to(device)
        self.discriminator.to(device)
        self.hearts.to(device)
        self.slices.to(device)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return a labelled phase in even and an unlabelled one in odd steps."""
        turn = step % 2
        samples = self._orders[turn].batch(step // 2)
        if turn:
            return [Phase("unlabelled", "adam", samples, self._load_unlabelled, self._unlabelled_losses)]
        return [Phase("labelled", "adam", samples, self._load_labelled, self._labelled_losses)]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return the rates of all parts: constant at first, then falling linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return {"adam": rates_of_groups(self.modules, self._rates, factor)}

    def evaluate(self) -> Mapping[str, float]:
        """Return how well hearts are reconstructed.

        IoU of labelled hearts; coarse CT and slices of labelled and unlabelled ones (these from the latent alone); of
        validation cases the slices, from their labels and downsampled CT.
        """
        count = len(self.labelled)
        found = self.hearts.measures(self.modules, range(count), self._labels, self._targets[:count])
        metrics = {f"labelled/{name}": value for name, value in found.items()}
        for name, source, hearts in self._sources():
            cases = range(min(_MEASURED_CASES, len(hearts)))
            measures = self.slices.measures(self.modules["enhancer"], source, cases, self._depth, self.device)
            metrics |= {f"{name}/{key}": value for key, value in measures.items()}
        return metrics

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return slices of a labelled, an unlabelled and a validation case: label, coarse CT, enhanced, real."""
        return {
            f"{name}-slices": self.slices.picture(self.modules["enhancer"], source, 0, self._depth, self.device)
            for name, source, _ in self._sources()
        }

    def finish(self, folder: Path) -> Outcome:
        """Write a whole model folder: the paper's Full."""
        metrics = dict(self.evaluate())
        generator = self.hearts.generator(self.modules, metrics, self.normal)
        changes = {
            "stage": "semi-supervised",
            "generator_sha256": generator.checksum,
            "metrics": metrics,
            "provenance": provenance(self._config),
            "features": self.slices.perceptual.name,
            "cases": (*self.labelled.names, *self.unlabelled.names),
            "data_sha256": generator.header.data_sha256,
        }
        _, old, judge = self._parts
        modules = {"enhancer": self.modules["enhancer"], "discriminator": self.discriminator}
        enhancer, discriminator = finished_enhancer(old.header.model_copy(update=changes), judge.header, modules)
        files = write_model(
            folder / MODEL_OF_RUN,
            generator,
            [enhancer],
            [discriminator],
            shape_model=self._shape_model,
            card=card(generator, [enhancer]),
        )
        return Outcome(files, metrics)

    @property
    def _depth(self) -> int:
        return self.hearts.header.size

    def _sources(self) -> list[tuple[str, Any, Hearts]]:
        """Return for each kind of hearts its name, what gives their slices, and the hearts."""
        held = self._held
        sources: list[tuple[str, Any, Hearts]] = [
            ("labelled", self._slices_of_labelled, self.labelled),
            ("unlabelled", self._slices_of_unlabelled, self.unlabelled),
        ]
        if len(held):
            coarse = coarse_of_images(held, self.slices.intensity)
            shown = ConditionedSlices(held, coarse, self.slices.intensity)
            sources.append(("held", shown.of_heart, held))
        return sources

    # ---- Steps

    def _draw(self, hearts: Hearts, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Draw slices of hearts; returns their numbers (batch, S) and the real ones (batch * S, 1, X, Y)."""
        together, count = self.slices.neighbours, self._config.slices
        assert hearts.hounsfield is not None
        seen = [seen_slices(hearts.hounsfield[case]) for case in samples]
        lowest, places = torch.tensor([(each.start, max(1, len(each) - together + 1)) for each in seen]).T[..., None]
        first = lowest + (torch.rand(len(samples), count, generator=self._random) * places).long()
        first = first.clamp_max(self._depth - together)
        index = (first[..., None] + torch.arange(together)).flatten(1)
        real = [
            real_slices(hearts, case, row.tolist(), self.slices.intensity)
            for case, row in zip(samples, index, strict=True)
        ]
        return index.to(self.device), torch.cat(real).to(self.device)

    def _load_labelled(self, samples: Sequence[int]) -> tuple[Tensor, ...]:
        cases = torch.tensor(list(samples))
        labels, targets = self._labels[cases], self._targets[cases]
        return (
            cases.to(self.device),
            labels.to(self.device),
            targets.to(self.device),
            *self._draw(self.labelled, samples),
        )

    def _load_unlabelled(self, samples: Sequence[int]) -> tuple[Tensor, ...]:
        cases = torch.tensor(list(samples)) + len(self.labelled)
        return cases.to(self.device), *self._draw(self.unlabelled, samples)

    def _labelled_losses(self, batch: tuple[Tensor, ...]) -> Losses:
        cases, labels, targets, index, real = batch
        latents = self.modules["latents"](cases)
        iou = self.hearts.shape_loss(self.modules, latents, labels)
        coarse = self.hearts.coarse(self.modules, latents)
        of_coarse = self.hearts.material_losses(coarse, targets)
        condition = slice_conditions(coarse, labels, index)
        of_slices = self.slices.losses(self.modules["enhancer"], self.discriminator, SliceBatch(condition, real))
        config, enhanced = self._config, of_slices.pop("loss")
        total = iou + config.mse_weight * of_coarse["mse"] + config.perceptual_weight * of_coarse["perceptual"]
        total = total + config.enhancer_weight * enhanced
        told = {f"slice_{name}": value for name, value in of_slices.items()}
        return {"loss": total, "iou": iou, **of_coarse, **told}

    def _unlabelled_losses(self, batch: tuple[Tensor, ...]) -> Losses:
        cases, index, real = batch
        latents = self.modules["latents"](cases)
        regions = self.hearts.voxels.probabilities(self.modules["shape"](latents))
        condition = slice_conditions(self.hearts.coarse(self.modules, latents), regions, index)
        losses = self.slices.losses(self.modules["enhancer"], self.discriminator, SliceBatch(condition, real))
        return {**losses, "loss": self._config.enhancer_weight * losses["loss"]}

    # ---- Looking

    def _slices_of_labelled(self, case: int, slices: Sequence[int]) -> SliceBatch:
        labels = self._labels[case : case + 1].to(self.device)
        return self._shown(case, labels, slices, real_slices(self.labelled, case, slices, self.slices.intensity))

    def _slices_of_unlabelled(self, case: int, slices: Sequence[int]) -> SliceBatch:
        latent = len(self.labelled) + case
        labels = self.hearts.voxels.labels(self.modules["shape"](self._latent(latent)))
        return self._shown(latent, labels, slices, real_slices(self.unlabelled, case, slices, self.slices.intensity))

    def _latent(self, number: int) -> Tensor:
        latent: Tensor = self.modules["latents"](torch.tensor([number], device=self.device))
        return latent

    def _shown(self, latent: int, labels: Tensor, slices: Sequence[int], real: Tensor) -> SliceBatch:
        coarse = self.hearts.coarse(self.modules, self._latent(latent))
        index = torch.tensor([list(slices)], device=self.device)
        return SliceBatch(slice_conditions(coarse, labels, index), real)


def _more_images(config: SemiSupervisedConfig, known: AbstractSet[str]) -> list[Case]:
    """Return the CT images of the config's second cohort, all of the site whatever it calls itself."""
    if config.images is None:
        return []
    found = [case for case in read_cohort(config.images).cases if case.image and case.modality == "CT"]
    twice = sorted(known & {case.id for case in found})
    if twice:
        raise InputError(f"{twice[0]} is a case of {config.images} and of {config.cohort}; give every case its own id.")
    return [case.model_copy(update={"site": config.site, "label": None}) for case in found]


def _latents(generator: HeartGenerator, labelled: Hearts, unlabelled: Hearts, config: SemiSupervisedConfig) -> Latents:
    """Return the learnt latents of labelled cases, and others drawn from the normal fitted to the site's.

    With a single labelled case of the site the normal is that of all sites' cases.
    """
    known = torch.cat([generator.latent_of(name) for name in labelled.names])
    normal = generator.normals.get(config.site, generator.normal)
    drawn = normal.sample(len(unlabelled), torch.Generator().manual_seed(config.seed))
    latents = Latents(len(known) + len(drawn), generator.header.latent_size)
    with torch.no_grad():
        latents.vectors.weight.copy_(torch.cat((known, drawn)))
    return latents


def _header(
    config: SemiSupervisedConfig, before: GeneratorHeader, labelled: Hearts, unlabelled: Hearts, features: str
) -> GeneratorHeader:
    cases = [
        TrainingCase(id=name, site=config.site, labelled=hearts is labelled)
        for hearts in (labelled, unlabelled)
        for name in hearts.names
    ]
    changes = {
        "stage": "semi-supervised",
        "cases": tuple(cases),
        "features": features,
        "provenance": {**provenance(config), "before": before.provenance},
        "data_sha256": {**labelled.sha256, **unlabelled.sha256},
    }
    return before.model_copy(update=changes)
