"""Moving a heart with the widgets of the Explore panel."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")


def points_of(session):
    import slicer

    return np.concatenate([slicer.util.arrayFromModelPoints(node) for _part, node in session.display.nodes()])


def test_the_heart_in_the_scene_is_the_models_heart(session):
    from FedSimCore.shape.model import builtin_model

    session.editor.set_random(3, 1.5)
    expected = builtin_model().mesh(session.editor.heart)
    found = points_of(session)
    ordered = np.concatenate([expected.vertices[part.vertices] for part in session.surface.parts])
    assert np.abs(found - ordered).max() < 1e-3


def test_the_modules_own_test_passes(module):
    import sys

    sys.modules["FedSimSlicer"].FedSimSlicerTest().runTest()
