"""Clipping, noise, and the accountant, against exact answers."""

from __future__ import annotations

import math
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from FedSimCore.federated.accounting import epsilon_of
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.ledger import read_ledger
from FedSimCore.federated.messages import parameters_of
from FedSimCore.federated.policy import Privacy
from FedSimCore.federated.run import open_run
from FedSimCore.federated.server import Averaging
from FedSimCore.federated.status import read_rounds
from FedSimCore.federated.updates import exact_update
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.task import TrainingError
from Testing.core.federated.small_studies import SITES, shapes_study


def exact_epsilon(noise, uses, delta):
    """Balle and Wang 2018, theorem 8: so many Gaussian mechanisms are one with less noise."""
    mu = math.sqrt(uses) / noise
    return brentq(lambda e: norm.cdf(mu / 2 - e / mu) - math.exp(e) * norm.cdf(-mu / 2 - e / mu) - delta, 1e-9, 600)


@pytest.mark.parametrize(("noise", "uses"), [(1.0, 1), (1.0, 100), (4.0, 30), (8.0, 300)])
def test_the_accountant_is_a_tight_upper_bound_of_the_exact_epsilon(noise, uses):
    exact = exact_epsilon(noise, uses, 1e-5)
    assert exact <= epsilon_of(noise, uses, 1e-5) <= 1.25 * exact + 0.1


def opened(study, cohort, folder, stack):
    config = study.config("a", cohort=str(cohort), sites=["a"])
    return stack.enter_context(open_run(config, RunFolder(folder), study, lambda _: None))


def update(study, cohort, folder, privacy, monkeypatch=None):
    with ExitStack() as stack:
        run = opened(study, cohort, folder, stack)
        arrays, _, cases = exact_update(run, parameters_of(run.shared), privacy)
        latents = run.task.modules["latents"].state_dict()["vectors.weight"].clone()
    return np.concatenate([array.ravel() for array in arrays.values()]), cases, latents


def test_without_reach_the_clip_changes_nothing_and_each_case_counts_alike(ct_cohort, tmp_path):
    """With hardly any noise and a far clip the update is the mean gradient, and latents learn as ever."""
    study = shapes_study(ct_cohort)
    plain, cases, latents = update(study, ct_cohort, tmp_path / "plain", None)
    far, _, same = update(study, ct_cohort, tmp_path / "far", Privacy(clip=1e3, noise=1e-12))
    assert cases == 2
    np.testing.assert_allclose(far, plain, atol=2e-7)
    assert torch.allclose(same, latents, atol=1e-6)


def test_no_case_adds_more_than_the_clip(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    clipped, cases, _ = update(study, ct_cohort, tmp_path / "run", Privacy(clip=1e-3, noise=1e-12))
    assert np.linalg.norm(clipped) <= 1e-3 + 1e-9  # the mean of vectors that are 1e-3 long
    assert np.linalg.norm(clipped) > 1e-4
    assert cases == 2


def test_a_case_that_is_twice_in_a_round_adds_no_more_than_one(ct_cohort, tmp_path):
    with ExitStack() as stack:
        run = opened(shapes_study(ct_cohort), ct_cohort, tmp_path / "run", stack)
        (phase,) = run.task.phases(0)
        monkey = [type(phase)(phase.name, phase.optimizer, [0, 0], phase.load, phase.losses)]
        run.task.phases = lambda _step: monkey
        arrays, _, _ = exact_update(run, parameters_of(run.shared), Privacy(clip=1e-3, noise=1e-12))
    assert math.sqrt(sum(float(np.square(a).sum()) for a in arrays.values())) == pytest.approx(0.5e-3, rel=1e-3)


def test_the_noise_has_the_deviation_that_was_accounted_for_and_is_never_the_same(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    privacy = Privacy(clip=1.0, noise=50.0)
    one, cases, _ = update(study, ct_cohort, tmp_path / "one", privacy)
    other, _, _ = update(study, ct_cohort, tmp_path / "other", privacy)
    difference = (one - other) * cases / math.sqrt(2)
    assert difference.std() == pytest.approx(50.0, rel=4 / math.sqrt(2 * len(difference)))


def test_epsilon_is_told_before_and_during_and_no_losses_or_latents_leave_beside_the_noise(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort, privacy={"clip": 1.0, "noise": 2.0})
    run_in_process(study, tmp_path)
    entries = read_ledger(tmp_path / "sites" / "a" / "ledger.jsonl")
    updates = [entry for entry in entries if entry.message == "update"]
    spent = [entry.epsilon for entry in updates]
    # Two of three cases a round: a case is used in round r at most floor(2 r / 3) + 1 times.
    uses = [2 * r // 3 + 1 for r in (1, 2, 3, 4)]
    assert spent == pytest.approx([epsilon_of(2.0, n, 1e-5) for n in uses])
    assert all("noise of 2 times" in entry.filter for entry in updates)
    assert all(set(entry.values) == {"cases"} for entry in updates)
    assert next(entry for entry in entries if entry.message == "moments").shapes == {}
    log = (tmp_path / "sites" / "a" / "small" / "log.txt").read_text()
    assert f"epsilon {spent[-1]:.2f} at the end" in log


def test_noise_alone_never_makes_an_update_too_long(ct_cohort, tmp_path):
    """Noise of deviation 2e4 in each of some thousand numbers is far longer than the 1000 that largest_norm allows."""
    study = shapes_study(ct_cohort, rounds=2, privacy={"clip": 1e4, "noise": 4.0})
    run_in_process(study, tmp_path)
    norms = [norm for record in read_rounds(tmp_path / "server" / "rounds.jsonl") for norm in record.norms.values()]
    assert len(norms) == 4
    numbers = Averaging(study).allowed.numbers
    for found in norms:
        assert 1000 < found < study.longest_update(numbers)
        assert found == pytest.approx(study.privacy.length(numbers, cases=2), rel=0.1)


def test_a_site_whose_own_noise_the_server_would_refuse_says_so_before_the_first_round(ct_cohort, tmp_path):
    sites = [{"name": name, "cohort": str(ct_cohort), "cohort_site": name} for name in SITES]
    sites[1]["policy"] = {"privacy": {"clip": 1e4, "noise": 4.0}}
    study = shapes_study(ct_cohort, rounds=2, sites=sites)
    with pytest.raises(TrainingError, match=r"b: With the noise that this site adds .* it needs a largest_norm of \d+"):
        run_in_process(study, tmp_path)
    assert not read_rounds(tmp_path / "server" / "rounds.jsonl")
