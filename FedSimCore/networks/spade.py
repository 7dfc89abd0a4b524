"""Spatially adaptive normalization and the residual block made of it (Park et al. 2019, sections 3.1 and 3.2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

Norm = Literal["batch", "instance"]
Shrinking = Literal["nearest", "area"]
"""How a condition is made smaller: by picking pixels as the reference does, or by averaging them.

Picked labels at 4 x 4 pixels flip from one slice to the next, and with them a 32 x 32 patch of the image; averages
change gradually, and a gradient reaches all pixels of the condition.
"""

HIDDEN = 128
"""Channels between condition and modulation in the reference code, whatever the layer's width."""


class SPADE(nn.Module):
    """Normalize, then scale and shift by what a condition says at each pixel.

    ``normalized(x) * (1 + gamma(condition)) + beta(condition)``, gamma and beta from two convolutions after a shared
    one with ReLU. MONAI's block of this name (1.6.1) also instance-normalizes gamma and beta, so that their mean over
    an image is 0 and their deviation 1 whatever the condition says; see docs/networks.md.

    Args:
        channels: of what is normalized.
        condition_channels: of the condition.
        hidden: channels of the shared convolution.
        norm: ``"batch"`` as in the reference, or ``"instance"``; neither has weights of its own.
        shrinking: of the condition.
    """

    def __init__(
        self,
        channels: int,
        condition_channels: int,
        *,
        hidden: int = HIDDEN,
        norm: Norm = "batch",
        shrinking: Shrinking = "nearest",
    ) -> None:
        super().__init__()
        make = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
        self.norm = make(channels, affine=False)
        self.shrinking = shrinking
        self.shared = nn.Conv2d(condition_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Modulate (B, channels, H, W) by a condition (B, condition_channels, *, *) of any size."""
        resized = functional.interpolate(condition, size=x.shape[2:], mode=self.shrinking)
        hidden = self.shared(resized).relu()
        result: Tensor = self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)
        return result


class SPADEResidualBlock(nn.Module):
    """Two times SPADE, LeakyReLU and convolution, beside a shortcut that is learnt where channels change.

    Convolutions are spectrally normalized; the shortcut's has no bias, as in the reference.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        condition_channels: of the condition.
        hidden: channels of each SPADE's shared convolution.
        norm: see :class:`SPADE`.
        shrinking: of the condition.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition_channels: int,
        *,
        hidden: int = HIDDEN,
        norm: Norm = "batch",
        shrinking: Shrinking = "nearest",
    ) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.spade_0 = SPADE(inputs, condition_channels, hidden=hidden, norm=norm, shrinking=shrinking)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.spade_1 = SPADE(middle, condition_channels, hidden=hidden, norm=norm, shrinking=shrinking)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.has_learned_shortcut = inputs != outputs
        if self.has_learned_shortcut:
            self.spade_shortcut = SPADE(inputs, condition_channels, hidden=hidden, norm=norm, shrinking=shrinking)
            self.conv_shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def normalize_spectrally(self) -> None:
        """Divide the convolutions' weights by their largest singular value from now on; after weights are drawn."""
        spectral_norm(self.conv_0)
        spectral_norm(self.conv_1)
        if self.has_learned_shortcut:
            spectral_norm(self.conv_shortcut)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Take (B, inputs, H, W) to (B, outputs, H, W)."""
        change = self.conv_0(functional.leaky_relu(self.spade_0(x, condition), 0.2))
        change = self.conv_1(functional.leaky_relu(self.spade_1(change, condition), 0.2))
        kept: Tensor = self.conv_shortcut(self.spade_shortcut(x, condition)) if self.has_learned_shortcut else x
        return kept + change


def draw_weights(network: nn.Module) -> None:
    """Draw convolutions as the reference does: Xavier normal with gain 0.02, no bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight, gain=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
