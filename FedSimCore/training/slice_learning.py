"""What the recipes with an enhancer share: its losses, measures and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.errors import InputError
from FedSimCore.evaluation.slice_jumps import slice_jumps
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.losses import EnhancerWeights, enhancer_losses
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.training.enhancer_config import SlicesConfig
from FedSimCore.training.field_of_view import where_seen
from FedSimCore.training.heart_learning import evenly
from FedSimCore.training.pictures import Picture, axial, greys, in_rows, label_colours
from FedSimCore.training.slices import SliceBatch
from FedSimCore.volumes import Grid, Volume

SlicesOf = Callable[[int, Sequence[int]], SliceBatch]
"""From the number of a case and numbers of slices to these slices."""

_MEASURED_SLICES = 8
_SLAB = 12
_SHOWN_SLICES = 4


class SliceLearning:
    """Losses and measures of enhanced slices.

    Attributes:
        weights: of the losses.
        perceptual: compares slices.
        intensity: scale of the images.
    """

    def __init__(self, config: SlicesConfig, perceptual: PerceptualLoss, intensity: IntensityRange) -> None:
        """Take weights from a config."""
        self.weights = EnhancerWeights(
            feature_matching=config.feature_matching, perceptual=config.perceptual, slice_jump=config.slice_jump
        )
        self.perceptual, self.intensity = perceptual, intensity

    @property
    def neighbours(self) -> int:
        """Slices that have to be drawn together."""
        return 2 if self.weights.slice_jump else 1

    def to(self, device: torch.device) -> None:
        """Bring the features to a device."""
        if isinstance(self.perceptual.features, nn.Module):
            self.perceptual.features.to(device)

    def losses(self, enhancer: nn.Module, discriminator: nn.Module, batch: SliceBatch) -> dict[str, Tensor]:
        """Return the enhancer's weighted losses with their sum, ``loss``; the discriminator gets no gradient.

        Beyond the scan both images are made alike, so that nothing is learnt there.
        """
        made, real = where_seen(enhancer(batch.condition), batch.real)
        with frozen(discriminator):
            losses = enhancer_losses(
                discriminator,
                self.perceptual,
                batch.condition,
                made,
                real,
                self.weights,
                self.neighbours,
            )
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    @torch.no_grad()
    def measures(
        self, enhancer: nn.Module, slices_of: SlicesOf, cases: Sequence[int], depth: int, device: torch.device
    ) -> dict[str, float]:
        """Measure enhanced slices of some cases.

        Args:
            enhancer: in evaluation mode.
            slices_of: gives slices on any device.
            cases: which to measure.
            depth: slices of a case.
            device: of the enhancer.

        Returns:
            ``l1_hu``, mean absolute difference in HU to the real slices within the scan, and ``banding_ratio``, how
            much brightness jumps forth and back from slice to slice within the first case's heart, relative to the
            real CT; left out where the heart has too few slices.
        """
        errors = []
        for case in cases:
            batch = slices_of(case, evenly(_MEASURED_SLICES, depth))
            made = enhancer(batch.condition.to(device))
            errors.append((made - batch.real.to(device)).abs().nanmean())
        scale = (self.intensity.high_hu - self.intensity.low_hu) / 2
        found = {"l1_hu": float(torch.stack(errors).nanmean()) * scale}
        middle = max(0, (depth - _SLAB) // 2)
        slab = slices_of(cases[0], range(middle, min(depth, middle + _SLAB)))
        ratio = self._banding(enhancer(slab.condition.to(device)), slab)
        return found if ratio is None else {**found, "banding_ratio": ratio}

    def _banding(self, made: Tensor, slab: SliceBatch) -> float | None:
        seen = ~torch.isnan(slab.real[:, 0])
        heart = ((slab.condition[:, 0] < 0.5) & seen).movedim(0, -1).cpu().numpy()
        grid = Grid.centered(heart.shape, 1.0)
        jumps = []
        for slices in where_seen(made.cpu(), slab.real):
            hounsfield = self.intensity.hounsfield(slices[:, 0].movedim(0, -1)).float().cpu().numpy()
            try:
                jumps.append(slice_jumps(Volume(hounsfield, grid), heart).banding_hu)
            except InputError:
                return None
        return jumps[0] / jumps[1] if jumps[1] else None

    @torch.no_grad()
    def picture(self, enhancer: nn.Module, slices_of: SlicesOf, case: int, depth: int, device: torch.device) -> Picture:
        """Return slices of a case in rows: label map, coarse CT, what the enhancer made, the real CT."""
        # The outermost slices show little heart.
        shown = [depth // 6 + place for place in evenly(_SHOWN_SLICES, depth - depth // 3)]
        batch = slices_of(case, shown)
        made = enhancer(batch.condition.to(device))
        regions = len(region_labels())
        rows: list[list[Picture]] = [[_label_slice(one[1 : 1 + regions]) for one in batch.condition]]
        rows += [
            [greys(axial(self.intensity.hounsfield(one).float().cpu().numpy())) for one in images]
            for images in (batch.condition[:, 1 + regions], made[:, 0], batch.real[:, 0].nan_to_num(-1.0))
        ]
        return in_rows(rows)


def _label_slice(probabilities: Tensor) -> Picture:
    values = torch.tensor(region_labels(), device=probabilities.device)[:, None, None]
    labels: NDArray[np.generic] = ((probabilities > 0.5) * values).sum(0).cpu().numpy()
    return label_colours(axial(labels))


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let a module's weights need no gradient in what is computed inside."""
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)
