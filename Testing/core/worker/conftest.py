from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from Testing.core.worker.conversation import Conversation


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where exchange folders are made, so that a test sees all of its own and no others."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def conversation() -> Iterator[Conversation]:
    """A worker with the built-in model, shared by the tests of a file."""
    with Conversation() as shared:
        yield shared


@pytest.fixture
def own_conversation(temporary_folder: Path) -> Iterator[Conversation]:
    """A worker that a test may kill."""
    with Conversation() as own:
        yield own
