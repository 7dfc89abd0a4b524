"""The part of a recipe that all sites share, as the server has it: modules, how they move, the model they make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import MODEL_OF_RUN, write_model
from FedSimCore.networks.generators import ShapeGenerator
from FedSimCore.networks.material_generator import MaterialGenerator
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.data_order import linear_decay
from FedSimCore.training.generator import generator_header, generator_networks, generator_rates
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.heart_learning import parameter_groups, rates_of_groups
from FedSimCore.training.hearts import Hearts
from FedSimCore.training.model_card import card
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
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's groups."""

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


class SharedGenerator(SharedPart):
    """Shape and material generator."""

    def __init__(self, config: GeneratorConfig) -> None:
        """Make the networks with the first weights of the config's seed."""
        self._config = config
        self._model = shape_model(config.shape_model, config.modes)
        self.modules = generator_networks(config, self._model.parameter_count)
        self.latent_size = config.latent_size

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return each module, and of the material generator the last convolution apart."""
        return parameter_groups(self.modules)

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
        model = self._model
        shape = ShapeGenerator(model.parameter_count, self.latent_size, self._config.hidden)
        shape.load_state_dict(self.modules["shape"].state_dict())
        material = None
        if "material" in self.modules:
            material = MaterialGenerator(self.latent_size, header.kernels)
            material.load_state_dict(self.modules["material"].state_dict())
        made = HeartGenerator(header, model, shape, material, torch.zeros(0, self.latent_size), normal).eval()
        files = write_model(folder / MODEL_OF_RUN, made, shape_model=self._config.shape_model, card=card(made))
        return Outcome(files)


PRIVATE = frozenset({"latents", "enhancer"})
"""Modules that never leave a site."""
PARTS: dict[str, Callable[[Any], SharedPart]] = {"generator": SharedGenerator}
"""Of each recipe that can be federated."""


def shared_part(config: TrainingConfig) -> SharedPart:
    """Return the shared part of a recipe.

    Raises:
        InputError: the shape model, or a model to start from, can't be used.
    """
    return PARTS[config.recipe](config)


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
