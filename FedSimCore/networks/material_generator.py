"""From a latent vector to a coarse map of materials."""

from __future__ import annotations

from torch import Tensor, nn

from FedSimCore.errors import InputError
from FedSimCore.networks.generators import LATENT_SIZE
from FedSimCore.networks.seeding import seeded

CHANNELS = (256, 128, 1)
UPSAMPLINGS = (4, 2, 2)
KERNELS = (3, 3, 5)
LAST_CONVOLUTION = 9
"""Its place in :attr:`MaterialGenerator.layers`."""


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
        layers: list[nn.Module] = []
        inputs = latent_size
        with seeded(seed):
            for outputs, factor, kernel in zip(CHANNELS, UPSAMPLINGS, kernels, strict=True):
                layers += [
                    nn.Upsample(scale_factor=factor, mode="nearest"),
                    nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2),
                ]
                if outputs > 1:
                    layers += [nn.BatchNorm3d(outputs), nn.LeakyReLU(0.2)]
                inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Tanh())

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
