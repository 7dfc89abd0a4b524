"""Latents are drawn from a normal distribution that was fitted well, even to fewer hearts than numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_normal import LatentNormal, ledoit_wolf


def drawn(count, seed=0, size=5):
    """Latents of a known distribution, its mean and covariance."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(size, size)) / 2
    mean, covariance = rng.normal(size=size), factor @ factor.T + 0.1 * np.eye(size)
    return torch.from_numpy(rng.multivariate_normal(mean, covariance, count)), mean, covariance


def test_a_known_distribution_is_recovered_from_many_latents():
    latents, mean, covariance = drawn(40_000)
    normal = LatentNormal.fitted(latents)
    assert normal.mean.numpy() == pytest.approx(mean, abs=0.02)
    assert normal.covariance.numpy() == pytest.approx(covariance, abs=0.03)
    assert ledoit_wolf(latents - latents.mean(0))[1] < 0.01


def test_shrinkage_is_that_of_ledoit_and_wolf_written_out_sample_by_sample():
    x = drawn(12, seed=3)[0].numpy()
    x = x - x.mean(0)
    n, p = x.shape
    s = sum(np.outer(row, row) for row in x) / n
    m = np.trace(s) / p
    d2 = np.sum((s - m * np.eye(p)) ** 2) / p
    b2 = min(sum(np.sum((np.outer(row, row) - s) ** 2) / p for row in x) / n**2, d2)
    expected = b2 / d2 * m * np.eye(p) + (d2 - b2) / d2 * s
    found, share = ledoit_wolf(torch.from_numpy(x))
    assert found.numpy() == pytest.approx(expected, rel=1e-10)
    assert share == pytest.approx(b2 / d2)


def test_with_fewer_hearts_than_numbers_the_covariance_is_nearer_to_the_truth_and_can_be_inverted():
    latents, _, covariance = drawn(10, seed=1, size=32)
    centred = latents - latents.mean(0)
    plain = (centred.T @ centred / len(latents)).numpy()
    fitted = LatentNormal.fitted(latents)
    assert np.linalg.matrix_rank(plain) == 9
    assert np.linalg.eigvalsh(fitted.covariance.numpy()).min() > 0.01
    assert np.linalg.norm(fitted.covariance.numpy() - covariance) < np.linalg.norm(plain - covariance)


def test_distances_of_drawn_latents_follow_chi_square_and_draws_do_not_depend_on_their_number():
    normal = LatentNormal.fitted(drawn(50)[0])
    sample = normal.sample(2000, torch.Generator().manual_seed(1))
    assert stats.kstest(normal.mahalanobis(sample).numpy() ** 2, stats.chi2(5).cdf).pvalue > 0.01
    assert torch.equal(normal.sample(3, torch.Generator().manual_seed(1)), sample[:3])
    direction = normal.mean + torch.tensor([0.0, 2.0, 0.0, 0.0, 0.0])
    inverse = np.linalg.inv(normal.covariance.double().numpy())
    assert float(normal.mahalanobis(direction[None])[0]) == pytest.approx(2 * np.sqrt(inverse[1, 1]), rel=1e-5)


def test_one_heart_or_equal_latents_make_no_distribution():
    with pytest.raises(InputError, match="fitted to 1 latents"):
        LatentNormal.fitted(torch.ones(1, 3))
    with pytest.raises(InputError, match="All latents are equal"):
        LatentNormal.fitted(torch.ones(4, 3))
