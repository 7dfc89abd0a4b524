"""Pre-training of the shape generator on label maps (Li et al. 2020, section 2.2), by generative latent optimization.

Every heart of the cohort has a latent vector that is learnt together with the generator. The generator's output moves
the shape model, the voxelizer makes label probabilities of its surfaces, and the loss is one minus the mean IoU over
the regions. Hearts are compared on a working grid round the middle of each heart's bounding box, from which the
shape model's translations are counted too.

Adam moves every latent in every step, those of the other cases by their momentum alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.anatomy import regions
from FedSimCore.cohorts import Case, load_case, read_cohort
from FedSimCore.errors import InputError
from FedSimCore.files import sha256_of
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.progress import Progress
from FedSimCore.shape.model import ShapeModel, builtin_model
from FedSimCore.shape.parameter_gradient import voxelize_parameters
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.tensor_files import write_weights
from FedSimCore.training.data_order import DataOrder, linear_decay
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.training.task import Losses, Outcome, Phase, Task
from FedSimCore.volumes import Grid
from FedSimCore.volumes.crop import crop_round_heart

KIND = "shape generator"
MODEL_FILE = "shape_generator.safetensors"
_SHOWN = 4
_PLANE_PIXELS = 128
_AT_ONCE = 2
_FINITE_STEP_VOXELS = 0.5


@dataclass(frozen=True, eq=False)
class LabelledHearts:
    """Label maps on the working grid.

    Attributes:
        names: case ids.
        labels: (cases, X, Y, Z) uint8.
        sha256: case id to the checksum of its label file.
    """

    names: tuple[str, ...]
    labels: Tensor
    sha256: Mapping[str, str]


def build(config: ShapeGeneratorConfig, progress: Progress) -> ShapeGeneratorTask:
    """Read the cohort and make the networks, with the first weights and latents of the config's seed.

    Raises:
        InputError: the cohort has fewer than two hearts with labels, one can't be used, or the shape model has too
            few modes.
    """
    model = (builtin_model(None) if config.shape_model is None else ShapeModel.load(config.shape_model)).with_modes(
        config.modes
    )
    return ShapeGeneratorTask(config, read_hearts(config, progress), model)


def read_hearts(config: ShapeGeneratorConfig, progress: Progress) -> LabelledHearts:
    """Read the label maps of a config's cohort onto its working grid.

    Raises:
        InputError: there are fewer than two with labels, or one can't be used.
    """
    cohort = read_cohort(config.cohort)
    chosen = [case for site in config.sites or cohort.sites for case in cohort.of_site(site)]
    cases = [case for case in chosen if case.label is not None]
    if len(cases) < 2:
        raise InputError(
            f"{config.cohort} has {len(cases)} of {len(chosen)} cases with a label map; the generator learns how "
            "hearts differ and needs two at least."
        )
    labels, checksums = [], {}
    for number, case in enumerate(cases):
        progress(number, len(cases), "reading label maps")
        labels.append(_on_working_grid(case, config))
        assert case.label is not None
        checksums[case.id] = sha256_of(case.label)
    progress(len(cases), len(cases), "reading label maps")
    return LabelledHearts(tuple(case.id for case in cases), torch.stack(labels), checksums)


def _on_working_grid(case: Case, config: ShapeGeneratorConfig) -> Tensor:
    try:
        label = load_case(case.model_copy(update={"image": None})).label
        crop = crop_round_heart(None, label, config.size, config.spacing_mm).label
    except InputError as error:
        raise InputError(f"{case.id}: {error}") from error
    assert crop is not None
    if not crop.array.any():
        raise InputError(f"{case.id}: no voxel of the working grid is labelled; lower spacing_mm.")
    return torch.from_numpy(crop.array.astype(np.uint8))


class ShapeGeneratorTask(Task):
    """Generator and latents, learnt by the IoU loss.

    Attributes:
        model: the shape model the generator moves.
        grid: the working grid, round the origin.
        hearts: what is learnt from.
    """

    memory_advice = "lower size (and raise spacing_mm with it), or take device=cpu"

    def __init__(self, config: ShapeGeneratorConfig, hearts: LabelledHearts, model: ShapeModel) -> None:
        """Make the networks.

        Args:
            config: of the run.
            hearts: at least one.
            model: with the config's number of modes.
        """
        super().__init__()
        self.model, self.hearts = model, hearts
        self.grid = Grid.centered(config.size, config.spacing_mm)
        self.data_sha256 = {**hearts.sha256, "shape model": model.checksum}
        latents = Latents(len(hearts.names), config.latent_size, config.seed)
        generator = ShapeGenerator(model.parameter_count, config.latent_size, config.hidden, config.seed)
        self.modules = {"generator": generator, "latents": latents}
        groups = [{"params": list(module.parameters())} for module in (generator, latents)]
        self.optimizers = {"adam": torch.optim.Adam(groups, lr=config.learning_rate)}
        self._config = config
        self._order = DataOrder(len(hearts.names), config.batch_size, config.seed)
        self._values = torch.tensor(model.topology.labels, dtype=torch.uint8)[:, None, None, None]
        self._steps = _finite_steps(model, config.spacing_mm) if config.gradient == "finite-differences" else None

    def to(self, device: torch.device) -> None:
        """Bring the shape model along."""
        super().to(device)
        self.model = self.model.to(device)

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the one phase: reconstruct the next hearts."""
        return [Phase("", "adam", self._order.batch(step), self._load, self._losses)]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return the rates of generator and latents, constant at first and then falling linearly to 0."""
        factor = linear_decay(step, self._config.steps, self._config.constant_share)
        return {"adam": [factor * self._config.learning_rate, factor * self._config.latent_learning_rate]}

    def parameters_of(self, cases: Tensor) -> Tensor:
        """Return the shape model's parameters (batch, modes + 7) that training cases (batch,) have at present."""
        return self.model.from_unit(self.modules["generator"](self.modules["latents"](cases)))

    def evaluate(self) -> Mapping[str, float]:
        """Return the IoU of the reconstructed training hearts: mean over regions and hearts, and the worst heart's."""
        scores = []
        for first in range(0, len(self.hearts.names), _AT_ONCE):
            cases, wanted = self._load(range(first, min(first + _AT_ONCE, len(self.hearts.names))))
            scores.append(mean_iou(self._one_hot(self._reconstructed(cases)), self._one_hot(wanted)))
        found = torch.cat(scores)
        return {"train/iou": float(found.mean()), "train/iou_worst": float(found.min())}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return the middle axial, coronal and sagittal slices of some hearts: as they are, and below as generated."""
        cases, wanted = self._load(range(min(_SHOWN, len(self.hearts.names))))
        made = self._reconstructed(cases)
        rows = [np.concatenate([_planes(heart) for heart in hearts.cpu().numpy()], axis=1) for hearts in (wanted, made)]
        return {"hearts": np.concatenate(rows, axis=0)}

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
            "shape_model_sha256": self.model.checksum,
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
        return cases.to(self.device), self.hearts.labels[cases].to(self.device, non_blocking=True)

    def _losses(self, batch: tuple[Tensor, Tensor]) -> Losses:
        cases, wanted = batch
        parameters, topology = self.parameters_of(cases), self.model.topology
        made = voxelize_parameters(
            parameters, self.model.vertices, topology, self.grid, self._config.gradient, self._steps
        )
        return {"loss": 1 - mean_iou(made, self._one_hot(wanted)).mean()}

    def _reconstructed(self, cases: Tensor) -> Tensor:
        return label_map(self.model.vertices(self.parameters_of(cases)), self.model.topology, self.grid)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return (labels[:, None] == self._values.to(labels.device)).float()


def mean_iou(made: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union, with a gradient, as in the paper's L_IoU; its mean over the regions a heart has.

    Args:
        made: (batch, regions, X, Y, Z), 0 to 1.
        wanted: the same shape, 0 or 1; a region without voxels (a chamber that a patient lacks) does not count.

    Returns:
        (batch,), 0 to 1.
    """
    both = (made * wanted).sum((2, 3, 4))
    total = made.sum((2, 3, 4)) + wanted.sum((2, 3, 4))
    present = wanted.flatten(2).any(2)
    iou = both / (total - both).clamp_min(1.0)
    return (iou * present).sum(1) / present.sum(1).clamp_min(1)


