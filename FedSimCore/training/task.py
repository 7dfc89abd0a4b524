"""What a recipe has to bring so that the loop can train it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from FedSimCore.errors import FedSimError
from FedSimCore.training.random_state import Generators

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Phase:
    """One optimizer's part of a step.

    The loop sets the rates, clears the gradients, adds those of every micro-batch, weighted by its share of the cases,
    and makes one step of the optimizer. A GAN has two phases in a step, its discriminator's and its generator's; a
    federated step one whose samples are all sites'; an alternation gives another phase in every second step.

    Attributes:
        name: before the names of its metrics; empty for the only phase.
        optimizer: whose step it is, by its name in the task.
        samples: the cases of the step, over all devices.
        load: gets some of the samples and returns a batch on the task's device; its time counts as waiting for data.
        losses: gets a batch; its ``"loss"``, a mean over the batch's cases, is minimised, the rest is reported.
    """

    name: str
    optimizer: str
    samples: Sequence[int]
    load: Callable[[Sequence[int]], Any]
    losses: Callable[[Any], Losses]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a finished training leaves.

    Attributes:
        files: results.
        metrics: of the final model.
    """

    files: Sequence[Path] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


class Task(ABC):
    """Networks, optimizers, data, and what a step is.

    Modules are replaced in ``modules`` by the loop with those that Fabric has wrapped: take them from there in every
    step. Latents that are learnt are a module like any other.

    Attributes:
        modules: everything with weights, by name.
        optimizers: by name; their state goes into checkpoints.
        generators: random generators beside the global ones.
        data_sha256: checksum of every case's files; a run is not resumed on other data.
        device: where batches have to be.
        memory_advice: settings to lower when one case alone does not fit into memory.
    """

    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    generators: Generators
    data_sha256: Mapping[str, str]
    device: torch.device
    memory_advice: str = "use another device"

    def __init__(self) -> None:
        """Begin with nothing; a recipe fills in."""
        self.modules, self.optimizers, self.generators, self.data_sha256 = {}, {}, {}, {}
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> None:
        """Bring what is no module to a device; called once, before the first step."""
        self.device = device

    @abstractmethod
    def phases(self, step: int) -> Sequence[Phase]:
        """Return what is done in a step; steps count from 0."""

    @abstractmethod
    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return for each optimizer the rate of each of its parameter groups: a function of the step alone."""

    def stage(self, step: int) -> str:  # noqa: ARG002
        """Return what people call the part of the training that a step belongs to."""
        return "training"

    def evaluate(self) -> Mapping[str, float]:
        """Measure the model; in evaluation mode, without gradients, free to draw random numbers."""
        return {}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return pictures (height, width, 3) by name; called like :meth:`evaluate`."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """Return what else a checkpoint has to hold: numbers, texts, tensors, in dicts, lists and tuples."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (a task without more state needs none)
        """Take back what :meth:`state` gave."""

    @abstractmethod
    def finish(self, folder: Path) -> Outcome:
        """Write the results into the run's folder; called once, like :meth:`evaluate`."""


class TrainingError(FedSimError):
    """A training cannot go on; its last good checkpoint is kept."""
