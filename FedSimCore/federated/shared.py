"""The part of a recipe that all sites share, as the server has it: modules, how they move, the model they make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from FedSimCore.generation.generator_file import SHAPE_MODEL_FILE, GeneratorHeader, HeartGenerator
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import MODEL_OF_RUN, GenerativeModel, write_model
from FedSimCore.networks.generators import ShapeGenerator
from FedSimCore.networks.material_generator import MaterialGenerator
from FedSimCore.segmentation.model_file import MODEL_OF_RUN as SEGMENTER_OF_RUN
from FedSimCore.segmentation.model_file import Segmenter, new_network, segmenter_file
from FedSimCore.shape.model import ShapeModel
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.data_order import linear_decay
from FedSimCore.training.generator import GeneratorTask, generator_header, generator_networks, generator_rates
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.heart_learning import parameter_groups, provenance, rates_of_groups
from FedSimCore.training.hearts import Hearts
from FedSimCore.training.model_card import card
from FedSimCore.training.segmenter import SegmenterTask, segmenter_header, segmenter_rate
from FedSimCore.training.segmenter_config import SegmenterConfig
from FedSimCore.training.semi_supervised import SemiSupervisedTask
from FedSimCore.training.semi_supervised_config import SemiSupervisedConfig
from FedSimCore.training.shape_generator import shape_model
from FedSimCore.training.task import Outcome

_DRAWN = 16
_BATCHES = 8


class SharedPart(ABC):
    """The shared modules of a recipe at the server, where there is no data.

    Attributes:
        modules: by the names that they have in the sites' tasks.
        latent_size: numbers of the sites' latents; 0 where the recipe has none.
    """

    modules: dict[str, nn.Module]
    latent_size: int = 0

    @abstractmethod
    def optimizer(self) -> Optimizer:
        """Return the optimizer that the recipe itself would move the shared modules with, new."""

    @abstractmethod
    def rates(self, step: int) -> Sequence[float]:
        """Return the rate of each group in a step."""

    @abstractmethod
    def finish(self, folder: Path, normal: LatentNormal | None, seed: int) -> Outcome:
        """Give the modules' buffers, which no site has sent, their values, and write the model.

        Args:
            folder: of the server's run.
            normal: of the sites' latents; None where the recipe has none.
            seed: of what is drawn.
        """

    @staticmethod
    @abstractmethod
    def cases_of(task: Any) -> int:
        """Return how many cases a site's task learns from."""

    @classmethod
    def cases_in_round(cls, task: Any, batch_size: int) -> int:
        """Return the fewest cases that an update of a site's task is made of."""
        return min(cls.cases_of(task), batch_size)


class SharedGenerator(SharedPart):
    """Shape and material generator."""

    def __init__(self, config: GeneratorConfig) -> None:
        """Make the networks with the first weights of the config's seed."""
        self._config = config
        self._model = shape_model(config.shape_model, config.modes)
        self.modules = generator_networks(config, self._model.parameter_count)
        self.latent_size = config.latent_size

    def optimizer(self) -> Optimizer:
        """Return Adam; the material generator's last convolution is a group of its own."""
        return torch.optim.Adam(parameter_groups(self.modules))

    def rates(self, step: int) -> Sequence[float]:
        """Return constant rates that fall linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return rates_of_groups(self.modules, generator_rates(self._config), factor)

    def finish(self, folder: Path, normal: LatentNormal | None, seed: int) -> Outcome:
        """Measure the batch norms' statistics on drawn latents, and write a model folder without any latent."""
        assert normal is not None
        if "material" in self.modules:
            generator = torch.Generator().manual_seed(seed)
            settle_batch_norms(self.modules["material"], lambda: normal.sample(_DRAWN, generator), _BATCHES)
        header = generator_header(self._config, Hearts((), (), None, None, {}), self._model, "at the sites")
        made = _without_latents(header, self._model, self.modules, normal)
        files = write_model(folder / MODEL_OF_RUN, made, shape_model=self._config.shape_model, card=card(made))
        return Outcome(files)

    @staticmethod
    def cases_of(task: GeneratorTask) -> int:
        """Return the number of labelled cases."""
        return len(task.names)


