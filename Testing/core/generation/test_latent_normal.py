"""Latents are drawn from a normal distribution that was fitted well, even to fewer hearts than numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_normal import LatentNormal, normals_of_sites, shrunk_covariance


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


def sites_of(count, seed=2):
    """Latents of two sites in 24 dimensions: ``adult`` hardly differs in the first number, ``child`` much."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2 * count, 24))
    values[:count, 0] = 3 + 0.1 * values[:count, 0]
    values[count:, 0] -= 3
    return torch.from_numpy(values), ["adult"] * count + ["child"] * count


def test_a_site_keeps_what_its_hearts_have_in_common_however_few_there_are():
    latents, sites = sites_of(12)
    normals = normals_of_sites(latents, sites)
    assert set(normals) == {"adult", "child"}
    drawn = normals["adult"].sample(2000, torch.Generator().manual_seed(0))
    assert float(drawn[:, 0].mean()) == pytest.approx(3, abs=0.1)
    assert 0.05 < float(drawn[:, 0].std()) < 0.5
    assert float(drawn[:, 1:].std(0).mean()) == pytest.approx(1, abs=0.25)
    assert float(normals["child"].sample(2000, torch.Generator().manual_seed(0))[:, 0].std()) > 0.7
    # Shrunk by least squares alone, adults' would be children's in this number.
    everything = LatentNormal(normals["adult"].mean, shrunk_covariance(latents[:12] - latents[:12].mean(0))[0])
    assert float(everything.sample(2000, torch.Generator().manual_seed(0))[:, 0].std()) > 0.8


def test_normals_of_sites_with_many_cases_are_the_sites_own():
    latents, sites = sites_of(20_000)
    for site, normal in normals_of_sites(latents, sites).items():
        own = latents[[name == site for name in sites]]
        assert normal.mean.numpy() == pytest.approx(own.mean(0).numpy(), abs=1e-5)
        assert normal.covariance.numpy() == pytest.approx(np.cov(own.numpy().T), abs=1e-3)


def test_a_site_of_one_case_or_of_equal_latents_has_no_distribution():
    latents, sites = sites_of(3)
    assert set(normals_of_sites(latents[:4], sites[:4])) == {"adult"}
    assert normals_of_sites(torch.ones(4, 3), ["a", "a", "b", "b"]) == {}
    assert normals_of_sites(latents[:1], ["a"]) == {}
