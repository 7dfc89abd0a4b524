"""Pre-training of the shape generator on label maps (Li et al. 2020, section 2.2), by generative latent optimization.

Every heart of the cohort has a latent vector that is learnt together with the generator. The generator's output moves
the shape model, the voxelizer makes label probabilities of its surfaces, and the loss is one minus the mean IoU over
the regions. Hearts are compared on a working grid round the middle of each heart's bounding box, from which the
shape model's translations are counted too.

Adam moves every latent in every step, those of the other cases by their momentum alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.progress import Progress
from FedSimCore.shape.model import ShapeModel, builtin_model
from FedSimCore.tensor_files import write_weights
from FedSimCore.training.case_choice import ChosenCases, choose_cases
from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.hearts import Hearts, WorkingGrid, read_hearts
from FedSimCore.training.pictures import in_rows, label_planes
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.training.shape_voxels import ShapeVoxels, mean_iou
from FedSimCore.training.task import Losses, Outcome, Phase, Task

KIND = "shape generator"
MODEL_FILE = "shape_generator.safetensors"
_SHOWN = 4
_AT_ONCE = 2


def build(config: ShapeGeneratorConfig, progress: Progress) -> ShapeGeneratorTask:
    """Read the cohort and make the networks, with the first weights and latents of the config's seed.

    Raises:
        InputError: the cohort has fewer than two hearts with labels, one can't be used, or the shape model has too
            few modes.
    """
    cases = choose_cases(config.cohort, config.sites, seed=config.seed)
    require_two(cases, config.cohort)
    model = shape_model(config.shape_model, config.modes)
    on = WorkingGrid(config.size, config.spacing_mm)
    return ShapeGeneratorTask(config, read_hearts(cases.labelled, on, progress, labels=True, images=False), model)


class ShapeGeneratorTask(Task):
    """Generator and latents, learnt by the IoU loss.

    Attributes:
        voxels: the shape model the generator moves, and the working grid.
        hearts: what is learnt from.
    """

    memory_advice = "lower size (and raise spacing_mm with it), or take device=cpu"

    def __init__(self, config: ShapeGeneratorConfig, hearts: Hearts, model: ShapeModel) -> None:
        """Make the networks.

        Args:
            config: of the run.
            hearts: at least one.
            model: with the config's number of modes.
        """
        super().__init__()
        self.hearts = hearts
        self.voxels = ShapeVoxels(model, WorkingGrid(config.size, config.spacing_mm).grid, config.gradient)
        self.data_sha256 = {**hearts.sha256, "shape model": model.checksum}
        latents = Latents(len(hearts.names), config.latent_size, config.seed)
        generator = ShapeGenerator(model.parameter_count, config.latent_size, config.hidden, config.seed)
        self.modules = {"generator": generator, "latents": latents}
        groups = [{"params": list(module.parameters())} for module in (generator, latents)]
        self.optimizers = {"adam": torch.optim.Adam(groups, lr=config.learning_rate)}
        assert hearts.labels is not None
        self._config, self._labels = config, hearts.labels
        self._order = DataOrder(len(hearts.names), config.batch_size, config.seed)

    def to(self, device: torch.device) -> None:
        """Bring the shape model along."""
        super().to(device)
        self.voxels.to(device)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the one phase: reconstruct the next hearts."""
        return [Phase("", "adam", self._order.batch(step), self._load, self._losses)]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return the rates of generator and latents, constant at first and then falling linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return {"adam": [factor * self._config.learning_rate, factor * self._config.latent_learning_rate]}

    def parameters_of(self, cases: Tensor) -> Tensor:
        """Return the shape model's parameters (batch, modes + 7) that training cases (batch,) have at present."""
        return self.voxels.model.from_unit(self._unit(cases))

    def evaluate(self) -> Mapping[str, float]:
        """Return the IoU of the reconstructed training hearts: mean over regions and hearts, and the worst heart's."""
        scores = []
        for first in range(0, len(self.hearts.names), _AT_ONCE):
            cases, wanted = self._load(range(first, min(first + _AT_ONCE, len(self.hearts.names))))
            one_hot = self.voxels.one_hot
            scores.append(mean_iou(one_hot(self._reconstructed(cases)), one_hot(wanted)))
        found = torch.cat(scores)
        return {"train/iou": float(found.mean()), "train/iou_worst": float(found.min())}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return the middle axial, coronal and sagittal slices of some hearts: as they are, and below as generated."""
        cases, wanted = self._load(range(min(_SHOWN, len(self.hearts.names))))
        made = self._reconstructed(cases)
        return {
            "hearts": in_rows([[label_planes(heart) for heart in hearts.cpu().numpy()] for hearts in (wanted, made)])
        }

    def finish(self, folder: Path) -> Outcome:
        """Write generator and latents with everything that is needed to use them."""
        config, path = self._config, folder / MODEL_FILE
        metrics = dict(self.evaluate())
        tensors = {
            f"{name}.{key}": value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        header = {
            "kind": KIND,
            "latent_size": config.latent_size,
            "hidden": list(config.hidden),
            "modes": config.modes,
            "shape_model_sha256": self.voxels.model.checksum,
            "size": config.size,
            "spacing_mm": config.spacing_mm,
            "cases": list(self.hearts.names),
            "metrics": metrics,
        }
        write_weights(path, tensors, header)
        return Outcome([path], metrics)

    def _load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return indices (batch,) and label maps (batch, X, Y, Z) on the task's device."""
        cases = torch.tensor(list(samples))
        return cases.to(self.device), self._labels[cases].to(self.device, non_blocking=True)

    def _losses(self, batch: tuple[Tensor, Tensor]) -> Losses:
        cases, wanted = batch
        made = self.voxels.probabilities(self._unit(cases))
        return {"loss": 1 - mean_iou(made, self.voxels.one_hot(wanted)).mean()}

    def _reconstructed(self, cases: Tensor) -> Tensor:
        return self.voxels.labels(self._unit(cases))

    def _unit(self, cases: Tensor) -> Tensor:
        unit: Tensor = self.modules["generator"](self.modules["latents"](cases))
        return unit


def shape_model(path: Path | None, modes: int) -> ShapeModel:
    """Return the shape model of a config: a file's, or the one that ships, with as many modes.

    Raises:
        InputError: the file can't be used, or the model has fewer modes.
    """
    return (builtin_model(None) if path is None else ShapeModel.load(path)).with_modes(modes)


def require_two(cases: ChosenCases, cohort: Path) -> None:
    """Check that there is something to learn.

    Raises:
        InputError: fewer than two cases have a label map.
    """
    if len(cases.labelled) < 2:
        count = len(cases.labelled)
        raise InputError(
            f"{cohort} has {count} training case{'s' * (count != 1)} with a label map that may be used; the generator "
            "learns how hearts differ and needs two at least."
        )
