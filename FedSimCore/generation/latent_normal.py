"""The multivariate normal distribution that learnt latents are drawn from anew (Li et al. 2020, section 2.2)."""

from __future__ import annotations

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
        multiple of the identity by as much as minimises the expected error, without anything to choose (Ledoit and
        Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", lemmas 3.2 to 3.4). With
        many latents nothing is left of the shrinkage.

        Raises:
            InputError: there are fewer than two different latents.
        """
        values = latents.detach().double().cpu()
        if values.ndim != 2 or len(values) < 2:
            raise InputError(f"A normal distribution cannot be fitted to {len(values)} latents; two are needed.")
        mean = values.mean(0)
        shrunk, _ = ledoit_wolf(values - mean)
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


def ledoit_wolf(centred: Tensor) -> tuple[Tensor, float]:
    """Estimate a covariance by shrinkage.

    Args:
        centred: (N, L) samples less their mean.

    Returns:
        The covariance (L, L), and the share 0 to 1 of it that is the identity's multiple.
    """
    count, size = centred.shape
    sample = centred.T @ centred / count
    scale = torch.trace(sample) / size
    target = scale * torch.eye(size, dtype=centred.dtype)
    distance = (sample - target).square().sum()
    # Mean over samples of |x x' - S|^2, without holding the x x'.
    error = (centred.square().sum(1).square().mean() - sample.square().sum()) / count
    share = float((error / distance).clamp(0, 1)) if float(distance) > 0 else 1.0
    return share * target + (1 - share) * sample, share
