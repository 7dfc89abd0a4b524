"""What the tests of training share."""

from __future__ import annotations

import pytest
import torch

from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.session import begin
from Testing.core.training.small_runs import (
    enhancer_config,
    generator_config,
    small_config,
    write_cohort,
    write_ct_cohort,
)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Folder of five small hearts, with their shape model beside it."""
    return write_cohort(tmp_path_factory.mktemp("hearts"))


@pytest.fixture(scope="session")
def ct_cohort(tmp_path_factory):
    """Folder of six small hearts of two sites with CT images, with their shape model beside it."""
    return write_ct_cohort(tmp_path_factory.mktemp("ct-hearts"))


@pytest.fixture(scope="session")
def generator_run(ct_cohort, tmp_path_factory):
    """Folder of a hardly trained generator that has seen the labels of two cases of each site."""
    run = tmp_path_factory.mktemp("generator") / "run"
    begin(generator_config(ct_cohort, labelled=2, steps=2, evaluate_every=9), RunFolder(run))
    return run


@pytest.fixture(scope="session")
def enhancer_run(ct_cohort, generator_run, tmp_path_factory):
    """Folder of an enhancer of site a that has begun to look like it."""
    run = tmp_path_factory.mktemp("enhancer") / "run"
    rates = {"learning_rate": 1e-3, "discriminator_learning_rate": 2e-3}
    often = {"report_every": 1, "evaluate_every": 30, "picture_every": 60, "checkpoint_every": 100}
    begin(enhancer_config(ct_cohort, generator_run, steps=60, **rates, **often), RunFolder(run))
    return run


@pytest.fixture(scope="session")
def unbroken(cohort, tmp_path_factory):
    """Folder of a small run that nothing interrupted."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    begin(small_config(cohort), RunFolder(run))
    return run


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
