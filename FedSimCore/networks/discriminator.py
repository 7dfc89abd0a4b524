"""GauGAN's discriminator: patches judged at several scales of an image pyramid (Park et al. 2019, figure 13).

It was brought from pix2pixHD (Wang et al. 2018, section 3.2). What MONAI calls multi-scale has discriminators of
different depth that all look at the full image; here each looks at an image half as large as the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from FedSimCore.errors import InputError
from FedSimCore.networks.seeding import seeded
from FedSimCore.networks.spade import draw_weights

CHANNELS = 64
LAYERS = 4
SCALES = 2
MOST_CHANNELS = 512
KERNEL, PADDING = 4, 2

Features = list[list[Tensor]]
"""For each scale the result of every layer; the last is the score of each patch (B, 1, h, w)."""


class PatchDiscriminator(nn.Module):
    """One scale: convolutions of 4 x 4 whose last gives a score for each patch.

    The first has no normalization, the following are spectrally and then instance normalized; all but the last of them
    halve the image. Each is followed by LeakyReLU.

    Args:
        inputs: channels of condition and image together.
        channels: of the first layer; each further one has twice as many, up to 512.
        layers: convolutions before the one that scores.
    """

    def __init__(self, inputs: int, channels: int = CHANNELS, layers: int = LAYERS) -> None:
        super().__init__()
        widths = [min(channels * 2**number, MOST_CHANNELS) for number in range(layers)]
        first = nn.Conv2d(inputs, widths[0], KERNEL, stride=2, padding=PADDING)
        self.layers = nn.ModuleList([nn.Sequential(first, nn.LeakyReLU(0.2))])
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 1 if number == layers - 1 else 2
            # What instance norm takes away again is not learnt: no bias.
            convolution = nn.Conv2d(before, after, KERNEL, stride=stride, padding=PADDING, bias=False)
            self.layers.append(nn.Sequential(convolution, nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)))
        self.layers.append(nn.Conv2d(widths[-1], 1, KERNEL, padding=PADDING))
        draw_weights(self)
        for layer in self.layers[1:-1]:
            assert isinstance(layer, nn.Sequential)
            spectral_norm(layer[0])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the result of every layer for (B, inputs, H, W)."""
        results: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            results.append(x)
        return results


class MultiScaleDiscriminator(nn.Module):
    """Equal discriminators with weights of their own, each for an image half as large as the one before.

    Args:
        condition_channels: of what the generator was given.
        image_channels: of the image.
        channels: see :class:`PatchDiscriminator`.
        layers: see :class:`PatchDiscriminator`.
        scales: levels of the pyramid.
        seed: of the first weights.
    """

    def __init__(
        self,
        condition_channels: int,
        image_channels: int = 1,
        *,
        channels: int = CHANNELS,
        layers: int = LAYERS,
        scales: int = SCALES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        inputs = condition_channels + image_channels
        with seeded(seed):
            self.scales = nn.ModuleList(PatchDiscriminator(inputs, channels, layers) for _ in range(scales))

    def forward(self, condition: Tensor, image: Tensor) -> Features:
        """Judge images (B, image_channels, H, W) made from conditions (B, condition_channels, H, W).

        Raises:
            InputError: condition and image differ in batch or size.
        """
        if condition.shape[:1] != image.shape[:1] or condition.shape[2:] != image.shape[2:]:
            raise InputError(f"The image {tuple(image.shape)} is not one of the condition {tuple(condition.shape)}.")
        x = torch.cat((condition, image), 1)
        features: Features = []
        for number, discriminator in enumerate(self.scales):
            if number:
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            features.append(discriminator(x))
        return features


def compare(
    discriminator: Callable[[Tensor, Tensor], Features], condition: Tensor, generated: Tensor, real: Tensor
) -> tuple[Features, Features]:
    """Judge generated and real images in one pass, as the reference does.

    While training, spectral norm goes one step further with each pass; in two passes the images would be judged by
    different weights. The discriminator is called as a whole, so that it may be wrapped (for mixed precision, or to
    share its work among devices).

    Args:
        discriminator: a :class:`MultiScaleDiscriminator`.
        condition: (B, condition_channels, H, W), of both.
        generated: (B, image_channels, H, W).
        real: likewise.

    Returns:
        The features of the generated and of the real images.
    """
    both = discriminator(torch.cat((condition, condition)), torch.cat((generated, real)))
    count = len(condition)
    return [[x[:count] for x in scale] for scale in both], [[x[count:] for x in scale] for scale in both]
