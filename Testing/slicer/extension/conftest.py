"""Checkouts that some tests can use."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def slicer_source() -> Path | None:
    """A checkout of Slicer's source, if the environment names one."""
    return Path(os.environ["SLICER_SOURCE"]) if os.environ.get("SLICER_SOURCE") else None


@pytest.fixture
def ctk_source() -> Path | None:
    """A checkout of CTK's source, if the environment names one."""
    return Path(os.environ["CTK_SOURCE"]) if os.environ.get("CTK_SOURCE") else None
