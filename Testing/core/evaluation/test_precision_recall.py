"""Precision and recall on distributions whose overlap is known."""

import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.evaluation.precision_recall import BETA, cluster_shares, prd_curve


def scores(generated, reference):
    curve = prd_curve(np.array(generated, float), np.array(reference, float))
    return curve.f_score(1 / BETA), curve.f_score(BETA)


def test_equal_distributions_have_precision_and_recall_of_1():
    assert scores([0.2, 0.5, 0.3], [0.2, 0.5, 0.3]) == (pytest.approx(1), pytest.approx(1))


def test_disjoint_distributions_have_none():
    assert scores([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]) == (0, 0)


def test_one_of_two_kinds_generated_is_precise_but_recalls_half():
    precision, recall = scores([1, 0], [0.5, 0.5])
    # The curve has the points (1, 1/2) and, towards recall, (1/2, 1/2); F with weight 8 is largest near the former.
    assert precision > 0.98
    assert recall == pytest.approx(0.5, abs=0.02)


def test_a_kind_invented_beside_a_real_one_costs_precision():
    precision, recall = scores([0.5, 0.5], [1, 0])
    assert precision == pytest.approx(0.5, abs=0.02)
    assert recall > 0.98


def test_at_equal_weight_precision_and_recall_are_the_overlap():
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.4, 0.4, 0.2])
    curve = prd_curve(p, q)
    middle = len(curve.precision) // 2
    assert curve.precision[middle] == pytest.approx(np.minimum(p, q).sum())
    assert curve.recall[middle] == pytest.approx(np.minimum(p, q).sum())


def test_clusters_find_blobs_and_who_is_in_them():
    rng = np.random.default_rng(0)
    blobs = np.eye(3) * 20
    x = blobs[[0, 0, 1]][:, None] + rng.normal(size=(3, 10, 3))
    y = blobs[[2, 1]][:, None] + rng.normal(size=(2, 10, 3))
    ours, theirs = cluster_shares(x, y, seed=0, clusters=3)
    assert ours.shape == (3, 3)
    assert set(np.unique(np.r_[ours, theirs])) == {0.0, 1.0}
    assert (ours[0] == ours[1]).all()
    assert (ours[2] == theirs[1]).all()
    assert not (ours @ theirs[0]).any()


def test_vectors_of_other_length_are_refused():
    with pytest.raises(InputError, match="not of the same length"):
        cluster_shares(np.zeros((2, 3, 4)), np.zeros((2, 3, 5)), 0)
