"""From a latent vector to a coarse map of materials."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.networks.generators import LATENT_SIZE
from FedSimCore.networks.seeding import seeded

CHANNELS = (256, 128, 1)
UPSAMPLINGS = (4, 2, 2)
KERNELS = (3, 3, 5)
LAST_CONVOLUTION = "9"
"""Its name among :attr:`MaterialGenerator.layers`, which files of weights keep."""


class UpsampledConvolution(nn.Conv3d):
    """Nearest upsampling x2 and the convolution after it, in one on the coarse voxels.

    Of each 2^3 equal voxels that a kernel covers only the sum of its weights matters. So each of the eight fine voxels
    in a coarse one is a convolution of the coarse volume with a smaller kernel, and all eight are channels of one: for
    a kernel of 5 a fifth of the products. Up to rounding it is the same, zeros round the volume included.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: edge of the kernel on the fine voxels, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        reach = kernel // 2
        self._reach = -(-reach // 2)
        # (phase, fine offset, coarse offset): where a weight of the fine kernel falls on the coarse voxels. No buffer:
        # files of weights are older.
        self._places = np.zeros((2, kernel, 2 * self._reach + 1), dtype=np.float32)
        for phase in range(2):
            for offset in range(-reach, reach + 1):
                self._places[phase, offset + reach, (phase + offset) // 2 + self._reach] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, inputs, X, Y, Z) to (B, outputs, 2X, 2Y, 2Z)."""
        places = torch.from_numpy(self._places).to(self.weight)
        weight = torch.einsum("oixyz,axp,byq,czr->oabcipqr", self.weight, places, places, places)
        bias = self.bias.repeat_interleave(8) if self.bias is not None else None
        phases = functional.conv3d(x, weight.flatten(0, 3), bias, padding=self._reach)
        batch, _, *shape = phases.shape
        split = phases.reshape(batch, self.out_channels, 2, 2, 2, *shape)
        return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, self.out_channels, *(2 * n for n in shape))


class MaterialGenerator(nn.Module):
    """G_M of Li et al. 2020, section 2.1 and appendix: latent of 32 to a material map of 16^3.

    The latent is a volume of one voxel with 32 channels. Three times it is upsampled (nearest, x4, x2, x2) and
    convolved (256, 128, 1 channels), with batch norm and LeakyReLU between and Tanh at the end.

    What the paper leaves open is chosen so that all of the 16^3 voxels can differ. Upsampling comes before each
    convolution, else the map would be made of blocks of 2^3. From one voxel on, places are told apart only by the zeros
    round the volume; with three kernels of 3 these don't reach the middle, and its two central planes along each axis
    come out equal whatever the weights. The last kernel is therefore 5 (125 weights for each of 128 channels).

    What the map means is told in :mod:`FedSimCore.networks.coarse_ct`.

    Args:
        latent_size: numbers in a latent vector.
        kernels: edge of each convolution's kernel, odd.
        seed: of the first weights.

    Raises:
        InputError: a kernel is even or there are not three.
    """

    def __init__(self, latent_size: int = LATENT_SIZE, kernels: tuple[int, ...] = KERNELS, seed: int = 0) -> None:
        super().__init__()
        if len(kernels) != len(CHANNELS) or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise InputError(f"The material generator needs three odd kernels, not {kernels}.")
        self.latent_size = latent_size
        layers = nn.Sequential()
        inputs = latent_size
        with seeded(seed):
            for outputs, factor, kernel in zip(CHANNELS, UPSAMPLINGS, kernels, strict=True):
                if outputs > 1:
                    layers.append(nn.Upsample(scale_factor=factor, mode="nearest"))
                    layers.append(nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2))
                    layers.append(nn.BatchNorm3d(outputs))
                    layers.append(nn.LeakyReLU(0.2))
                else:
                    layers.add_module(LAST_CONVOLUTION, UpsampledConvolution(inputs, outputs, kernel))
                inputs = outputs
        layers.add_module("tanh", nn.Tanh())
        self.layers = layers

    def forward(self, latent: Tensor) -> Tensor:
        """Generate material maps.

        Args:
            latent: (batch, latent_size).

        Returns:
            (batch, 1, 16, 16, 16), between -1 and 1.

        Raises:
            InputError: the latents have another shape.
        """
        if latent.ndim != 2 or latent.shape[1] != self.latent_size:
            raise InputError(f"The latents are {tuple(latent.shape)}, but (batch, {self.latent_size}) is needed.")
        result: Tensor = self.layers(latent[:, :, None, None, None])
        return result
