"""Intervals against the standard error of a mean."""

import numpy as np
import pytest

from FedSimCore.evaluation.intervals import estimate


def test_the_interval_of_a_difference_of_means_is_that_of_its_standard_error():
    rng = np.random.default_rng(0)
    x, y = rng.normal(10, 2, 60), rng.normal(4, 3, 40)
    found = estimate(lambda i, j: float(x[i].mean() - y[j].mean()), 60, 40, draws=2000, seed=1)
    error = np.sqrt(x.var() / 60 + y.var() / 40)
    assert found.value == x.mean() - y.mean()
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.05)


def test_intervals_stay_within_what_is_possible_and_the_seed_decides_them():
    x = np.random.default_rng(0).uniform(0, 1, 20)
    first, again, other = (
        estimate(lambda i, _: float(x[i].max()), 20, 5, draws=100, seed=seed, most=1.0) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert first.high <= 1.0
    assert estimate(lambda i, j: 0.0, 5, 5, draws=50, seed=0).low == 0
