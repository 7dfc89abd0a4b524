"""VGG-19's convolutions as image features (Simonyan and Zisserman 2014, configuration E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from FedSimCore.networks.seeding import seeded

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and number of convolutions between one pooling and the next."""

ALL_LAYERS = tuple(f"relu{stage}_{n}" for stage, (_, count) in enumerate(STAGES, 1) for n in range(1, count + 1))
GAUGAN_LAYERS = tuple(f"relu{stage}_1" for stage in range(1, len(STAGES) + 1))

RANDOM_DIVISOR = 4


class ImageFeatures(Protocol):
    """Fixed features of images; ``name`` stands in every report of a number that depends on them."""

    name: str
    layers: tuple[str, ...]

    def __call__(self, image: Tensor, /) -> Sequence[Tensor]:
        """Take images (B, 1, H, W) on the unit scale to one tensor (B, C, h, w) for each of ``layers``."""
        ...


class VGG19(nn.Module):
    """Results of chosen ReLUs, with weights that never change.

    A grey image is given as three equal colours. It is taken as it is, -1 to 1, as GauGAN's code does; the means and
    deviations that the weights were trained with are not applied there either.

    Parameters are named as in torchvision's file, so that its weights load by name.

    Args:
        name: for reports.
        layers: which results, e.g. ``relu3_1``, in order; nothing beyond the last is made.
        divisor: of all layers' channels.
    """

    def __init__(self, name: str, layers: tuple[str, ...] = GAUGAN_LAYERS, divisor: int = 1) -> None:
        super().__init__()
        self.name = name
        self.layers = layers
        modules: list[nn.Module] = []
        self._taps: list[int] = []
        inputs = 3
        names = iter(ALL_LAYERS)
        for width, count in STAGES:
            for _ in range(count):
                outputs = width // divisor
                modules += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
                if next(names) in layers:
                    self._taps.append(len(modules) - 1)
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules[: self._taps[-1] + 1])
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Take images (B, 1 or 3, H, W) to the results of ``layers``."""
        x = image.expand(-1, 3, -1, -1)
        results: list[Tensor] = []
        for number, module in enumerate(self.features):
            x = module(x)
            if number in self._taps:
                results.append(x)
        return results


def trained_vgg19(weights: Mapping[str, Tensor], name: str, layers: tuple[str, ...] = GAUGAN_LAYERS) -> VGG19:
    """Return VGG-19 with weights that :func:`~FedSimCore.networks.vgg_file.read_vgg19` read."""
    network = VGG19(name, layers)
    network.load_state_dict({key: weights[key] for key in network.state_dict()})
    return network


def random_vgg19(seed: int = 0, layers: tuple[str, ...] = GAUGAN_LAYERS) -> VGG19:
    """Return VGG-19's layers at a quarter of the width with random weights: what works without any file.

    Random convolutions see edges and textures at five scales but no objects. Liu et al., "A Generic Perceptual Loss for
    Modeling Structured Output Dependencies" (CVPR 2021), found random VGGs as good as trained ones as a loss for
    segmentation, depth and detection; Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric" (CVPR 2018), found random networks clearly worse at judging images as people do. See docs/networks.md.

    Weights are drawn for ReLUs (He et al. 2015), so that all layers' features are of the image's magnitude.
    """
    with seeded(seed):
        network = VGG19(f"VGG-19 layers, random weights, quarter width, seed {seed}", layers, RANDOM_DIVISOR)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
    return network


@torch.no_grad()
def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of all weights of the sixteen convolutions."""
    with torch.device("meta"):
        network = VGG19("shapes", ALL_LAYERS)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}
