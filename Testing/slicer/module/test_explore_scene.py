"""The Explore panel when its scene is closed, saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403


def points_of(session):
    import slicer

    return np.concatenate([slicer.util.arrayFromModelPoints(node) for _part, node in session.display.nodes()])


def count(kind):
    import slicer

    return len(slicer.util.getNodesByClass(kind))


def test_after_the_scene_is_closed_the_heart_is_the_mean_and_not_shown(application, session, explore, wait_for):
    wait_for(lambda: session.state.live_labels is not None)
    explore.ui.wideRangeBox.click()
    explore.ui.randomButton.click()
    application.slicer.mrmlScene.Clear(False)
    application.process_events()
    assert explore.widget.enabled
    assert {slider.slider.value for slider in explore.modes.sliders} == {0.0}
    assert explore.modes.sliders[0].slider.maximum == 1.5
    assert not explore.ui.undoButton.enabled
    assert not session.display.shown
    assert session.state.live_labels is None


def test_the_heart_comes_back_with_the_first_move(application, session, explore, wait_for):
    application.slicer.mrmlScene.Clear(False)
    assert not session.display.shown
    explore.modes.sliders[0].slider.value = 1.0
    assert session.display.shown
    wait_for(lambda: session.state.live_labels is not None)


def test_the_heart_comes_back_with_its_button(application, session, explore):
    application.slicer.mrmlScene.Clear(False)
    explore.ui.showButton.click()
    assert session.display.shown
    middle = session.surface.middle(session.editor.heart)
    red = application.slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceToRAS()
    assert [red.GetElement(row, 3) for row in range(3)] == pytest.approx(middle, abs=1e-6)


def test_an_animation_ends_with_its_scene(application, session, explore, wait_for):
    explore.modes.sliders[0].animate.click()
    wait_for(lambda: session.editor.heart.weights[0] != 0)
    application.slicer.mrmlScene.Clear(False)
    assert not explore.modes.sliders[0].animate.checked
    assert set(session.editor.heart.weights) == {0.0}
    assert not session.display.shown


@pytest.mark.parametrize("merged", [False, True], ids=["into an empty scene", "into one with a heart"])
def test_a_saved_scene_comes_back_whole_and_only_once(application, session, explore, wait_for, tmp_path, merged):
    slicer = application.slicer
    explore.ui.wideRangeBox.click()
    explore.ui.randomButton.click()
    explore.ui.rightSlider.value = 25.0
    explore.regions.boxes["pa"].click()
    explore.regions.opacities["ra"].value = 0.5
    explore.ui.overlaySlider.value = 0.7
    wait_for(lambda: session.state.live_labels is not None and not session.worker.busy("labels"))
    heart, points = session.editor.heart, points_of(session)
    kinds = ("vtkMRMLModelNode", "vtkMRMLLabelMapVolumeNode", "vtkMRMLModelDisplayNode")
    counts = [count(kind) for kind in kinds]
    path = tmp_path / "heart.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(False)
    if merged:
        explore.ui.randomButton.click()
        wait_for(lambda: session.state.live_labels is not None)
    slicer.util.loadScene(str(path))
    application.process_events()
    assert session.editor.heart == heart
    assert [slider.slider.value for slider in explore.modes.sliders] == pytest.approx(heart.weights, abs=0.0051)
    assert explore.ui.rightSlider.value == 25.0
    assert explore.modes.sliders[0].slider.maximum == 3.0
    assert points_of(session) == pytest.approx(points, abs=1e-3)
    assert not explore.regions.boxes["pa"].checked
    assert explore.regions.opacities["ra"].value == 0.5
    assert explore.ui.overlaySlider.value == pytest.approx(0.7, abs=1 / 255)
    explore.modes.sliders[0].slider.value = -1.0
    wait_for(lambda: not session.worker.busy("labels"))
    assert [count(kind) for kind in kinds] == counts
    alphas = session.state.live_labels.GetDisplayNode().GetColorNode().GetLookupTable()
    assert alphas.GetTableValue(7)[3] == 0.0
    assert alphas.GetTableValue(1)[3] == pytest.approx(0.7, abs=1 / 255)
