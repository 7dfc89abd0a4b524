"""What the tests of experiments share: a tiny experiment on nine small hearts."""

from __future__ import annotations

import json

import pytest

from Testing.core.experiments.tiny import Tiny, write_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Tiny:
    """Folder with cohort, experiment and scale."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def changed(tiny, tmp_path):
    """Return a function that writes a copy of the tiny experiment or scale with other fields."""

    def write(what: str, **fields) -> str:
        content = json.loads(getattr(tiny, what).read_text())
        path = tmp_path / f"{what}.json"
        path.write_text(json.dumps({**content, **fields}))
        return str(path)

    return write
