"""What the recipes of the generative model share: from latents to shapes and coarse CT, their losses and measures."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from FedSimCore import __version__
from FedSimCore.generation.coarse import coarse_ct
from FedSimCore.generation.generator_file import GeneratorHeader, HeartGenerator
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.machine import commit
from FedSimCore.networks.coarse_ct import CoarseCT, downsample
from FedSimCore.networks.generators import ShapeGenerator
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.losses import material_loss
from FedSimCore.networks.material_generator import LAST_CONVOLUTION, MaterialGenerator
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.shape.model import ShapeModel
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.field_of_view import where_seen
from FedSimCore.training.hearts import Hearts, WorkingGrid
from FedSimCore.training.pictures import Picture, image_planes, in_rows, label_planes
from FedSimCore.training.shape_voxels import ShapeVoxels, mean_iou

INTENSITY = IntensityRange()
_AT_ONCE = 2

Modules = Mapping[str, nn.Module]
"""With ``shape``, ``latents`` and, unless materials are fixed, ``material``."""


LAST_RATE = 0.1
"""Share of the material generator's rate that its last convolution gets. It adds up 16 000 inputs that upsampling makes
nearly equal, and Adam moves them all by the same: at the full rate the first steps throw the whole image about."""


def parameter_groups(modules: Modules) -> list[dict[str, Any]]:
    """Return Adam's groups: each module, and of the material generator the last convolution apart."""
    return [{"params": part} for name, module in modules.items() for part in _parts(name, module)]


def rates_of_groups(modules: Modules, rates: Mapping[str, float], factor: float) -> list[float]:
    """Return the rate of each of :func:`parameter_groups`.

    Args:
        modules: the same.
        rates: of the modules, by name.
        factor: of the schedule.
    """
    shares = {"material": (1.0, LAST_RATE)}
    return [factor * rates[name] * share for name in modules for share in shares.get(name, (1.0,))]


def _parts(name: str, module: nn.Module) -> list[list[nn.Parameter]]:
    if name != "material":
        return [list(module.parameters())]
    last = [parameter for key, parameter in module.named_parameters() if key.startswith(f"layers.{LAST_CONVOLUTION}.")]
    return [[p for p in module.parameters() if all(p is not other for other in last)], last]


