"""Fixtures that keep one panel and its worker for all tests of a file, each with a scene and a heart of its own.

Starting a worker takes seconds. A test file imports them: `from Testing.slicer.module.shared_module import *`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from Testing.slicer.module.conftest import MODULE

__all__ = ["explore", "session", "shared_module"]


@pytest.fixture(scope="module")
def shared_module(application: Any) -> Iterator[Any]:
    """The module's widget, loaded once for a file."""
    from Testing.host.application.modules import unload_module

    name = application.load_module(MODULE).name
    application.window.moduleSelector().selectModule(name)
    application.process_events()
    widget = getattr(application.slicer.modules, f"{name}Widget")
    yield widget
    widget.panel.session.worker.close(wait_s=10)
    application.window.moduleSelector().selectModule("")
    unload_module(name)
    application.slicer.mrmlScene.Clear(False)
    application.process_events()


@pytest.fixture
def session(application: Any, shared_module: Any, dialogs: Any) -> Iterator[Any]:
    """What is behind the panels, over a scene with the mean heart only."""
    session = shared_module.panel.session
    application.slicer.mrmlScene.Clear(False)
    session.message.emit("")
    session.show_heart()
    application.process_events()
    yield session
    application.slicer.mrmlScene.Clear(False)
    application.process_events()


@pytest.fixture
def explore(shared_module: Any, session: Any) -> Any:
    """The Explore panel, its sections open."""
    panel = shared_module.panel.panels[0]
    for name in ("shape", "pose", "region", "measure", "fit"):
        getattr(panel.ui, f"{name}Section").collapsed = False
    panel.ui.opacityBox.currentIndex = 0
    return panel
