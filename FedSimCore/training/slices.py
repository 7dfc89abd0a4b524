"""Axial slices with their conditions, as enhancers learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.networks.coarse_ct import downsample
from FedSimCore.networks.enhancer import slice_conditions
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.training.field_of_view import on_unit_scale, seen_slices
from FedSimCore.training.hearts import Hearts


class SliceBatch(NamedTuple):
    """Slices of some samples; those of one sample lie together.

    Attributes:
        condition: (N, CONDITION_CHANNELS, X, Y), see :func:`~FedSimCore.networks.enhancer.slice_conditions`.
        real: (N, 1, X, Y) on the unit scale, clipped; NaN beyond the scan.
    """

    condition: Tensor
    real: Tensor


@dataclass(frozen=True, eq=False)
class ConditionedSlices:
    """The slices of hearts with labels.

    A sample is a slice that the scan reached, or several of them in a row; they are numbered heart by heart.

    Attributes:
        hearts: with labels and images.
        coarse: (cases, 1, x, y, z) on the unit scale.
        intensity: scale of the images.
        neighbours: slices of a sample.
    """

    hearts: Hearts
    coarse: Tensor
    intensity: IntensityRange
    neighbours: int = 1

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self._places)

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Case and first slice of each sample."""
        assert self.hearts.hounsfield is not None
        reached = [seen_slices(image) for image in self.hearts.hounsfield]
        places = [
            (case, first) for case, seen in enumerate(reached) for first in seen[: len(seen) - self.neighbours + 1]
        ]
        if not places and len(self.hearts):
            raise InputError(f"No scan reaches through {self.neighbours} slices of the working grid; lower spacing_mm.")
        return places

    @property
    def depth(self) -> int:
        """Number of slices of a heart."""
        assert self.hearts.hounsfield is not None
        return self.hearts.hounsfield.shape[-1]

    def batch(self, samples: Sequence[int], device: torch.device) -> SliceBatch:
        """Return the slices of samples, ``len(samples) * neighbours`` of them."""
        parts = [
            self.of_heart(case, range(first, first + self.neighbours))
            for case, first in (self._places[sample] for sample in samples)
        ]
        return on_device(parts, device)

    def of_heart(self, case: int, slices: Sequence[int]) -> SliceBatch:
        """Return slices of one heart, on the CPU."""
        assert self.hearts.labels is not None
        assert self.hearts.hounsfield is not None
        one, index = slice(case, case + 1), torch.tensor([list(slices)])
        condition = slice_conditions(self.coarse[one].float(), self.hearts.labels[one], index)
        return SliceBatch(condition, real_slices(self.hearts, case, slices, self.intensity))


def real_slices(hearts: Hearts, case: int, slices: Sequence[int], intensity: IntensityRange) -> Tensor:
    """Return slices (S, 1, X, Y) of a heart's image on the unit scale, clipped, NaN beyond the scan, on the CPU."""
    assert hearts.hounsfield is not None
    return on_unit_scale(hearts.hounsfield[case][..., list(slices)].movedim(-1, 0), intensity)[:, None]


def coarse_of_images(hearts: Hearts, intensity: IntensityRange) -> Tensor:
    """Return the downsampled CT (cases, 1, 16, 16, 16) of hearts without latents, with air beyond the scans."""
    images = (hearts.images(torch.tensor([case]), intensity) for case in range(len(hearts)))
    coarse = [downsample(image.nan_to_num(-1.0)) for image in images]
    return torch.cat(coarse) if coarse else torch.zeros(0, 1, 16, 16, 16)


def on_device(parts: Sequence[SliceBatch], device: torch.device) -> SliceBatch:
    """Put batches together on a device."""
    condition, real = (torch.cat([part[field] for part in parts]).to(device) for field in (0, 1))
    return SliceBatch(condition, real)