class HeartLearning:
    """Losses and measures of hearts that latents generate.

    Attributes:
        header: what the generator's file will tell; its ``cases`` are the latents'.
        voxels: shape model and working grid.
        perceptual: compares coarse CT; None for fixed materials.
    """

    def __init__(
        self, header: GeneratorHeader, model: ShapeModel, voxels: ShapeVoxels, perceptual: PerceptualLoss | None
    ) -> None:
        """Put the parts together; ``model`` is the one of ``voxels``, on the CPU."""
        self.header, self.voxels, self.perceptual = header, voxels, perceptual
        self._model = model
        self._render: CoarseCT | None = None
        self._device = torch.device("cpu")

    @property
    def learns_material(self) -> bool:
        """Whether there is a material generator."""
        return self.header.coarse != "fixed-materials"

    def to(self, device: torch.device) -> None:
        """Bring what is no module to a device."""
        self._device, self._render = device, None
        self.voxels.to(device)
        if self.perceptual is not None and isinstance(self.perceptual.features, nn.Module):
            self.perceptual.features.to(device)

    def coarse(self, modules: Modules, latents: Tensor) -> Tensor:
        """Return coarse CT (batch, 1, 16, 16, 16) on the unit scale of latents (batch, L)."""
        header = self.header
        assert header.coarse != "fixed-materials"
        if self._render is None:
            field_of_view = header.size * header.spacing_mm
            self._render = coarse_ct(header.coarse, field_of_view, INTENSITY, self._device)
        result: Tensor = self._render(modules["material"](latents))
        return result

    def shape_loss(self, modules: Modules, latents: Tensor, labels: Tensor) -> Tensor:
        """Return L_IoU of latents (batch, L) and label maps (batch, X, Y, Z), a scalar."""
        made = self.voxels.probabilities(modules["shape"](latents))
        return 1 - mean_iou(made, self.voxels.one_hot(labels)).mean()

    def material_losses(self, coarse: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return ``mse`` and ``perceptual`` of coarse CT (batch, 1, 16, 16, 16); the target is NaN beyond its scan."""
        assert self.perceptual is not None
        return material_loss(*where_seen(coarse, target), self.perceptual)

    @torch.no_grad()
    def measures(self, modules: Modules, cases: Sequence[int], labels: Tensor, target: Tensor | None) -> dict[str, Any]:
        """Measure how well hearts are reconstructed.

        Args:
            modules: the networks, in evaluation mode.
            cases: numbers of the latents.
            labels: (cases, X, Y, Z), on the CPU.
            target: (cases, 1, 16, 16, 16) coarse CT, NaN beyond the scans; or None.

        Returns:
            ``iou``, mean over regions and hearts, ``iou_worst`` of a heart, and ``coarse_hu``, the coarse CT's root
            mean square error in HU, of each heart within its scan.
        """
        scores, errors = [], []
        for first in range(0, len(cases), _AT_ONCE):
            latents = modules["latents"](torch.tensor(cases[first : first + _AT_ONCE], device=self._device))
            part = slice(first, first + _AT_ONCE)
            wanted = self.voxels.one_hot(labels[part].to(self._device))
            scores.append(mean_iou(self.voxels.one_hot(self.voxels.labels(modules["shape"](latents))), wanted))
            if target is not None:
                difference = self.coarse(modules, latents) - target[part].to(self._device)
                errors.append(difference.square().flatten(1).nanmean(1))
        iou = torch.cat(scores)
        found = {"iou": float(iou.mean()), "iou_worst": float(iou.min())}
        if errors:
            found["coarse_hu"] = float(torch.cat(errors).mean().sqrt()) * (INTENSITY.high_hu - INTENSITY.low_hu) / 2
        return found

    @torch.no_grad()
    def pictures(
        self, modules: Modules, cases: Sequence[int], labels: Tensor, target: Tensor | None
    ) -> dict[str, Picture]:
        """Return the middle planes of hearts: as they are, and below as generated; likewise of the coarse CT."""
        latents = modules["latents"](torch.tensor(list(cases), device=self._device))
        made = self.voxels.labels(modules["shape"](latents))
        shown = {"hearts": in_rows([[label_planes(one) for one in rows.cpu().numpy()] for rows in (labels, made)])}
        if target is not None:
            rows = [
                [image_planes(INTENSITY.hounsfield(one.nan_to_num(-1.0))[0].cpu().numpy()) for one in images]
                for images in (target, self.coarse(modules, latents))
            ]
            shown["coarse-ct"] = in_rows(rows)
        return shown

    def generator(
        self, modules: Modules, metrics: Mapping[str, float], normal: LatentNormal | None = None, **changes: Any
    ) -> HeartGenerator:
        """Return the generator as it is now, on the CPU.

        Args:
            modules: the networks.
            metrics: for its header.
            normal: distribution of its latents; None: the one fitted to those that are there.
            changes: of its header.
        """
        header = self.header.model_copy(update={"metrics": dict(metrics), **changes})
        shape = ShapeGenerator(self._model.parameter_count, header.latent_size, header.hidden)
        shape.load_state_dict(modules["shape"].state_dict())
        material = None
        if self.learns_material:
            material = MaterialGenerator(header.latent_size, header.kernels)
            material.load_state_dict(modules["material"].state_dict())
        latents = modules["latents"].state_dict()["vectors.weight"].detach().cpu()
        model = copy.deepcopy(self._model).cpu()
        return HeartGenerator(header, model, shape, material, latents, normal or LatentNormal.fitted(latents)).eval()


def coarse_targets(hearts: Hearts) -> Tensor:
    """Return the paper's trilinearly downsampled real CT of all cases, (cases, 1, 16, 16, 16) on the unit scale.

    It is NaN where any voxel that is sampled lies beyond the scan.
    """
    targets = [downsample(hearts.images(torch.tensor([case]), INTENSITY)) for case in range(len(hearts))]
    return torch.cat(targets)


def grid_of(header: GeneratorHeader) -> WorkingGrid:
    """Return the working grid of a generator."""
    return WorkingGrid(header.size, header.spacing_mm)


def provenance(config: TrainingConfig) -> dict[str, Any]:
    """Return what a model's file tells of its making."""
    return {
        "recipe": config.recipe,
        "steps": config.steps,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "fedsim": __version__,
        "commit": commit(),
    }


def evenly(count: int, of: int) -> list[int]:
    """Return ``count`` numbers spread evenly over 0 to ``of`` - 1, at most as many as there are."""
    return sorted({int(place) for place in np.linspace(0, of - 1, min(count, of))})
