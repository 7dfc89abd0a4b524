"""The enhancer: a site's look, slice by slice (Li et al. 2020, section 2.1, "CT Volume Enhancement")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.networks.coarse_ct import coarse_slices
from FedSimCore.networks.spade import HIDDEN, Norm, Shrinking
from FedSimCore.networks.spade_generator import CHANNELS, SPADEGenerator
from FedSimCore.progress import Progress, silent

CONDITION_CHANNELS = len(anatomy.labels()) + 3
"""Background, the regions in order of label, coarse CT, slice number."""


class Enhancer(nn.Module):
    """G_GAN of the paper: coarse CT, labels and place of an axial slice to the slice a site's scanner would give.

    Args:
        channels: width; 64 in GauGAN (92 million weights). 8 with ``hidden=32`` ships in a few MB.
        hidden: of each SPADE.
        norm: see :class:`~FedSimCore.networks.spade.SPADE`. Batch norm has the same statistics for all slices, which
            keeps their brightness together.
        shrinking: of the condition, see :data:`~FedSimCore.networks.spade.Shrinking`. ``"nearest"`` is GauGAN's; it
            shows as bands and blocks on reformats, which ``"area"`` does not (docs/networks.md).
        seed: of the first weights.
    """

    def __init__(
        self,
        *,
        channels: int = CHANNELS,
        hidden: int = HIDDEN,
        norm: Norm = "batch",
        shrinking: Shrinking = "area",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.generator = SPADEGenerator(
            CONDITION_CHANNELS, channels=channels, hidden=hidden, norm=norm, shrinking=shrinking, seed=seed
        )

    def forward(self, condition: Tensor) -> Tensor:
        """Take conditions of slices (N, CONDITION_CHANNELS, X, Y) to slices (N, 1, X, Y) on the unit scale."""
        result: Tensor = self.generator(condition)
        return result

    @torch.no_grad()
    def enhance(self, coarse: Tensor, regions: Tensor, batch: int = 16, progress: Progress = silent) -> Tensor:
        """Make whole volumes, without gradient.

        The network's mode is not changed: call ``eval()`` first, else batch norm sees batches instead of what it has
        learnt.

        Args:
            coarse: (B, 1, x, y, z) coarse CT on the unit scale.
            regions: see :func:`slice_conditions`.
            batch: slices at a time.
            progress: told after each batch.

        Returns:
            (B, 1, X, Y, Z) on the unit scale.
        """
        volumes, depth = len(coarse), regions.shape[-1]
        result = coarse.new_empty((volumes, 1, *regions.shape[-3:]))
        chunks = torch.arange(depth, device=coarse.device).split(batch)
        for sample in range(volumes):
            for number, chunk in enumerate(chunks):
                progress(sample * len(chunks) + number, volumes * len(chunks), "enhancing slices")
                one = slice(sample, sample + 1)
                slices = self(slice_conditions(coarse[one], regions[one], chunk[None]))
                result[sample, ..., chunk] = slices.movedim(0, -1)
        progress(volumes * len(chunks), volumes * len(chunks), "enhancing slices")
        return result


def slice_conditions(coarse: Tensor, regions: Tensor, index: Tensor) -> Tensor:
    """Put together what the enhancer and its discriminator see of axial slices.

    Args:
        coarse: (B, 1, x, y, z) coarse CT on the unit scale, any size; sampled trilinearly.
        regions: (B, X, Y, Z) integer label map, or (B, R, X, Y, Z) probability of each region in order of label, e.g.
            :func:`~FedSimCore.shape.voxelizer.region_probabilities`, through which a gradient reaches the shape.
        index: (B, S) numbers of slices, 0 to Z - 1.

    Returns:
        (B * S, CONDITION_CHANNELS, X, Y): background, the regions, coarse CT, and k / Z everywhere; slices of one
        volume lie together.

    Raises:
        InputError: shapes don't fit, or a slice lies outside.
    """
    _check(coarse, regions, index)
    depth = regions.shape[-1]
    labels = _probabilities(regions, index, coarse.dtype)
    upsampled = coarse_slices(coarse, index, (regions.shape[-3], regions.shape[-2], depth))
    place = (index.to(coarse.dtype) / depth)[..., None, None, None].expand_as(upsampled)
    background = 1 - labels.sum(2, keepdim=True)
    return torch.cat((background, labels, upsampled, place), 2).flatten(0, 1)


def _probabilities(regions: Tensor, index: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the regions of slices, (B, S, R, X, Y)."""
    sample = torch.arange(len(regions), device=regions.device)[:, None]
    if regions.is_floating_point():
        return regions.movedim(-1, 1)[sample, index].to(dtype)
    picked = regions.movedim(-1, 1)[sample, index]
    values = torch.tensor(anatomy.labels(), dtype=regions.dtype, device=regions.device)
    return (picked[:, :, None] == values[:, None, None]).to(dtype)


def _check(coarse: Tensor, regions: Tensor, index: Tensor) -> None:
    count = len(anatomy.labels())
    shaped = regions.ndim == 5 and regions.shape[1] == count if regions.is_floating_point() else regions.ndim == 4
    if not shaped:
        raise InputError(
            f"The regions are {tuple(regions.shape)} {regions.dtype}, but an integer (batch, X, Y, Z) or floating "
            f"(batch, {count}, X, Y, Z) is needed."
        )
    batch = len(regions)
    if coarse.ndim != 5 or coarse.shape[1] != 1 or len(coarse) != batch or index.ndim != 2 or len(index) != batch:
        raise InputError(
            f"Coarse CT {tuple(coarse.shape)} and slice numbers {tuple(index.shape)} don't fit a batch of {batch}; "
            f"(batch, 1, x, y, z) and (batch, slices) are needed."
        )
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < regions.shape[-1]:
        raise InputError(
            f"Slices {int(index.min())} to {int(index.max())} were asked of volumes with {regions.shape[-1]} slices."
        )
