"""Moving a heart with the widgets of the Explore panel."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from PySide6.QtCore import Qt

from Testing.slicer.module.hands import drag_to_end, inner, press, turn_wheel, type_number
from Testing.slicer.module.shared_module import *  # noqa: F403


def points_of(session):
    import slicer

    return np.concatenate([slicer.util.arrayFromModelPoints(node) for _part, node in session.display.nodes()])


def points_in_torch(session, heart):
    """The heart's points by the model of the worker, in the order of the scene's models."""
    from FedSimCore.shape.model import builtin_model

    vertices = builtin_model(len(heart.weights)).mesh(heart).vertices
    return np.concatenate([vertices[part.vertices] for part in session.surface.parts])


def weights(session):
    return session.editor.heart.weights


@pytest.mark.parametrize("modes", [14, 40])
def test_the_heart_in_the_scene_is_the_models_heart(session, explore, modes):
    explore.ui.modeCountBox.value = modes
    explore.ui.randomButton.click()
    expected = points_in_torch(session, session.editor.heart)
    assert len(weights(session)) == modes
    assert min(abs(weight) for weight in weights(session)) > 0
    assert np.abs(points_of(session) - expected).max() < 1e-3


def test_a_slider_pulled_with_the_mouse_moves_the_heart_in_the_scene(session, explore):
    from FedSimCore.shape.parameters import HeartParameters

    drag_to_end(explore.modes.sliders[2].slider)
    heart = HeartParameters(weights=(0.0, 0.0, 1.5, *[0.0] * 11))
    assert session.editor.heart == heart
    assert list(session.state.weights) == list(heart.weights)
    assert np.abs(points_of(session) - points_in_torch(session, heart)).max() < 1e-3


def test_arrow_keys_move_a_slider_by_a_twentieth_of_a_sigma(session, explore):
    slider = inner(explore.modes.sliders[0].slider, "QSlider")
    press(slider, Qt.Key_Right)
    press(slider, Qt.Key_Right)
    press(inner(explore.modes.sliders[1].slider, "QSlider"), Qt.Key_Left)
    assert weights(session)[:2] == pytest.approx((0.1, -0.05))


def test_a_typed_number_becomes_the_modes_weight(session, explore):
    type_number(explore.modes.sliders[0].slider, "-1.25")
    assert weights(session)[0] == pytest.approx(-1.25)


def test_sliders_end_at_one_and_a_half_sigma_unless_the_user_wants_more(session, explore):
    slider = explore.modes.sliders[0].slider
    assert (slider.minimum, slider.maximum) == (-1.5, 1.5)
    assert not explore.ui.rangeWarningLabel.visible
    explore.ui.wideRangeBox.click()
    assert (slider.minimum, slider.maximum) == (-3.0, 3.0)
    assert explore.ui.rangeWarningLabel.visible
    type_number(slider, "2.5")
    assert weights(session)[0] == pytest.approx(2.5)


def test_a_weight_beyond_the_range_is_kept_when_the_range_is_narrowed(session, explore):
    explore.ui.wideRangeBox.click()
    first, second = (explore.modes.sliders[mode].slider for mode in (0, 1))
    type_number(first, "2.5")
    explore.ui.wideRangeBox.click()
    assert weights(session)[0] == pytest.approx(2.5)
    assert (first.value, first.minimum, first.maximum) == pytest.approx((2.5, -2.5, 2.5)), "0 stays in the middle"
    assert second.maximum == 1.5
    assert explore.ui.rangeWarningLabel.visible, "a weight is still beyond"
    explore.ui.meanButton.click()
    assert (first.value, first.maximum) == (0.0, 1.5)
    assert not explore.ui.rangeWarningLabel.visible


def test_the_wheel_scrolls_the_panel_unless_a_slider_was_chosen(application, session, explore):
    slider = inner(explore.modes.sliders[0].slider, "QSlider")
    explore.ui.seedBox.setFocus()
    turn_wheel(slider)
    assert weights(session)[0] == 0.0
    application.window.activateWindow()
    slider.setFocus()
    application.process_events()
    turn_wheel(slider)
    assert weights(session)[0] > 0.0


def test_random_hearts_are_the_same_for_the_same_seed_and_within_the_range(session, explore):
    drawn = []
    for seed in (7, 8, 7):
        explore.ui.seedBox.value = seed
        explore.ui.randomButton.click()
        drawn.append(weights(session))
    assert drawn[0] == drawn[2] != drawn[1]
    assert explore.ui.seedBox.value == 8, "the seed counts up"
    assert max(map(abs, drawn[0])) <= 1.5


def test_every_button_is_a_step_of_undo_by_itself(session, explore):
    explore.ui.randomButton.click()
    first = weights(session)
    explore.ui.randomButton.click()
    explore.modes.sliders[0].reset.click()
    assert weights(session)[0] == 0.0
    explore.ui.undoButton.click()
    explore.ui.undoButton.click()
    assert weights(session) == first
    explore.ui.redoButton.click()
    assert weights(session) != first
    explore.ui.meanButton.click()
    assert set(weights(session)) == {0.0}
    assert not explore.ui.redoButton.enabled


def test_a_pull_of_a_slider_is_one_step_of_undo(session, explore):
    slider = explore.modes.sliders[0].slider
    for value in np.linspace(0, 1, 20):
        slider.value = value
    explore.ui.undoButton.click()
    assert set(weights(session)) == {0.0}
    assert not explore.ui.undoButton.enabled


def test_control_z_undoes_in_the_panel_and_nowhere_else(application, session, explore):
    application.window.activateWindow()
    explore.ui.randomButton.click()
    drawn = weights(session)
    elsewhere = application.window
    elsewhere.setFocus()
    application.process_events()
    press(elsewhere, Qt.Key_Z, Qt.ControlModifier)
    assert weights(session) == drawn
    explore.ui.meanButton.setFocus()
    application.process_events()
    press(explore.ui.meanButton, Qt.Key_Z, Qt.ControlModifier)
    assert set(weights(session)) == {0.0}
    press(explore.ui.meanButton, Qt.Key_Z, Qt.ControlModifier | Qt.ShiftModifier)
    assert weights(session) == drawn


def test_an_animation_swings_its_mode_and_leaves_no_trace(session, explore, wait_for):
    explore.ui.randomButton.click()
    before = session.editor.heart
    seen = []
    session.editor.changed.connect(lambda heart: seen.append(heart.weights[1]))
    explore.modes.sliders[1].animate.click()
    wait_for(lambda: len(seen) > 20)
    explore.modes.sliders[1].animate.click()
    assert max(seen) - min(seen) > 0.3
    assert max(map(abs, seen)) <= 1.5 + 1e-9
    assert session.editor.heart == before
    explore.ui.undoButton.click()
    assert set(weights(session)) == {0.0}, "the swing was no step"


def test_moving_a_slider_ends_the_animation(session, explore, wait_for):
    explore.modes.sliders[1].animate.click()
    wait_for(lambda: weights(session)[1] != 0.0)
    explore.modes.sliders[0].slider.value = 0.5
    assert weights(session)[:2] == (0.5, 0.0)
    assert not explore.modes.sliders[1].animate.checked


def test_an_animation_ends_when_the_user_leaves_the_module(shared_module, session, explore, wait_for):
    explore.modes.sliders[1].animate.click()
    wait_for(lambda: weights(session)[1] != 0.0)
    shared_module.exit()
    assert set(weights(session)) == {0.0}
    assert not session.editor.can_undo
    shared_module.enter()


def test_a_pose_slider_changes_its_own_number_only(session, explore):
    from FedSimCore.shape.parameters import Pose

    pose = Pose(rotation_rad=(0.12345, 0.2, -0.3), translation_mm=(1.23456, 2.0, 3.0), scale=1.11111)
    session.editor.set_pose(pose)
    explore.ui.anteriorSlider.value = 10.0
    assert session.editor.heart.pose.translation_mm == pytest.approx((1.23456, 10.0, 3.0), abs=1e-12)
    assert session.editor.heart.pose.rotation_rad == pytest.approx(pose.rotation_rad, abs=1e-12)
    explore.ui.rotationAnteriorSlider.value = 90.0
    assert session.editor.heart.pose.rotation_rad[1] == pytest.approx(np.pi / 2)
    explore.ui.resetPoseButton.click()
    assert session.editor.heart.pose == Pose()


def test_a_pose_far_away_is_shown_and_kept(session, explore):
    from FedSimCore.shape.parameters import Pose

    session.editor.set_pose(Pose(translation_mm=(0.0, -412.5, 950.0)))
    assert explore.ui.superiorSlider.value == pytest.approx(950.0)
    explore.ui.rightSlider.value = 5.0
    assert session.editor.heart.pose.translation_mm == pytest.approx((5.0, -412.5, 950.0))


def test_the_heart_comes_to_where_oblique_slices_cross(session, explore):
    import slicer

    target = np.array([12.0, -34.0, 56.0])
    for name in ("Red", "Green", "Yellow"):
        node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        node.RotateToVolumePlane(session.state.live_labels) if session.state.live_labels else None
        node.JumpSliceByCentering(*target)
    explore.ui.centerButton.click()
    points = points_of(session)
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx(target, abs=1e-3)


def test_reset_all_brings_shape_and_pose_back_in_one_step(session, explore):
    explore.ui.randomButton.click()
    explore.ui.rightSlider.value = 30.0
    explore.ui.resetButton.click()
    assert session.editor.heart == session.surface.mean_heart()
    explore.ui.undoButton.click()
    assert session.editor.heart.pose.translation_mm[0] == 30.0


def test_the_modules_own_test_passes(session):
    import sys

    sys.modules["FedSimSlicer"].FedSimSlicerTest().runTest()