class SharedSemiSupervised(SharedPart):
    """Both generators in the semi-supervised stage; enhancers, and the discriminators that judge them, stay at home."""

    def __init__(self, config: SemiSupervisedConfig) -> None:
        """Open the server's model of the stage before, which ``config.model`` names."""
        self._config = config
        opened = GenerativeModel.load(config.model)
        self._before, self._folder = opened.generator, opened.folder
        assert self._before.material is not None
        # Batch norms keep their statistics in this stage, as at a single site.
        self.modules = {"shape": self._before.shape.train(), "material": self._before.material.eval()}
        self.latent_size = self._before.header.latent_size

    def optimizer(self) -> Optimizer:
        """Return Adam; the material generator's last convolution is a group of its own."""
        return torch.optim.Adam(parameter_groups(self.modules))

    def rates(self, step: int) -> Sequence[float]:
        """Return constant rates that fall linearly to 0."""
        config = self._config
        rates = {"shape": config.learning_rate, "material": config.material_learning_rate}
        return rates_of_groups(self.modules, rates, linear_decay(step, config.steps, config.constant_share))

    def finish(self, folder: Path, normal: LatentNormal | None, seed: int) -> Outcome:  # noqa: ARG002
        """Write a model folder without any latent."""
        assert normal is not None
        before = self._before.header
        told = {**provenance(self._config), "before": before.provenance}
        header = before.model_copy(update={"stage": "semi-supervised", "cases": (), "provenance": told})
        made = _without_latents(header, self._before.model, self.modules, normal)
        beside = self._folder / SHAPE_MODEL_FILE
        files = write_model(
            folder / MODEL_OF_RUN, made, shape_model=beside if beside.exists() else None, card=card(made)
        )
        return Outcome(files)

    @staticmethod
    def cases_of(task: SemiSupervisedTask) -> int:
        """Return the number of labelled and unlabelled cases."""
        return len(task.labelled) + len(task.unlabelled)

    @classmethod
    def cases_in_round(cls, task: SemiSupervisedTask, batch_size: int) -> int:
        """Return the fewest cases of a round: labelled and unlabelled ones have rounds of their own."""
        return min(batch_size, len(task.labelled), len(task.unlabelled))


class SharedSegmenter(SharedPart):
    """The whole segmenter: Direct-FL, the paper's baseline."""

    def __init__(self, config: SegmenterConfig) -> None:
        """Make the network, or take the weights of ``config.init``."""
        self._config = config
        start = Segmenter.load(segmenter_file(config.init)) if config.init is not None else None
        self._header = segmenter_header(config, start)
        network = new_network(self._header, config.seed)
        if start is not None:
            network.load_state_dict(start.network.state_dict())
        self.modules = {"network": network}

    def optimizer(self) -> Optimizer:
        """Return AdamW."""
        config = self._config
        parameters = self.modules["network"].parameters()
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)

    def rates(self, step: int) -> Sequence[float]:
        """Return a rate that rises in the first steps and falls to 0 as half a cosine."""
        return [segmenter_rate(self._config, step)]

    def finish(self, folder: Path, normal: LatentNormal | None, seed: int) -> Outcome:  # noqa: ARG002
        """Write the segmenter as it is after the last round."""
        header = self._header.model_copy(update={"provenance": provenance(self._config)})
        made = new_network(header)
        made.load_state_dict(self.modules["network"].state_dict())
        return Outcome([Segmenter(header, made).save(folder / SEGMENTER_OF_RUN)])

    @staticmethod
    def cases_of(task: SegmenterTask) -> int:
        """Return the number of real cases."""
        return len(task.cases.cohort)


def _without_latents(
    header: GeneratorHeader, model: ShapeModel, modules: Mapping[str, nn.Module], normal: LatentNormal
) -> HeartGenerator:
    """Return a generator of shared modules, with copies of their weights."""
    shape = ShapeGenerator(model.parameter_count, header.latent_size, header.hidden)
    shape.load_state_dict(modules["shape"].state_dict())
    material = None
    if "material" in modules:
        material = MaterialGenerator(header.latent_size, header.kernels)
        material.load_state_dict(modules["material"].state_dict())
    return HeartGenerator(header, model, shape, material, torch.zeros(0, header.latent_size), normal).eval()


PRIVATE = frozenset({"latents", "enhancer"})
"""Modules that never leave a site."""
PARTS: dict[str, type[Any]] = {
    "generator": SharedGenerator,
    "semi-supervised": SharedSemiSupervised,
    "segmenter": SharedSegmenter,
}
"""Of each recipe that can be federated."""


def shared_part(config: TrainingConfig) -> SharedPart:
    """Return the shared part of a recipe.

    Raises:
        InputError: the shape model, or a model to start from, can't be used.
    """
    part: SharedPart = PARTS[config.recipe](config)
    return part


def shared_modules(modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return those of a site's modules that are shared: all but its latents and its enhancer."""
    return {name: module for name, module in modules.items() if name not in PRIVATE}


def buffers_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the modules' buffers that are measured, not counted, by dotted names."""
    return {
        f"{module_name}.{name}": buffer
        for module_name, module in modules.items()
        for name, buffer in module.named_buffers()
        if buffer.is_floating_point()
    }


@torch.no_grad()
def settle_batch_norms(module: nn.Module, draw: Callable[[], Tensor], batches: int) -> None:
    """Measure the statistics of a module's batch norms anew, as means over batches, and leave it in evaluation mode.

    Args:
        module: its batch norms track running statistics.
        draw: returns a batch of inputs.
        batches: how many are drawn.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm3d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
    module.train()
    for _ in range(batches):
        module(draw())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
