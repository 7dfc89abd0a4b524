"""Latents are drawn from a normal distribution that was fitted well, even to fewer hearts than numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_normal import LatentNormal, shrunk_covariance


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
    assert shrunk_covariance(latents - latents.mean(0))[1] < 0.01


def test_the_shrinkage_is_nearly_the_best_there_is_for_normal_numbers():
    """The oracle knows the true covariance and takes the share of least expected error; ours has to come close."""
    _, _, covariance = drawn(2, size=12)
    size, rng, target_of = 12, np.random.default_rng(0), lambda s: np.trace(s) / size * np.eye(size)
    for count in (3, 6, 40):
        ours, plain, shares = [], [], np.linspace(0, 1, 41)
        errors = np.zeros((300, len(shares)))
        for trial in range(300):
            x = rng.multivariate_normal(np.zeros(size), covariance, count)
            x = x - x.mean(0)
            s = x.T @ x / (count - 1)
            errors[trial] = [np.sum(((1 - r) * s + r * target_of(s) - covariance) ** 2) for r in shares]
            ours.append(np.sum((shrunk_covariance(torch.from_numpy(x))[0].numpy() - covariance) ** 2))
            plain.append(errors[trial, 0])
        assert np.mean(ours) < 1.2 * errors.mean(0).min()
        assert np.mean(ours) < np.mean(plain)


def test_two_latents_give_a_sphere_round_their_middle():
    normal = LatentNormal.fitted(torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]))
    assert normal.mean.tolist() == [2.0, 0.0, 0.0]
    assert torch.allclose(normal.covariance, 2 / 3 * torch.eye(3))  # the variance 2 of one of three directions


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
