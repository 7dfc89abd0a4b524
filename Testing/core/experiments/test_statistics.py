from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from FedSimCore.experiments.statistics import holm, paired_test, summarize


def test_a_summary_is_the_mean_and_deviation_of_the_folds_means():
    summary = summarize({0: [0.8, 0.9], 1: [0.7], 2: [0.6, 0.6, 0.6]})
    assert summary is not None
    assert summary.mean == pytest.approx((0.85 + 0.7 + 0.6) / 3)
    assert summary.deviation == pytest.approx(0.12583057392117916)  # by hand: sqrt(sum of squares / 2)
    assert (summary.folds, summary.cases) == (3, 6)


def test_one_fold_has_no_deviation_and_none_has_no_summary():
    one = summarize({3: [0.5, 0.7]})
    assert one is not None
    assert (one.mean, one.deviation) == (pytest.approx(0.6), None)
    assert one.case_deviation == pytest.approx(np.sqrt(0.02))
    assert summarize({0: []}) is None


def test_the_wilcoxon_test_of_six_equal_signs_has_the_p_known_by_hand():
    one = {f"case{number}": 0.8 + 0.01 * number for number in range(6)}
    other = {case: value - 0.001 * (number + 1) for number, (case, value) in enumerate(one.items())}
    result = paired_test(one, other)
    assert result is not None
    assert result.p == pytest.approx(2 / 2**6)  # one of 64 patterns of signs at each end
    assert result.difference == pytest.approx(0.0035)
    assert result.low is not None
    assert result.high is not None
    assert 0.001 <= result.low < 0.0035 < result.high <= 0.006


def test_tests_agree_with_scipy_whatever_the_order_of_the_cases():
    source = np.random.default_rng(0)
    values, others = source.normal(0.5, 0.1, 15), source.normal(0.45, 0.1, 15)
    one = {f"case{number}": value for number, value in enumerate(values)}
    other = {f"case{number}": others[number] for number in reversed(range(15))} | {"only here": 0.1}
    result = paired_test(one, other)
    assert result is not None
    assert result.cases == 15
    assert result.p == pytest.approx(stats.wilcoxon(values, others).pvalue)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    source = np.random.default_rng(1)
    hits = 0
    for _ in range(60):
        differences = source.normal(0.1, 1.0, 25)
        result = paired_test(dict(enumerate_names(differences)), dict(enumerate_names(np.zeros(25))))
        assert result is not None
        assert result.low is not None
        assert result.high is not None
        hits += result.low <= 0.1 <= result.high
    assert 51 <= hits <= 60  # 95 % of 60 is 57


def enumerate_names(values):
    return ((f"case{number:02d}", float(value)) for number, value in enumerate(values))


def test_methods_that_do_the_same_have_no_p_and_strangers_no_test():
    same = {"a": 0.5, "b": 0.6, "c": 0.7}
    result = paired_test(same, same)
    assert result is not None
    assert (result.difference, result.low, result.high, result.p) == (0, None, None, None)
    assert paired_test(same, {"z": 1.0}) is None


def test_differences_that_hardly_vary_give_an_interval_or_none_but_no_nonsense():
    result = paired_test({"a": 0.2, "b": 0.2, "c": 0.3}, {"a": 0.1, "b": 0.1, "c": 0.1})
    assert result is not None
    assert result.difference == pytest.approx(0.4 / 3)
    assert result.low is None or 0.1 <= result.low <= result.high <= 0.2


def test_holm_corrects_as_by_hand():
    # Sorted 0.01, 0.02, 0.04: times 3, 2, 1, and never falling.
    assert holm([0.04, 0.01, None, 0.02]) == pytest.approx([0.04, 0.03, None, 0.04], nan_ok=True)
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
