"""What a scan did not reach: voxels of the working grid beyond an image's edges, from which nothing is learnt.

The working grid is as large as the largest heart needs. A child's scan, or one with few slices, ends within it, and
what lies beyond is not air. If it were taken for air, generators would learn hearts in boxes: empty slices above and
below, and edges where the scans happened to end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from FedSimCore.networks.intensity import IntensityRange

UNSEEN_HU = -32768
"""Stands in int16 images for voxels that the scan did not reach."""


def on_unit_scale(hounsfield: Tensor, intensity: IntensityRange) -> Tensor:
    """Return int16 images of any shape clipped to the unit scale, float32, NaN where the scan did not reach."""
    return torch.where(hounsfield == UNSEEN_HU, torch.nan, intensity.clip(hounsfield.float()))


def where_seen(made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Make images alike, at the lower end of the unit scale, wherever the real one (NaN there) has nothing to tell.

    Args:
        made: of a network, any shape.
        real: the same shape.

    Returns:
        Both without NaN; no loss that compares them has a gradient beyond the scan.
    """
    unseen = torch.isnan(real)
    return made.masked_fill(unseen, -1.0), real.masked_fill(unseen, -1.0)


def seen_slices(hounsfield: Tensor) -> range:
    """Return the numbers of the axial slices of an int16 image (X, Y, Z) that the scan reached."""
    reached = (hounsfield != UNSEEN_HU).flatten(0, 1).any(0).nonzero()[:, 0]
    return range(int(reached[0]), int(reached[-1]) + 1) if len(reached) else range(0)
