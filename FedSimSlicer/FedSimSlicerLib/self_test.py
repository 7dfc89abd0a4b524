"""The checks that `FedSimSlicerTest` runs inside Slicer, with the real widgets, the real scene and the real worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer

WAIT_S = 120.0


def run_self_test(test: Any) -> None:
    """Move the heart by its panel and see surfaces and labels follow.

    Args:
        test: the running ``ScriptedLoadableModuleTest``; its assertions are used.
    """
    slicer.util.selectModule("FedSimSlicer")
    panel = slicer.modules.FedSimSlicerWidget.panel
    session = panel.session
    test.assertIsNotNone(session, "Install what the panel asks for first.")
    session.use_scene()
    session.show_heart()
    before = _points(session)
    explore = panel.panels[0]
    explore.modes.sliders[0].slider.value = 1.0
    test.assertEqual(session.state.weights[0], 1.0)
    test.assertGreater(float(np.abs(_points(session) - before).max()), 1.0)
    wait_for(lambda: session.state.live_labels is not None and not session.worker.busy("labels"))
    labels = slicer.util.arrayFromVolume(session.state.live_labels)
    test.assertEqual(sorted(np.unique(labels)), list(range(8)))
    session.editor.undo()
    test.assertEqual(session.state.weights[0], 0.0)
    np.testing.assert_allclose(_points(session), before, atol=1e-4)


def wait_for(happened: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Let the application go on until something has happened.

    Raises:
        TimeoutError: it has not happened in time.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened within {seconds:g} s")
        slicer.app.processEvents()
        time.sleep(0.005)


def _points(session: Any) -> Any:
    nodes = [node for _part, node in session.display.nodes()]
    return np.concatenate([slicer.util.arrayFromModelPoints(node) for node in nodes])
