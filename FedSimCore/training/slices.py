"""Axial slices with their conditions, as enhancers learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from FedSimCore.networks.enhancer import slice_conditions
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.training.hearts import Hearts


class SliceBatch(NamedTuple):
    """Slices of some samples; those of one sample lie together.

    Attributes:
        condition: (N, CONDITION_CHANNELS, X, Y), see :func:`~FedSimCore.networks.enhancer.slice_conditions`.
        real: (N, 1, X, Y) on the unit scale, clipped.
    """

    condition: Tensor
    real: Tensor


@dataclass(frozen=True, eq=False)
class ConditionedSlices:
    """The slices of hearts with labels.

    A sample is a slice, or several in a row: number ``case * (Z - neighbours + 1) + first slice``.

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
        return len(self.hearts) * self.places

    @property
    def places(self) -> int:
        """Number of samples of one heart."""
        return self.depth - self.neighbours + 1

    @property
    def depth(self) -> int:
        """Number of slices of a heart."""
        assert self.hearts.hounsfield is not None
        return self.hearts.hounsfield.shape[-1]

    def batch(self, samples: Sequence[int], device: torch.device) -> SliceBatch:
        """Return the slices of samples, ``len(samples) * neighbours`` of them."""
        parts = [
            self.of_heart(sample // self.places, range(first, first + self.neighbours))
            for sample in samples
            for first in [sample % self.places]
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
    """Return slices (S, 1, X, Y) of a heart's image on the unit scale, clipped, on the CPU."""
    assert hearts.hounsfield is not None
    picked = hearts.hounsfield[case][..., list(slices)].movedim(-1, 0)
    return intensity.clip(picked.float())[:, None]


def on_device(parts: Sequence[SliceBatch], device: torch.device) -> SliceBatch:
    """Put batches together on a device."""
    condition, real = (torch.cat([part[field] for part in parts]).to(device) for field in (0, 1))
    return SliceBatch(condition, real)
