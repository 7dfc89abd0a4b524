"""The losses of the paper (Li et al. 2020, section 2.2) and of GauGAN (Park et al. 2019, appendix A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.networks.discriminator import Features, compare
from FedSimCore.networks.perceptual import PerceptualLoss

Discriminator = Callable[[Tensor, Tensor], Features]
"""A :class:`~FedSimCore.networks.discriminator.MultiScaleDiscriminator`, wrapped or not."""


def iou_loss(occupancy: Tensor, target: Tensor) -> Tensor:
    """L_IoU of the paper: one minus the mean intersection over union.

    The paper's quotient is written voxel by voxel but is 0/0 in the background; as its name says, intersection and
    union are summed over the volume first, then the quotients of all regions and samples averaged. A region that is
    empty in both counts as found.

    Args:
        occupancy: (B, R, X, Y, Z), 0 to 1, e.g. of :func:`~FedSimCore.shape.voxelizer.region_probabilities`.
        target: the same shape, 0 or 1 (or between). One channel, the whole heart, is the paper's binary case.

    Returns:
        A scalar, 0 to 1.

    Raises:
        InputError: the shapes differ.
    """
    if occupancy.ndim != 5 or occupancy.shape != target.shape:
        raise InputError(f"Occupancy {tuple(occupancy.shape)} and target {tuple(target.shape)} are not alike.")
    intersection = (occupancy * target).flatten(2).sum(2)
    union = occupancy.flatten(2).sum(2) + target.flatten(2).sum(2) - intersection
    # Where both are empty this is 1 and has no gradient.
    ratio = torch.where(union > 0, intersection, 1.0) / torch.where(union > 0, union, 1.0)
    return 1 - ratio.mean()


def material_loss(coarse: Tensor, target: Tensor, perceptual: PerceptualLoss) -> dict[str, Tensor]:
    """L(theta_M) of the paper: mean squared error and perceptual loss of the coarse CT.

    Args:
        coarse: generated (B, 1, 16, 16, 16) on the unit scale.
        target: the downsampled real CT, alike.
        perceptual: compares slices of all three planes.

    Returns:
        ``mse`` and ``perceptual``; their sum is the loss.
    """
    return {"mse": functional.mse_loss(coarse, target), "perceptual": perceptual.volumes(coarse, target)}


def hinge_discriminator_loss(generated: Features, real: Features) -> Tensor:
    """The discriminator's hinge: ``max(0, 1 - D(real)) + max(0, 1 + D(generated))``, mean over patches and scales.

    MONAI's loss of this name puts a Tanh before the hinge, which bounds the scores; the reference does not.
    """
    losses = [(1 - r[-1]).relu().mean() + (1 + g[-1]).relu().mean() for g, r in zip(generated, real, strict=True)]
    return torch.stack(losses).mean()


def hinge_generator_loss(generated: Features) -> Tensor:
    """The generator's part: ``-D(generated)``, mean over patches and scales."""
    return torch.stack([-scale[-1].mean() for scale in generated]).mean()


def feature_matching_loss(generated: Features, real: Features) -> Tensor:
    """L1 between the discriminator's features: summed over its layers but the scores, mean over scales.

    The real images' features get no gradient.
    """
    scales = [
        torch.stack(
            [functional.l1_loss(g, r.detach()) for g, r in zip(of_generated[:-1], of_real[:-1], strict=True)]
        ).sum()
        for of_generated, of_real in zip(generated, real, strict=True)
    ]
    return torch.stack(scales).mean()


def slice_jump_loss(generated: Tensor, real: Tensor) -> Tensor:
    """How differently neighbouring slices differ in generated and in real volumes (ours, not the paper's).

    A generator of slices is free to draw each anew; this asks that the step from one to the next be the real one.

    Args:
        generated: (B, S, X, Y), S >= 2 consecutive slices of each volume.
        real: the same slices of the real volumes.

    Returns:
        Mean absolute difference between the steps, a scalar.

    Raises:
        InputError: the shapes differ or there is a single slice.
    """
    if generated.ndim != 4 or generated.shape != real.shape or generated.shape[1] < 2:
        raise InputError(
            f"Slices {tuple(generated.shape)} and {tuple(real.shape)} are not alike (batch, 2 or more slices, X, Y)."
        )
    return (generated.diff(dim=1) - real.diff(dim=1)).abs().mean()


@dataclass(frozen=True)
class EnhancerWeights:
    """Weights of the enhancer's losses; GauGAN's but for the last, which the paper doesn't have.

    Attributes:
        adversarial: of the hinge.
        feature_matching: of the discriminator's features.
        perceptual: of the perceptual loss.
        slice_jump: of :func:`slice_jump_loss`; 0 leaves it out.
    """

    adversarial: float = 1.0
    feature_matching: float = 10.0
    perceptual: float = 10.0
    slice_jump: float = 0.0


def enhancer_losses(
    discriminator: Discriminator,
    perceptual: PerceptualLoss,
    condition: Tensor,
    generated: Tensor,
    real: Tensor,
    weights: EnhancerWeights | None = None,
    slices: int = 1,
) -> dict[str, Tensor]:
    """Return the enhancer's weighted losses by name; their sum is what it learns from.

    Args:
        discriminator: judges; its weights get a gradient too, which the generator's step must not use.
        perceptual: compares images.
        condition: (N, C, X, Y), see :func:`~FedSimCore.networks.enhancer.slice_conditions`.
        generated: (N, 1, X, Y), what the enhancer made of it.
        real: (N, 1, X, Y).
        weights: of the losses.
        slices: how many consecutive slices of one volume lie together in the N.
    """
    weights = weights or EnhancerWeights()
    of_generated, of_real = compare(discriminator, condition, generated, real)
    losses = {
        "adversarial": weights.adversarial * hinge_generator_loss(of_generated),
        "feature_matching": weights.feature_matching * feature_matching_loss(of_generated, of_real),
        "perceptual": weights.perceptual * perceptual(generated, real),
    }
    if weights.slice_jump:
        shape = (-1, slices, *real.shape[2:])
        losses["slice_jump"] = weights.slice_jump * slice_jump_loss(generated.reshape(shape), real.reshape(shape))
    return losses


def discriminator_loss(discriminator: Discriminator, condition: Tensor, generated: Tensor, real: Tensor) -> Tensor:
    """Return the discriminator's loss; the generated images (N, 1, X, Y) get no gradient."""
    return hinge_discriminator_loss(*compare(discriminator, condition, generated.detach(), real))
