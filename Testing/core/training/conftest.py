"""What the tests of training share."""

from __future__ import annotations

import pytest
import torch

from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.session import begin
from Testing.core.training.small_runs import small_config, write_cohort, write_ct_cohort


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Folder of five small hearts, with their shape model beside it."""
    return write_cohort(tmp_path_factory.mktemp("hearts"))


@pytest.fixture(scope="session")
def ct_cohort(tmp_path_factory):
    """Folder of six small hearts of two sites with CT images, with their shape model beside it."""
    return write_ct_cohort(tmp_path_factory.mktemp("ct-hearts"))


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