def _finite_steps(model: ShapeModel, spacing_mm: float) -> list[float]:
    """Return for each parameter the step that moves the surface by half a voxel on average (root mean square)."""
    middle = model.from_unit(torch.zeros(1, model.parameter_count, dtype=torch.float64))
    tiny = 1e-4
    moved = torch.stack(
        [
            (model.vertices(middle + tiny * unit) - model.vertices(middle)).square().sum(-1).mean().sqrt() / tiny
            for unit in torch.eye(model.parameter_count, dtype=torch.float64)
        ]
    )
    return (_FINITE_STEP_VOXELS * spacing_mm / moved).tolist()


def _planes(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the three middle slices of a label map side by side as RGB, seen as radiologists do."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for region in regions():
        colours[region.label] = region.color
    i, j, k = (size // 2 for size in labels.shape)
    # Patient's right and anterior at the left, superior and anterior at the top; array axes run to R, A and S.
    axial, coronal, sagittal = labels[::-1, ::-1, k].T, labels[::-1, j, ::-1].T, labels[i, ::-1, ::-1].T
    enlarged = -(-_PLANE_PIXELS // max(labels.shape))
    planes = np.concatenate([axial, coronal, sagittal], axis=1)
    return colours[planes.repeat(enlarged, axis=0).repeat(enlarged, axis=1)]
