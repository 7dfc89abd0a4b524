"""The distribution of all sites' latents, from what each site tells of its own.

Latents never leave a site. So that every site can draw hearts of the shared population, a site tells the mean of its
latents and their variances (or their covariance); the server puts these together as if it had seen all latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from FedSimCore.federated.messages import AllowList, Arrays
from FedSimCore.federated.policy import Moments
from FedSimCore.generation.latent_normal import LatentNormal

MEAN, COVARIANCE = "latents.mean", "latents.covariance"
_LEAST_VARIANCE = 1e-6


def moments_allowed(kind: Moments, size: int) -> AllowList:
    """Return which arrays tell the moments of latents of ``size`` numbers."""
    if kind == "none":
        return AllowList({})
    return AllowList({MEAN: (size,), COVARIANCE: (size,) if kind == "diagonal" else (size, size)})


def told_moments(latents: Tensor, kind: Moments) -> Arrays:
    """Return what a site tells of its latents (N, L): mean and variances, mean and covariance, or nothing.

    The covariance is the shrunk one of :class:`~FedSimCore.generation.latent_normal.LatentNormal`.
    """
    if kind == "none":
        return {}
    normal = LatentNormal.fitted(latents)
    covariance = normal.covariance.diagonal() if kind == "diagonal" else normal.covariance
    return {MEAN: normal.mean.numpy().copy(), COVARIANCE: covariance.numpy().copy()}


def pooled_normal(told: Sequence[tuple[int, Arrays]], size: int) -> LatentNormal:
    """Return the normal distribution of all sites' latents.

    Args:
        told: of each site that tells, its number of cases and its moments.
        size: numbers L of a latent.

    Returns:
        Mean and covariance of the mixture of the sites' distributions, weighted by cases; where any site tells only
        variances, the covariance is diagonal. Where none tells anything, the unit normal, which latents are drawn from
        at first.
    """
    if not told:
        return LatentNormal(torch.zeros(size), torch.eye(size))
    weights = np.array([cases for cases, _ in told], float)
    weights /= weights.sum()
    means = np.stack([moments[MEAN].astype(float) for _, moments in told])
    mean = weights @ means
    inside = [_matrix(moments[COVARIANCE].astype(float)) for _, moments in told]
    between = [np.outer(one - mean, one - mean) for one in means]
    covariance = sum(w * (c + b) for w, c, b in zip(weights, inside, between, strict=True))
    if any(moments[COVARIANCE].ndim == 1 for _, moments in told):
        covariance = np.diag(np.diag(covariance))
    covariance = covariance + _LEAST_VARIANCE * np.eye(size)
    return LatentNormal(torch.from_numpy(mean).float(), torch.from_numpy(covariance).float())


def _matrix(covariance: np.ndarray) -> np.ndarray:
    return np.diag(covariance) if covariance.ndim == 1 else covariance
