"""The 3D U-Net that finds the heart's regions: MONAI's, with residual units and instance normalization.

Li et al. 2020 take "a 3D-Unet [3]" (Çiçek et al. 2016) without saying its sizes. MONAI's ``UNet`` goes down with its
first convolution already, so that hardly anything is computed at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from FedSimCore.networks.seeding import seeded


def new_segmenter_network(inputs: int, classes: int, channels: Sequence[int], seed: int = 0) -> nn.Module:
    """Make an untrained network from (B, inputs, X, Y, Z) to logits (B, classes, X, Y, Z).

    Args:
        inputs: channels of the image.
        classes: background and regions.
        channels: width of each level; each but the first has half the resolution of the one before, and the first half
            that of the input, so sizes must be multiples of ``2 ** (len(channels) - 1)``.
        seed: of the first weights.
    """
    from monai.networks.nets.unet import UNet

    with seeded(seed):
        return UNet(
            spatial_dims=3,
            in_channels=inputs,
            out_channels=classes,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=2,
            norm="instance",
        )


def divisor(channels: Sequence[int]) -> int:
    """Return what the sides of the network's input must be multiples of."""
    return int(2 ** (len(channels) - 1))
