"""A real scan beside, under and in squares with a simulation."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403
from Testing.slicer.module.two_scans import put_real, put_simulated, smooth_scan


@pytest.fixture
def panel(shared_module, session):
    """The panel "Compare"."""
    shared_module.panel.show_tab("ComparePanel")
    return next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "ComparePanel")


@pytest.fixture
def scans(panel, session):
    """A real scan on an oblique grid round the heart, and a simulation; both are chosen."""
    from FedSimCore.volumes import Grid

    simulated = put_simulated(session)
    turn = np.array([[-0.98, 0.17, 0.10], [-0.17, -0.98, 0.06], [0.11, 0.04, 0.99]])
    axes = np.linalg.qr(turn)[0] * (2.0, 2.0, 3.0)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ (44.5, 44.5, 29.5)
    grid = Grid((90, 90, 60), affine)
    real = put_real(grid, smooth_scan(grid))
    session.state.real_scan = real
    return real, simulated


def widgets():
    import slicer

    layout = slicer.app.layoutManager()
    return [layout.sliceWidget(name) for name in layout.sliceViewNames()]


def composite(name):
    import slicer

    return slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")


def layers(node):
    return (
        node.GetBackgroundVolumeID(),
        node.GetForegroundVolumeID(),
        node.GetLabelVolumeID(),
        node.GetForegroundOpacity(),
    )


def center(widget):
    matrix = widget.mrmlSliceNode().GetSliceToRAS()
    return [matrix.GetElement(row, 3) for row in range(3)]


def ras_at(widget, x, y):
    return widget.sliceView().convertXYZToRAS((x, y, 0.0))


def test_the_real_scan_is_left_and_both_views_always_show_the_same_place(panel, scans, application):
    real, simulated = scans
    panel.ui.sideButton.click()
    application.process_events()
    left, right = widgets()
    assert left.mapTo(left.window(), left.rect.topLeft()).x() < right.mapTo(right.window(), right.rect.topLeft()).x()
    assert (left.sliceViewLabel, right.sliceViewLabel) == ("Real", "Simulated")
    assert left.mrmlSliceCompositeNode().GetBackgroundVolumeID() == real.GetID()
    assert right.mrmlSliceCompositeNode().GetBackgroundVolumeID() == simulated.GetID()
    for place in ((40, 60), (200, 120)):
        assert ras_at(left, *place) == pytest.approx(ras_at(right, *place), abs=2.0)
    # R is on the left of the picture and A on top, as radiologists look at it.
    assert ras_at(left, 10, 50)[0] > ras_at(left, 200, 50)[0]
    assert ras_at(left, 50, 200)[1] > ras_at(left, 50, 10)[1]
    right.sliceController().setSliceOffsetValue(-21.5)
    assert center(left) == pytest.approx(center(right))
    assert center(left)[2] == pytest.approx(-21.5)


def test_three_rows_show_three_planes_through_the_heart(panel, session, scans, application):
    panel.ui.sideButton.click()
    panel.ui.planeBox.currentIndex = panel.ui.planeBox.findData("All")
    application.process_events()
    shown = widgets()
    orientations = [widget.sliceOrientation for widget in shown]
    assert orientations == ["Axial", "Axial", "Coronal", "Coronal", "Sagittal", "Sagittal"]
    middle = panel.comparison.middle()
    for widget in shown:
        assert center(widget) == pytest.approx(middle.tolist(), abs=1e-3)
    shown[2].sliceController().setSliceOffsetValue(12.0)
    assert shown[3].mrmlSliceNode().GetSliceOffset() == pytest.approx(12.0)
    assert shown[0].mrmlSliceNode().GetSliceOffset() == pytest.approx(middle[2], abs=1e-3)


def test_grey_values_are_shared_while_they_are_compared_and_given_back_after(panel, scans):
    displays = [node.GetDisplayNode() for node in scans]
    own = [(display.GetWindow(), display.GetLevel()) for display in displays]
    panel.ui.sideButton.click()
    assert displays[0].GetWindow() == displays[1].GetWindow() == own[1][0]
    displays[0].SetWindowLevel(600.0, 90.0)
    assert (displays[1].GetWindow(), displays[1].GetLevel()) == (600.0, 90.0)
    panel.ui.windowBox.click()
    assert (displays[0].GetWindow(), displays[0].GetLevel()) == own[0]
    panel.ui.windowBox.click()
    panel.ui.backButton.click()
    assert [(display.GetWindow(), display.GetLevel()) for display in displays] == own


def test_a_blend_lays_the_simulation_over_the_scan_and_gives_the_views_back(
    panel, session, scans, application, wait_for
):
    import slicer

    real, simulated = scans
    layout = slicer.app.layoutManager()
    names = ("Red", "Green", "Yellow")
    wait_for(lambda: session.state.live_labels is not None)  # the first ones move the views to the heart
    application.process_events()
    before, layout_before = [layers(composite(name)) for name in names], layout.layout
    places = [ras_at(layout.sliceWidget(name), 20, 30) for name in names]
    panel.ui.blendButton.click()
    assert panel.ui.opacitySlider.isVisible()
    assert not panel.ui.planeBox.isVisible()
    panel.ui.opacitySlider.value = 30
    for name in names:
        assert layers(composite(name))[:2] == (real.GetID(), simulated.GetID())
        assert composite(name).GetForegroundOpacity() == pytest.approx(0.3)
    panel.ui.backButton.click()
    assert [layers(composite(name)) for name in names] == before
    assert layout.layout == layout_before
    application.process_events()
    assert [ras_at(layout.sliceWidget(name), 20, 30) for name in names] == [pytest.approx(p, abs=1e-3) for p in places]
    assert not panel.ui.blendButton.checked


def test_a_blended_pixel_is_the_mean_of_both(panel, scans, application):
    panel.ui.contourBox.checked = panel.ui.labelBox.checked = False
    panel.ui.blendButton.click()

    def picture(opacity):
        panel.ui.opacitySlider.value = opacity
        for _round in range(5):
            application.process_events()
        view = widgets()[0].sliceView()
        view.forceRender()
        return np.array([[view.grab().toImage().pixelColor(x, 150).red()] for x in range(100, 300, 7)], dtype=float)

    alone, over = picture(0), picture(100)
    assert np.abs(alone - over).max() > 30
    assert np.abs(picture(50) - (alone + over) / 2).max() <= 2.0


def test_the_checkerboard_shows_the_simulation_in_every_other_square(panel, session, scans, wait_for):
    import slicer

    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    real, simulated = scans
    panel.ui.boardButton.click()
    wait_for(lambda: composite("Red").GetForegroundVolumeID() not in (None, simulated.GetID()))
    panel.ui.squareSlider.value = 30
    wait_for(lambda: not panel.comparison.busy)
    board = slicer.mrmlScene.GetNodeByID(composite("Red").GetForegroundVolumeID())
    display = board.GetDisplayNode()
    shown = array_of(board) >= display.GetLowerThreshold()
    assert display.GetApplyThreshold()
    assert grid_of(board).same_as(grid_of(simulated))
    assert np.array_equal(array_of(board)[shown], array_of(simulated)[shown])
    # An independent board: 30 mm squares, one of them round the middle.
    index = np.stack(np.meshgrid(*map(np.arange, shown.shape), indexing="ij"), axis=-1)
    world = grid_of(simulated).to_world(index) - grid_of(simulated).center_mm
    expected = np.rint(world / 30 + 1e-9).sum(axis=-1) % 2 == 0
    assert (shown == expected).mean() > 0.999
    assert (composite("Red").GetForegroundOpacity(), composite("Red").GetBackgroundVolumeID()) == (1.0, real.GetID())
    # Its window follows the simulation's.
    simulated.GetDisplayNode().SetWindowLevel(444.0, 55.0)
    assert (display.GetWindow(), display.GetLevel()) == (444.0, 55.0)
    panel.ui.backButton.click()
    assert board.GetScene() is None
    assert composite("Red").GetForegroundVolumeID() is None


def test_another_layout_from_slicers_menu_ends_the_comparison(panel, scans):
    import slicer

    panel.ui.blendButton.click()
    layout = slicer.app.layoutManager()
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
    assert panel.comparison.options is None
    assert composite("Red").GetForegroundVolumeID() is None
    assert not panel.ui.backButton.enabled
    assert layout.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


def test_another_scan_takes_the_place_of_the_one_that_is_shown(panel, session, scans):
    other = put_simulated(session, number=2)
    session.state.simulated = scans[1]
    panel.ui.sideButton.click()
    session.state.simulated = other
    assert widgets()[1].mrmlSliceCompositeNode().GetBackgroundVolumeID() == other.GetID()
    session.state.real_scan = None
    assert panel.comparison.options is None
    assert not any(name.startswith("FedSim") for name in [widget.sliceViewName for widget in widgets()])


def test_a_closed_scene_brings_the_layout_before_back(panel, scans):
    import slicer

    layout = slicer.app.layoutManager()
    before = layout.layout
    panel.ui.sideButton.click()
    assert layout.layout != before
    slicer.mrmlScene.Clear(False)
    assert layout.layout == before
    assert panel.comparison.options is None
    assert panel.widget.isEnabled()


def test_contours_and_labels_are_switched_for_all_slice_views(panel, session, scans):
    panel.ui.labelBox.click()
    assert session.state.slice_style == "contours"
    panel.ui.contourBox.click()
    assert session.state.slice_style == "nothing"
    session.state.slice_style = "both"
    assert panel.ui.labelBox.checked
    assert panel.ui.contourBox.checked


def test_a_heart_that_has_moved_since_the_simulation_is_told(panel, session, scans):
    assert not panel.ui.hintLabel.isVisible()
    session.editor.set_weight(0, 1.0)
    assert "simulate it again" in panel.ui.hintLabel.text
    session.editor.undo()
    assert not panel.ui.hintLabel.isVisible()
    session.state.simulated = None
    assert "There is no simulation yet" in panel.ui.hintLabel.text
