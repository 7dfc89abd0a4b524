"""Perceptual loss: distance between features instead of voxels."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.networks.vgg import ImageFeatures

STAGE_WEIGHTS = {"1": 1 / 32, "2": 1 / 16, "3": 1 / 8, "4": 1 / 4, "5": 1.0}
"""GauGAN's weights of the five stages (Park et al. 2019, code of ``VGGLoss``)."""


class PerceptualLoss:
    """Weighted sum over layers of the mean absolute difference of features, as in GauGAN.

    The paper's L_perc "using all VGG-19 layer features ... implemented following [GauGAN]" (Li et al. 2020, section
    2.2) is the same with the five layers GauGAN takes, ``vgg.GAUGAN_LAYERS``. With ``vgg.ALL_LAYERS`` a stage's layers
    share its weight.

    Args:
        features: what to compare; its layers are named ``reluSTAGE_NUMBER``.

    Raises:
        InputError: a layer is not of one of the five stages.
    """

    def __init__(self, features: ImageFeatures) -> None:
        self.features = features
        stages = [layer.removeprefix("relu").split("_")[0] for layer in features.layers]
        if not set(stages) <= set(STAGE_WEIGHTS):
            raise InputError(f"The layers {features.layers} of {features.name} are not of VGG-19's five stages.")
        count = Counter(stages)
        self.weights = tuple(STAGE_WEIGHTS[stage] / count[stage] for stage in stages)

    @property
    def name(self) -> str:
        """What the features are, for reports."""
        return self.features.name

    def __call__(self, generated: Tensor, target: Tensor) -> Tensor:
        """Compare images.

        Args:
            generated: (B, 1, H, W) on the unit scale.
            target: the same shape; gets no gradient.

        Returns:
            A scalar.

        Raises:
            InputError: the shapes differ.
        """
        if generated.shape != target.shape:
            raise InputError(f"Images {tuple(generated.shape)} cannot be compared with {tuple(target.shape)}.")
        with torch.no_grad():
            wanted = self.features(target)
        made = self.features(generated)
        losses = [w * (x - y).abs().mean() for w, x, y in zip(self.weights, made, wanted, strict=True)]
        return torch.stack(losses).sum()

    def volumes(self, generated: Tensor, target: Tensor) -> Tensor:
        """Compare volumes: the mean over sagittal, coronal and axial slices, all of them.

        A slice of 16^2 is 1^2 at VGG's fifth stage, where its features see the whole slice and the zeros round it.

        Args:
            generated: (B, 1, X, Y, Z) on the unit scale.
            target: the same shape; gets no gradient.
        """
        planes = [self(_slices(generated, axis), _slices(target, axis)) for axis in (2, 3, 4)]
        return torch.stack(planes).mean()


def _slices(volume: Tensor, axis: int) -> Tensor:
    """Make a batch of images of a batch of volumes."""
    return volume.movedim(axis, 1).flatten(0, 1)
