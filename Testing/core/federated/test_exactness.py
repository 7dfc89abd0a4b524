"""A federated run learns what one process would that holds all data and adds up the sites' gradients in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from FedSimCore.errors import InputError
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.files import write_json
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.progress import silent
from FedSimCore.training.data_order import linear_decay
from FedSimCore.training.generator import build
from Testing.core.federated.small_studies import SITES, newest_state, small_study


@pytest.fixture(scope="module")
def study(ct_cohort):
    return small_study(ct_cohort, rounds=2, recipe={"constant_share": 0.3})


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in-process")
    run_in_process(study, folder)
    return folder


def test_the_weights_are_those_of_one_process_that_adds_up_the_gradients_in_order(study, finished, ct_cohort):
    """The other side is a plain loop over plain autograd: no class of the federated room takes part."""
    own = {site: {"cohort": str(ct_cohort), "sites": [site]} for site in SITES}
    configs = {site: study.config(site, **own[site]) for site in SITES}
    tasks = {site: build(configs[site], silent) for site in SITES}
    first = build(study.config(None, cohort=str(ct_cohort)), silent)
    shared = {name: first.modules[name] for name in ("shape", "material")}
    last = [*shared["material"].layers.get_submodule("9").parameters()]
    rest = [p for p in shared["material"].parameters() if all(p is not other for other in last)]
    groups = [{"params": [*shared["shape"].parameters()], "lr": 3e-3}, {"params": rest, "lr": 3e-4}]
    adam = torch.optim.Adam([*groups, {"params": last, "lr": 3e-4}])
    full = [3e-3, 3e-4, 3e-4]
    shares = [1.0, 1.0, 0.1]  # of the last convolution
    latents = {site: torch.optim.Adam(task.modules["latents"].parameters(), lr=1e-2) for site, task in tasks.items()}
    for step in range(2):
        factor = linear_decay(step, 2, 0.3)
        cases = [len(task.phases(step)[0].samples) for task in tasks.values()]
        adam.zero_grad()
        for (site, task), count in zip(tasks.items(), cases, strict=True):
            task.modules |= shared
            (phase,) = task.phases(step)
            latents[site].zero_grad()
            latents[site].param_groups[0]["lr"] = 1e-2 * factor
            loss = phase.losses(phase.load(phase.samples))["loss"]
            (loss * (count / sum(cases))).backward()
            for parameter in task.modules["latents"].parameters():
                parameter.grad *= sum(cases) / count  # At home the site's own mean counts.
            latents[site].step()
        for group, rate, share in zip(adam.param_groups, full, shares, strict=True):
            group["lr"] = factor * rate * share
        adam.step()
    found = newest_state(finished / "server")
    for name, module in shared.items():
        for key, parameter in module.named_parameters():
            wanted = parameter.detach().numpy()
            np.testing.assert_allclose(found[f"modules.{name}.{key}"].numpy(), wanted, atol=1e-6, rtol=0)
    for site, task in tasks.items():
        wanted = task.modules["latents"].vectors.weight.detach()
        mine = newest_state(finished / "sites" / site / "small")["modules.latents.vectors.weight"]
        assert torch.allclose(mine, wanted, atol=1e-6)
    moved = first_weights(study)["shape.0.weight"] - found["modules.shape.0.weight"].numpy()
    assert np.abs(moved).max() > 1e-3  # else nothing was compared


def first_weights(study):
    from FedSimCore.federated.server import Averaging

    return Averaging(study).weights()


def test_each_site_gets_the_shared_model_with_its_own_latents_and_the_server_has_none(finished):
    server = GenerativeModel.load(finished / "server").generator
    assert server.latents.shape == (0, 6)
    assert server.header.cases == ()
    for site in SITES:
        own = GenerativeModel.load(finished / "sites" / site / "small").generator
        assert own.latents.shape == (3, 6)
        assert {case.site for case in own.header.cases} == {site}
        assert torch.equal(own.normal.covariance, server.normal.covariance)
        drawn = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
        assert torch.equal(own.coarse(drawn), server.coarse(drawn))
        assert torch.equal(own.vertices(drawn), server.vertices(drawn))


def test_the_shared_normal_is_the_moments_of_all_latents_together(finished):
    server = GenerativeModel.load(finished / "server").generator
    latents = torch.cat([GenerativeModel.load(finished / "sites" / site / "small").generator.latents for site in SITES])
    assert torch.allclose(server.normal.mean, latents.mean(0), atol=1e-5)
    off = server.normal.covariance - torch.diag(server.normal.covariance.diagonal())
    assert not off.any()


def test_a_run_of_a_study_is_not_resumed_alone_but_the_command_for_the_study_is_told(finished):
    from FedSimCore.cli.main import app

    alone = finished / "sites" / "a" / "small"
    with pytest.raises(InputError, match=r"go on with `fedsim federate site KIT`"):
        CliRunner().invoke(app, ["runs", "resume", str(alone)], catch_exceptions=False)
    write_json(finished / "study.json", {})  # as `fedsim federate run` does
    for run in (finished / "server", alone):
        with pytest.raises(InputError, match=rf"go on with `fedsim federate resume {finished}`"):
            CliRunner().invoke(app, ["runs", "resume", str(run)], catch_exceptions=False)
