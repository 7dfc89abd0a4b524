"""Recipes beside the generator, and updates of several steps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.ledger import read_ledger
from FedSimCore.federated.server import Averaging
from FedSimCore.federated.shared import SharedGenerator, SharedSemiSupervised
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.progress import silent
from FedSimCore.runs.folder import RunFolder
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file
from FedSimCore.training.session import begin, build_task
from Testing.core.federated.small_studies import SITES, newest_state, shapes_study, small_study
from Testing.core.training.small_runs import enhancer_config


def test_fedavg_is_the_average_of_what_sites_reach_by_themselves(ct_cohort, tmp_path):
    """The other side: each site's own recipe, two plain steps from the common weights."""
    study = shapes_study(ct_cohort, method="fedavg", local_steps=2, rounds=1)
    run_in_process(study, tmp_path)
    start = {name: torch.from_numpy(array) for name, array in Averaging(study).weights().items()}
    reached = []
    for site in SITES:
        torch.manual_seed(0)
        config = study.config(site, cohort=str(ct_cohort), sites=[site])
        task = build_task(config, RunFolder(tmp_path / "none"), silent, False)
        shape = task.modules["shape"]
        shape.load_state_dict({name.removeprefix("shape."): tensor for name, tensor in start.items()})
        optimizer = task.optimizers["adam"]
        for step in range(2):
            for group, rate in zip(optimizer.param_groups, task.learning_rates(step)["adam"], strict=True):
                group["lr"] = rate
            (phase,) = task.phases(step)
            optimizer.zero_grad()
            phase.losses(phase.load(phase.samples))["loss"].backward()
            optimizer.step()
        reached.append(shape.state_dict())
    found = newest_state(tmp_path / "server")
    for name in reached[0]:
        mean = sum(one[name] for one in reached) / len(reached)
        assert torch.allclose(found[f"modules.shape.{name}"], mean, atol=1e-6)


@pytest.mark.slow
def test_fedprox_stays_nearer_to_the_rounds_weights_and_fedopt_moves_by_the_servers_rate(ct_cohort, tmp_path):
    moved = {}
    for method, changes in (
        ("fedavg", {}),
        ("fedprox", {"proximal": 100.0}),
        ("fedopt", {"server_learning_rate": 5e-4}),
    ):
        study = shapes_study(ct_cohort, method=method, local_steps=3, rounds=1, **changes)
        run_in_process(study, tmp_path / method)
        start, end = Averaging(study).weights(), newest_state(tmp_path / method / "server")
        moved[method] = np.concatenate([(end[f"modules.{n}"].numpy() - start[n]).ravel() for n in start])
    assert np.linalg.norm(moved["fedprox"]) < 0.9 * np.linalg.norm(moved["fedavg"])
    assert np.abs(moved["fedopt"]).max() == pytest.approx(5e-4, rel=1e-3)  # Adam's first step


def test_a_segmenter_is_learnt_by_all_sites_and_every_site_has_the_same(ct_cohort, tmp_path):
    recipe = {
        "recipe": "segmenter",
        "regions": "heart",
        "spacing_mm": 10.0,
        "patch": 16,
        "channels": [4, 8],
        "steps": 1,
        "batch_size": 2,
        "precision": "32-true",
        "threads": 1,
        "device": "cpu",
    }
    study = shapes_study(ct_cohort, rounds=2).model_copy(update={"recipe": recipe})
    run_in_process(study, tmp_path)
    server = Segmenter.load(segmenter_file(tmp_path / "server")).network.state_dict()
    for site in SITES:
        own = Segmenter.load(segmenter_file(tmp_path / "sites" / site / "small")).network.state_dict()
        assert all(torch.equal(own[name], server[name]) for name in server)
    start = Averaging(study).weights()
    assert any(not np.array_equal(start[f"network.{name}"], tensor.numpy()) for name, tensor in server.items())


def test_labelled_and_unlabelled_cases_have_rounds_of_their_own_which_the_policy_counts():
    task = SimpleNamespace(labelled=range(5), unlabelled=range(2))
    assert SharedSemiSupervised.cases_of(task) == 7
    assert SharedSemiSupervised.cases_in_round(task, 4) == 2
    assert SharedGenerator.cases_in_round(SimpleNamespace(names="abc"), 4) == 3


@pytest.mark.slow
def test_the_papers_order_generator_enhancers_at_home_semi_supervised(ct_cohort, tmp_path):
    """The semi-supervised stage moves shared generators and every site's own enhancer, which never leaves it."""
    study = small_study(ct_cohort, rounds=2, recipe={"labelled": 2})
    run_in_process(study, tmp_path / "pre")
    sites, alone = [], {"least_in_round": 1}  # Each site has one unlabelled case.
    for site in SITES:
        pre, run = tmp_path / "pre" / "sites" / site / "small", tmp_path / "enhancers" / site
        begin(enhancer_config(ct_cohort, pre, site=site, steps=2, evaluate_every=9), RunFolder(run))
        sites.append({"name": site, "cohort": str(ct_cohort), "cohort_site": site, "model": str(run), "policy": alone})
    recipe = {"recipe": "semi-supervised", "model": str(tmp_path / "pre" / "server"), "batch_size": 1, "slices": 3}
    fields = {**study.model_dump(mode="json"), "sites": sites, "rounds": 2, "name": "full"}
    from FedSimCore.federated.study import checked_study

    full = checked_study({**fields, "recipe": {**recipe, "threads": 1, "device": "cpu"}}, "the test")
    run_in_process(full, tmp_path / "full")
    models = {site: GenerativeModel.load(tmp_path / "full" / "sites" / site / "full") for site in SITES}
    server = GenerativeModel.load(tmp_path / "full" / "server").generator
    before = GenerativeModel.load(tmp_path / "pre" / "server").generator
    drawn = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(server.vertices(drawn), before.vertices(drawn))
    for site, model in models.items():
        assert torch.equal(model.generator.vertices(drawn), server.vertices(drawn))
        assert torch.equal(model.generator.coarse(drawn), server.coarse(drawn))
        assert model.generator.latents.shape == (3, 6)  # two labelled, one unlabelled
        model.discriminator(site)
    one, other = (models[site].enhancer(site).network.state_dict() for site in SITES)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    names = {name for entry in read_ledger(tmp_path / "full" / "sites" / "a" / "ledger.jsonl") for name in entry.shapes}
    assert {name.split(".")[0] for name in names} == {"shape", "material", "latents"}
    assert {name for name in names if name.startswith("latents")} == {"latents.mean", "latents.covariance"}
