"""The way from one latent to another."""

from __future__ import annotations

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_normal import LatentNormal

_NEARLY_PARALLEL = 1e-4


def between(normal: LatentNormal, first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return a latent on the way between two.

    The way is a great arc in coordinates in which the latents' distribution is the unit normal, with the distance from
    its middle going evenly from one end's to the other's (White 2016, "Sampling Generative Networks"). A straight line
    would lead through the middle, where with 32 numbers no drawn latent ever lies: hearts on it are all average.

    Args:
        normal: distribution of the latents.
        first: (1, L).
        second: (1, L).
        share: of the way, 0 at the first to 1 at the second.

    Returns:
        (1, L) float32 on the CPU.

    Raises:
        InputError: the share is not 0 to 1, or a latent has another size or is not finite.
    """
    ends = torch.cat([first, second]).detach().double().cpu()
    if ends.shape != (2, normal.size) or not bool(torch.isfinite(ends).all()):
        raise InputError(f"The ends of the way are not two latents of {normal.size} finite numbers.")
    if not 0 <= share <= 1:
        raise InputError(f"{share:g} is no share of a way; give 0 to 1.")
    mean = normal.mean.double().cpu()
    factor = torch.linalg.cholesky(normal.covariance.double().cpu())
    white = torch.linalg.solve_triangular(factor, (ends - mean).T, upper=False).T
    return (mean + _along_arc(white[0], white[1], share) @ factor.T)[None].float()


def _along_arc(first: Tensor, second: Tensor, share: float) -> Tensor:
    straight = (1 - share) * first + share * second
    lengths = first.norm(), second.norm()
    if float(lengths[0] * lengths[1]) == 0:
        return straight
    directions = first / lengths[0], second / lengths[1]
    angle = torch.acos((directions[0] @ directions[1]).clamp(-1, 1))
    # Opposite ends have no arc of their own, and along one ray the arc is the straight line.
    if not _NEARLY_PARALLEL < float(angle) < torch.pi - _NEARLY_PARALLEL:
        return straight
    parts = torch.sin((1 - share) * angle), torch.sin(share * angle)
    direction = (parts[0] * directions[0] + parts[1] * directions[1]) / torch.sin(angle)
    return direction * ((1 - share) * lengths[0] + share * lengths[1])
