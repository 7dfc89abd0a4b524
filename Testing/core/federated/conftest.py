"""What the tests of federated studies share."""

from __future__ import annotations

import pytest
import torch

from Testing.core.training.small_runs import write_ct_cohort


@pytest.fixture(scope="session")
def ct_cohort(tmp_path_factory):
    """Folder of six small hearts of two sites with CT images, with their shape model beside it."""
    return write_ct_cohort(tmp_path_factory.mktemp("ct-hearts"))


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
