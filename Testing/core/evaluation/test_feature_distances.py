"""Fréchet and kernel distance against their formulas on whole distributions."""

import numpy as np
import pytest
from scipy import linalg

from FedSimCore.errors import InputError
from FedSimCore.evaluation.feature_distances import Products


def normal(mean, covariance, hearts, per_heart=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(mean, covariance, (hearts, per_heart))


def everything(products):
    return np.arange(len(products.xx) // products.per_heart), np.arange(len(products.yy) // products.per_heart)


def some_covariance(size, seed):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T / size + np.eye(size) / 4


def test_the_distance_of_two_normal_samples_is_that_of_the_normal_distributions():
    means, covariances = (np.zeros(6), np.linspace(-1, 1, 6)), (some_covariance(6, 1), some_covariance(6, 2))
    products = Products.of(*(normal(means[k], covariances[k], 250, seed=k) for k in (0, 1)))
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    true = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert products.frechet(*everything(products)) == pytest.approx(true, rel=0.1)


def test_with_more_vectors_than_features_it_is_the_textbook_formula_of_their_covariances():
    x, y = normal(np.zeros(5), some_covariance(5, 3), 12), normal(np.ones(5), some_covariance(5, 4), 9, seed=1)
    flat = [part.reshape(-1, 5) for part in (x, y)]
    covariances = [np.cov(part, rowvar=False) for part in flat]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    textbook = np.sum((flat[0].mean(0) - flat[1].mean(0)) ** 2) + np.trace(sum(covariances) - 2 * root)
    products = Products.of(x, y)
    assert products.frechet(*everything(products)) == pytest.approx(textbook, rel=1e-9)


def test_a_cohort_is_at_0_from_itself_even_with_far_more_features_than_vectors():
    x = np.random.default_rng(0).normal(size=(6, 2, 500))
    products = Products.of(x, x)
    assert products.frechet(*everything(products)) == pytest.approx(0, abs=1e-9)


def test_moving_all_vectors_moves_the_distance_by_the_square_of_the_way():
    x = np.random.default_rng(0).normal(size=(6, 2, 40))
    products = Products.of(x, x + 3 / np.sqrt(40))
    assert products.frechet(*everything(products)) == pytest.approx(9)


def test_chosen_hearts_are_measured_as_if_they_were_all():
    x, y = normal(np.zeros(3), np.eye(3), 8), normal(np.ones(3), np.eye(3), 7, seed=1)
    first, second = np.array([5, 0, 5, 2]), np.array([6, 1, 3])
    part = Products.of(x[first], y[second])
    assert Products.of(x, y).frechet(first, second) == pytest.approx(part.frechet(*everything(part)))


def test_the_kernel_distance_of_one_distribution_is_0_on_average_and_may_be_negative():
    found = []
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=(16, 1, 4))
        products = Products.of(x[:8], x[8:])
        found.append(products.kernel(*everything(products)))
    assert min(found) < 0
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_the_kernel_distance_is_what_its_definition_says_pair_by_pair():
    x, y = normal(np.zeros(3), np.eye(3), 4, 2), normal(np.ones(3), np.eye(3), 3, 2, seed=1)

    def mean_kernel(a, b, apart):
        return np.mean([
            (u @ v / 3 + 1) ** 3
            for i, heart in enumerate(a) for j, other in enumerate(b) if not (apart and i == j)
            for u in heart for v in other
        ])  # fmt: skip

    true = mean_kernel(x, x, True) + mean_kernel(y, y, True) - 2 * mean_kernel(x, y, False)
    products = Products.of(x, y)
    assert products.kernel(*everything(products)) == pytest.approx(true)


def test_a_heart_that_is_drawn_twice_is_not_compared_with_itself():
    x, y = normal(np.zeros(3), np.eye(3), 3), normal(np.zeros(3), np.eye(3), 3, seed=1)
    products = Products.of(x, y)
    once, twice = (products.kernel(np.array(drawn), np.arange(3)) for drawn in ([0, 1], [0, 0, 1, 1]))
    assert twice == pytest.approx(once)


@pytest.mark.parametrize("other", [np.zeros((3, 2, 5)), np.zeros((3, 1, 4))])
def test_features_that_do_not_fit_are_refused(other):
    with pytest.raises(InputError, match="not of the same number and length"):
        Products.of(np.zeros((3, 2, 4)), other)


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        Products.of(np.zeros((3, 2, 4)), np.full((3, 2, 4), np.nan))
