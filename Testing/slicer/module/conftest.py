"""The module FedSimSlicer in the host, with the real worker beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.host.pytest_plugin import *  # noqa: F403

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "FedSimSlicer" / "FedSimSlicer.py"


@pytest.fixture
def wait_for(application: Any) -> Callable[..., None]:
    """A function that lets the application go on until something has happened: `wait_for(lambda: done)`."""

    def wait(happened: Callable[[], Any], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, "it has not happened in time"
            application.process_events()
            time.sleep(0.005)

    return wait


@pytest.fixture
def module(load_panel: Any) -> Iterator[Any]:
    """The module's widget, loaded and shown over an empty scene; its heart is the mean one."""
    widget = load_panel(MODULE)
    yield widget
    if widget.panel.session is not None:
        widget.panel.session.worker.close(wait_s=10)


@pytest.fixture
def session(module: Any) -> Any:
    """What is behind the module's panels."""
    return module.panel.session


@pytest.fixture
def explore(module: Any) -> Any:
    """The Explore panel."""
    return module.panel.panels[0]
