"""The generator of GauGAN (Park et al. 2019, section 3.2 and figure 11) without its image encoder."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.networks.seeding import seeded
from FedSimCore.networks.spade import HIDDEN, Norm, Shrinking, SPADEResidualBlock, draw_weights

CHANNELS = 64
WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Output channels of the residual blocks, in units of ``channels``."""
NOT_UPSAMPLED_AFTER = (1, 6)
"""The two middle blocks work at the same size, and nothing follows the last."""
HALVINGS = len(WIDTHS) - len(NOT_UPSAMPLED_AFTER)


class SPADEGenerator(nn.Module):
    """From a condition to an image, deterministically.

    The condition, made 32 times smaller, is convolved to 16 ``channels`` channels; seven SPADE residual blocks with
    nearest upsampling between them bring it back to size, each looking at the whole condition again.

    With 64 channels, a condition of 36 and three colours these are the 93.0 million weights that Li et al., "GAN
    Compression" (CVPR 2020), table 1 count for GauGAN on Cityscapes.

    Args:
        condition_channels: of the condition.
        outputs: channels of the image.
        channels: of the last block; 64 in the reference.
        hidden: channels of each SPADE's shared convolution; 128 in the reference.
        norm: see :class:`~FedSimCore.networks.spade.SPADE`.
        shrinking: of the condition, see :data:`~FedSimCore.networks.spade.Shrinking`.
        seed: of the first weights.
    """

    def __init__(
        self,
        condition_channels: int,
        outputs: int = 1,
        *,
        channels: int = CHANNELS,
        hidden: int = HIDDEN,
        norm: Norm = "batch",
        shrinking: Shrinking = "nearest",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.condition_channels = condition_channels
        self.shrinking = shrinking
        with seeded(seed):
            widths = [16 * channels, *(width * channels for width in WIDTHS)]
            self.first = nn.Conv2d(condition_channels, widths[0], 3, padding=1)
            self.blocks = nn.ModuleList(
                SPADEResidualBlock(before, after, condition_channels, hidden=hidden, norm=norm, shrinking=shrinking)
                for before, after in pairwise(widths)
            )
            self.last = nn.Conv2d(widths[-1], outputs, 3, padding=1)
            draw_weights(self)
            for block in self.blocks:
                assert isinstance(block, SPADEResidualBlock)
                block.normalize_spectrally()

    def forward(self, condition: Tensor) -> Tensor:
        """Generate images.

        Args:
            condition: (B, condition_channels, H, W), sides divisible by 32.

        Returns:
            (B, outputs, H, W), between -1 and 1.

        Raises:
            InputError: the condition has another shape.
        """
        smallest = 2**HALVINGS
        if (
            condition.ndim != 4
            or condition.shape[1] != self.condition_channels
            or any(side % smallest for side in condition.shape[2:])
        ):
            raise InputError(
                f"The condition is {tuple(condition.shape)}, but (batch, {self.condition_channels}, H, W) with sides "
                f"divisible by {smallest} is needed."
            )
        x = self.first(functional.interpolate(condition, scale_factor=1 / smallest, mode=self.shrinking))
        for number, block in enumerate(self.blocks):
            x = block(x, condition)
            if number not in NOT_UPSAMPLED_AFTER:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
        result: Tensor = self.last(functional.leaky_relu(x, 0.2)).tanh()
        return result
