"""The quick CT that follows the heart."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403


@pytest.fixture
def live(session):
    """The module with its preview switched on, and the first preview there."""
    session.show_heart()
    return session


def quiet(session):
    return not session.worker.busy("preview") and not session.worker.busy("labels")


def switch_on(session, wait_for):
    session.state.live_preview = True
    wait_for(lambda: session.state.preview is not None and quiet(session))


def voxels(session):
    import slicer

    return slicer.util.arrayFromVolume(session.state.preview).copy()


def backgrounds():
    import slicer

    names = ("Red", "Green", "Yellow")
    return {slicer.util.getNode(f"vtkMRMLSliceCompositeNode{name}").GetBackgroundVolumeID() for name in names}


def test_the_preview_is_one_node_in_the_three_views_whose_blood_is_bright(live, wait_for):
    switch_on(live, wait_for)
    node = live.state.preview
    assert backgrounds() == {node.GetID()}
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    hu, grid = array_of(node), grid_of(node)
    vertices = live.surface.vertices(live.editor.heart)
    lv = vertices[live.surface.topology.vertex_region == 1].mean(axis=0)
    i, j, k = np.round(grid.to_index(lv)).astype(int)
    assert 250 < hu[i, j, k] < 600, "the left ventricle is full of contrast"
    before = voxels(live)
    live.editor.set_weight(0, 1.5)
    wait_for(lambda: quiet(live))
    assert live.state.preview is node
    assert np.abs(voxels(live) - before).max() > 50


def test_another_scanner_gives_another_preview_without_a_move(live, wait_for):
    from FedSimSlicerLib.scan_setup import write_scanner_changes

    switch_on(live, wait_for)
    before = voxels(live)
    write_scanner_changes(live.state, {"kvp": 80})
    assert live.worker.busy("preview")
    wait_for(lambda: quiet(live))
    # Iodine attenuates more at 80 kVp.
    assert voxels(live).max() > before.max() + 50


def test_undo_takes_the_preview_back_too(live, wait_for):
    switch_on(live, wait_for)
    before = voxels(live)
    live.editor.set_weight(0, 1.5)
    wait_for(lambda: quiet(live))
    live.editor.undo()
    wait_for(lambda: quiet(live))
    assert np.abs(voxels(live) - before).max() < 1.0


def test_switched_off_it_gives_the_views_back_what_they_showed(live, wait_for):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Patient")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6), dtype=np.int16))
    slicer.util.setSliceViewerLayers(background=node)
    switch_on(live, wait_for)
    assert backgrounds() == {live.state.preview.GetID()}
    live.state.live_preview = False
    assert live.state.preview is None
    assert backgrounds() == {node.GetID()}
    live.editor.set_weight(0, 0.5)
    wait_for(lambda: quiet(live))
    assert live.state.preview is None


def test_an_impossible_heart_leaves_no_stale_picture(live, wait_for):
    switch_on(live, wait_for)
    told = []
    live.message.connect(told.append)
    live.editor.set_weight(0, 50.0)
    wait_for(lambda: live.state.preview is None and live.state.live_labels is None)
    assert "50 sigma" in told[-1]
    live.editor.undo()
    wait_for(lambda: live.state.preview is not None and live.state.live_labels is not None)


def test_settings_that_cannot_be_read_end_the_preview_with_a_sentence(live, wait_for):
    switch_on(live, wait_for)
    told = []
    live.message.connect(told.append)
    live.state.scanner_changes = "nonsense"
    assert "nonsense" in told[-1] or "cannot be read" in told[-1]
    assert live.state.preview is None


def test_what_was_lost_with_a_killed_worker_is_asked_for_again(live, wait_for, expected_slot_errors):
    import os
    import signal

    switch_on(live, wait_for)
    before = voxels(live)
    live.editor.set_weight(0, 1.5)
    os.kill(live.worker.client.pid, signal.SIGKILL)
    wait_for(lambda: not quiet(live))
    wait_for(lambda: quiet(live) and np.abs(voxels(live) - before).max() > 50)


def test_a_closed_scene_takes_the_preview_with_it(live, wait_for):
    import slicer

    switch_on(live, wait_for)
    live.editor.set_weight(0, 1.0)
    slicer.mrmlScene.Clear(False)
    assert live.state.preview is None
    assert not live.state.live_preview
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
