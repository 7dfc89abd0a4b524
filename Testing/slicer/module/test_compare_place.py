"""Bringing the heart to its place in a real scan."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403
from Testing.slicer.module.two_scans import put_real


@pytest.fixture
def panel(shared_module, session):
    """The panel "Compare"."""
    shared_module.panel.show_tab("ComparePanel")
    return next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "ComparePanel")


def middle(session):
    vertices = session.surface.vertices(session.editor.heart)
    return (vertices.min(axis=0) + vertices.max(axis=0)) / 2


@pytest.fixture
def real(session):
    """A scan round (-40, 130, -300), flipped."""
    from FedSimCore.volumes import Grid

    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    affine[:3, 3] = np.array([-40.0, 130.0, -300.0]) - affine[:3, :3] @ (49.5, 49.5, 29.5)
    node = put_real(Grid((100, 100, 60), affine), np.zeros((100, 100, 60), dtype=np.int16))
    session.state.real_scan = node
    return node


def test_without_a_segmentation_it_goes_to_the_middle_of_the_scan_in_one_step(panel, session, real):
    session.editor.set_random(2, 1.0)
    session.editor.commit()
    before = session.editor.heart
    panel.ui.placeButton.click()
    assert middle(session) == pytest.approx([-40.0, 130.0, -300.0], abs=1e-6)
    assert session.editor.heart.weights == before.weights
    session.editor.undo()
    assert session.editor.heart == before


def test_with_the_scans_segmentation_it_goes_to_the_middle_of_that(panel, session, real, wait_for):
    import slicer

    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.scene_segmentations import put_segmentation

    grid = Grid.centered(40, 2.0, (-60.0, 150.0, -310.0))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[10:31, 12:25, 5:36] = 1
    put_segmentation(labels, grid, "Patient's heart", reference=real)
    panel.ui.placeButton.click()
    expected = grid.to_world([(10 + 30) / 2, (12 + 24) / 2, (5 + 35) / 2])
    wait_for(lambda: middle(session) == pytest.approx(expected.tolist(), abs=1e-3))
    panel.ui.fitButton.click()
    assert session.state.patient is slicer.util.getNode("Patient's heart")


def test_a_segmentation_without_a_heart_is_told_and_the_middle_of_the_scan_taken(panel, session, real, wait_for):
    import slicer

    told = []
    session.message.connect(told.append)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Liver")
    node.SetReferenceImageGeometryParameterFromVolumeNode(real)
    panel.ui.placeButton.click()
    wait_for(lambda: told[-1:] and "Liver has no segments" in told[-1])
    assert "middle of the scan" in told[-1]
    assert middle(session) == pytest.approx([-40.0, 130.0, -300.0], abs=1e-6)


def test_the_button_for_the_fit_goes_to_explore(panel, shared_module, real):
    panel.ui.fitButton.click()
    assert shared_module.panel.ui.tabs.currentWidget().objectName == "ExplorePanel"


def test_handles_move_the_heart_and_follow_it(panel, session):
    import vtk

    panel.ui.dragButton.click()
    node = panel.handles.node
    assert node.GetDisplayNode().GetEditorVisibility()
    heart = session.editor.heart
    session.editor.set_pose(heart.pose.model_copy(update={"translation_mm": (10.0, -20.0, 30.0)}))
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    assert [matrix.GetElement(row, 3) for row in range(3)] == [10.0, -20.0, 30.0]
    # As a drag does: turn about the handles' own middle.
    turn = vtk.vtkTransform()
    turn.PostMultiply()
    turn.Concatenate(matrix)
    pivot = middle(session)
    turn.Translate(*-pivot)
    turn.RotateZ(30.0)
    turn.Translate(*pivot)
    before = session.surface.vertices(session.editor.heart)
    node.SetMatrixTransformToParent(turn.GetMatrix())
    after = session.surface.vertices(session.editor.heart)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    expected = (before - pivot) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + pivot
    assert np.abs(after - expected).max() < 1e-6
    panel.ui.dragButton.click()
    assert panel.handles.node is None
    assert np.array_equal(session.surface.vertices(session.editor.heart), after)


def test_a_handle_that_stretches_one_axis_scales_the_heart_evenly(panel, session):
    import vtk

    panel.ui.dragButton.click()
    stretched = vtk.vtkMatrix4x4()
    stretched.SetElement(0, 0, 1.331)
    panel.handles.node.SetMatrixTransformToParent(stretched)
    pose = session.editor.heart.pose
    assert pose.scale == pytest.approx(1.1)
    assert pose.rotation_rad == pytest.approx((0, 0, 0), abs=1e-9)
    matrix = vtk.vtkMatrix4x4()
    panel.handles.node.GetMatrixTransformToParent(matrix)
    assert [matrix.GetElement(axis, axis) for axis in range(3)] == pytest.approx([1.1] * 3)


def test_the_mouse_drags_the_heart_by_its_handle_in_a_slice_view(panel, session, application):
    import slicer
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    slicer.app.layoutManager().resetSliceViews()
    panel.ui.dragButton.click()
    application.process_events()
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    slicer.util.getNode("vtkMRMLSliceNodeRed").JumpSliceByCentering(*middle(session))
    application.process_events()
    x, y, _z = view.convertRASToXYZ(tuple(middle(session)))
    start = QPoint(round(x), round(view.height - 1 - y))
    before = middle(session)
    QTest.mouseMove(view, start)
    QTest.mousePress(view, Qt.LeftButton, Qt.NoModifier, start)
    for step in range(1, 11):
        QTest.mouseMove(view, start + QPoint(4 * step, -3 * step))
    QTest.mouseRelease(view, Qt.LeftButton, Qt.NoModifier, start + QPoint(40, -30))
    node = view.mrmlSliceNode()
    per_pixel = node.GetFieldOfView()[0] / node.GetDimensions()[0]
    # To the right of the picture is the patient's left, up is anterior.
    moved = middle(session) - before
    assert moved == pytest.approx([-40 * per_pixel, 30 * per_pixel, 0.0], abs=2 * per_pixel)


def test_handles_go_with_the_scene_and_are_not_saved(panel, session):
    import slicer

    panel.ui.dragButton.click()
    assert not panel.handles.node.GetSaveWithScene()
    slicer.mrmlScene.Clear(False)
    assert panel.handles.node is None
    assert not panel.ui.dragButton.checked
    assert "Heart handles" not in [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLTransformNode")]
