"""Thick slices: what a protocol's slice thickness does to an image on thinner voxels."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def thicken_slices(volume: Tensor, spacing_mm: float, thickness_mm: float) -> Tensor:
    """Average over the slice thickness along the last axis.

    Args:
        volume: (B, C, X, Y, Z).
        spacing_mm: distance of voxels along Z.
        thickness_mm: full width of the box-shaped slice profile; not above ``spacing_mm`` leaves the volume as it is.

    Returns:
        The volume, same shape; the ends repeat the outermost slice.
    """
    width = thickness_mm / spacing_mm
    if width <= 1:
        return volume
    reach = math.ceil((width - 1) / 2)
    profile = torch.ones(2 * reach + 1, dtype=volume.dtype, device=volume.device)
    profile[0] = profile[-1] = (width - (2 * reach - 1)) / 2
    padded = torch.nn.functional.pad(volume.flatten(1, 3), (reach, reach), mode="replicate")
    windows = padded.unfold(-1, len(profile), 1)
    return (windows @ (profile / profile.sum())).view(volume.shape)
