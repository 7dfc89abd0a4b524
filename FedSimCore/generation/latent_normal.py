"""The multivariate normal distribution that learnt latents are drawn from anew (Li et al. 2020, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from FedSimCore.errors import InputError


class LatentNormal(nn.Module):
    """A normal distribution of latents.

    Attributes:
        mean: (L,) float32.
        covariance: (L, L) float32, positive definite.

    Raises:
        InputError: the shapes don't fit, or the covariance isn't symmetric and positive definite.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        """Take mean (L,) and covariance (L, L)."""
        super().__init__()
        size = len(mean)
        if mean.shape != (size,) or covariance.shape != (size, size):
            raise InputError(f"A mean {tuple(mean.shape)} and a covariance {tuple(covariance.shape)} are no normal.")
        exact = covariance.detach().double().cpu()
        if not torch.allclose(exact, exact.T, rtol=1e-4) or int(torch.linalg.cholesky_ex(exact).info):
            raise InputError("The latents' covariance is not symmetric and positive definite; train the model again.")
        self.register_buffer("mean", mean.detach().float().clone())
        self.register_buffer("covariance", covariance.detach().float().clone())

    @classmethod
    def fitted(cls, latents: Tensor) -> LatentNormal:
        """Fit the distribution to latents (N, L).

        The covariance of N latents has rank N - 1 at most: with fewer hearts than latent numbers it could not be
        inverted, and nothing outside the latents' own span would ever be drawn. It is therefore drawn towards a
        multiple of the identity, by as much as minimises the expected error for normally distributed numbers
        (:func:`shrunk_covariance`), without anything to choose. With many latents nothing is left of the shrinkage.

        Raises:
            InputError: there are fewer than two different latents.
        """
        values = latents.detach().double().cpu()
        if values.ndim != 2 or len(values) < 2:
            raise InputError(f"A normal distribution cannot be fitted to {len(values)} latents; two are needed.")
        mean = values.mean(0)
        shrunk, _ = shrunk_covariance(values - mean)
        if not float(torch.trace(shrunk)) > 0:
            raise InputError("All latents are equal, so no distribution can be fitted to them; train for longer.")
        return cls(mean, shrunk)

    @property
    def size(self) -> int:
        """Numbers L in a latent."""
        return len(self.mean)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw latents (count, L) on the CPU, in float32; latent n does not depend on how many are drawn."""
        factor = torch.linalg.cholesky(self.covariance.double().cpu())
        rows = [torch.randn(self.size, generator=generator, dtype=torch.float64) for _ in range(count)]
        drawn = torch.stack(rows) if rows else torch.zeros(0, self.size, dtype=torch.float64)
        return (self.mean.double().cpu() + drawn @ factor.T).float()

    def mahalanobis(self, latents: Tensor) -> Tensor:
        """Return the distances (N,) of latents (N, L) from the mean, in standard deviations; float64 on the CPU.

        Their squares are distributed as chi-square with L degrees of freedom for latents of the distribution.
        """
        factor = torch.linalg.cholesky(self.covariance.double().cpu())
        centred = (latents.detach().double().cpu() - self.mean.double().cpu()).T
        return torch.linalg.solve_triangular(factor, centred, upper=False).norm(dim=0)


POOLED_CASES = 1.0
"""As many cases of a site the covariance within all sites counts for, see :func:`normals_of_sites`."""


def normals_of_sites(latents: Tensor, sites: Sequence[str]) -> dict[str, LatentNormal]:
    """Fit a normal distribution to the latents of each site.

    The mean is the site's own. The covariance is the site's own, ``S``, in which what its hearts have in common, for
    example that they are all adults', shows as directions of little variance, and a little of the covariance within
    all sites, ``P``, which is shrunk (:func:`shrunk_covariance`) and so has an inverse::

        ((n - 1) S + k P) / (n - 1 + k),    k = POOLED_CASES

    as if one more case were known of a site of ``n`` cases (regularised discriminant analysis: Friedman 1989;
    the mean of an inverse Wishart distribution has this form). Shrinking ``S`` itself by least squares would lose those
    directions: with a dozen latents of 32 numbers nearly all of it becomes the identity (docs/generative.md).

    Args:
        latents: (N, L).
        sites: N names.

    Returns:
        A distribution for each site with at least two latents that are not all equal.
    """
    values = latents.detach().double().cpu()
    rows = {site: [n for n, name in enumerate(sites) if name == site] for site in sorted(set(sites))}
    centred = {site: values[own] - values[own].mean(0) for site, own in rows.items() if len(own) > 1}
    centred = {site: part for site, part in centred.items() if bool(part.any())}
    if not centred:
        return {}
    pooled, _ = shrunk_covariance(torch.cat(list(centred.values())), means=len(centred))
    normals = {}
    for site, part in centred.items():
        covariance = (part.T @ part + POOLED_CASES * pooled) / (len(part) - 1 + POOLED_CASES)
        normals[site] = LatentNormal(values[rows[site]].mean(0), covariance)
    return normals


def shrunk_covariance(centred: Tensor, means: int = 1) -> tuple[Tensor, float]:
    """Estimate a covariance by oracle approximating shrinkage.

    Chen, Wiesel, Eldar and Hero 2010, "Shrinkage algorithms for MMSE covariance estimation", equation 23. It is made
    for normal distributions of known mean; N samples less their own mean are as good as N - 1 of those. Ledoit and
    Wolf's estimate, which asks for no normality, finds nothing to shrink in two samples, and too little in a few.

    Args:
        centred: (N, L) samples less their mean, N greater than ``means``.
        means: how many groups of samples had their own mean taken away.

    Returns:
        The covariance (L, L), and the share 0 to 1 of it that is the identity's multiple.
    """
    count, size = len(centred) - means, centred.shape[1]
    sample = centred.T @ centred / count
    trace, squares = float(torch.trace(sample)), float(sample.square().sum())
    spread = squares - trace**2 / size
    share = 1.0
    if spread > 0:
        share = min(((1 - 2 / size) * squares + trace**2) / ((count + 1 - 2 / size) * spread), 1.0)
    target = trace / size * torch.eye(size, dtype=centred.dtype)
    return share * target + (1 - share) * sample, share
