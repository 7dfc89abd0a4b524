"""The views show the scene, and a picture of the window shows the views."""

from __future__ import annotations

import numpy as np
import pytest

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.8, 0.1)


def pixels(widget) -> np.ndarray:
    """A widget's picture as (height, width, 3) numbers."""
    from PySide6.QtGui import QImage

    image = widget.grab().toImage().convertToFormat(QImage.Format_RGB888)
    colors = [image.pixelColor(x, y) for y in range(0, image.height(), 2) for x in range(0, image.width(), 2)]
    shape = (len(range(0, image.height(), 2)), len(range(0, image.width(), 2)), 3)
    return np.array([(c.red(), c.green(), c.blue()) for c in colors]).reshape(shape)


def reddish(picture: np.ndarray) -> np.ndarray:
    return (
        (picture[..., 0] > 1.6 * picture[..., 1]) & (picture[..., 0] > 1.6 * picture[..., 2]) & (picture[..., 0] > 60)
    )


@pytest.fixture
def a_ball(scene):
    import slicer
    import vtk

    source = vtk.vtkSphereSource()
    source.SetRadius(40)
    source.SetCenter(20, 15, 0)
    source.SetThetaResolution(40)
    source.SetPhiResolution(40)
    source.Update()
    model = slicer.modules.models.logic().AddModel(source.GetOutput())
    model.GetDisplayNode().SetColor(*RED)
    model.GetDisplayNode().SetVisibility2D(True)
    return model


@pytest.fixture
def a_scan(scene):
    """Bright where R > 0, seen from an oblique grid with different spacings."""
    import slicer

    turn = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    ijk_to_ras = turn @ np.diag([2.0, -3.0, 4.0, 1.0])
    ijk_to_ras[:3, 3] = ijk_to_ras[:3, :3] @ [-40, -30, -20]
    k, j, i = np.indices((41, 61, 81))
    r = ijk_to_ras[0, 0] * i + ijk_to_ras[0, 1] * j + ijk_to_ras[0, 2] * k + ijk_to_ras[0, 3]
    node = slicer.util.addVolumeFromArray(np.where(r > 0, 300, -300).astype(np.int16), ijk_to_ras, name="Scan")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def test_four_views_stand_beside_the_panel(application, scene):
    import slicer

    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
    assert (manager.threeDViewCount, manager.layout) == (1, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def test_a_model_is_seen_in_3d_and_leaves_with_the_scene(application, a_ball):
    import slicer

    manager = slicer.app.layoutManager()
    manager.resetThreeDViews()
    application.process_events()
    view = manager.threeDWidget(0).threeDView()
    assert 0.01 < reddish(pixels(view)).mean() < 0.9
    slicer.mrmlScene.Clear(0)
    application.process_events()
    assert reddish(pixels(view)).mean() == 0


def test_points_that_change_in_place_move_the_picture(application, a_ball):
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    manager = slicer.app.layoutManager()
    manager.resetThreeDViews()
    application.process_events()
    view = manager.threeDWidget(0).threeDView()
    before = reddish(pixels(view)).sum()
    points = vtk_to_numpy(a_ball.GetPolyData().GetPoints().GetData())
    points *= 1.3
    a_ball.GetPolyData().GetPoints().Modified()
    a_ball.GetPolyData().Modified()
    application.process_events()
    assert reddish(pixels(view)).sum() == pytest.approx(1.69 * before, rel=0.06)


def test_the_contour_in_a_slice_stands_where_the_ball_is(application, a_scan, a_ball):
    import slicer

    widget = slicer.app.layoutManager().sliceWidget("Red")
    slicer.util.setSliceViewerLayers(background=a_scan, fit=True)
    widget.sliceController().setSliceOffsetValue(0.0)
    application.process_events()
    view = widget.sliceView()
    rows, columns = np.nonzero(reddish(pixels(view)))
    # The picture is sampled at every second pixel; device rows go down.
    ras = np.array(
        [view.convertXYZToRAS(view.convertDeviceToXYZ((2 * c, 2 * r))) for r, c in zip(rows, columns, strict=True)]
    )
    distance = np.linalg.norm(ras - [20, 15, 0], axis=1)
    pixel_mm = view.mrmlSliceNode().GetFieldOfView()[0] / view.width
    assert len(ras) > 50
    assert np.abs(distance - 40).max() < 4 * pixel_mm
    assert np.median(distance) == pytest.approx(40, abs=1.5 * pixel_mm)


def test_an_oblique_scan_lies_where_its_affine_says(application, a_scan):
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    application.process_events()
    picture = pixels(view)[..., 0]
    for r, bright in ((25.0, True), (-25.0, False)):
        x, y, _z = view.convertRASToXYZ((r, 0.0, view.mrmlSliceNode().GetSliceOffset()))
        value = picture[int((view.height - 1 - y) / 2), int(x / 2)]
        assert value > 200 if bright else value < 60


def test_radiological_convention_the_patients_right_is_on_the_left(application, a_scan):
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    right, left = (view.convertRASToXYZ((r, 0.0, 0.0))[0] for r in (30.0, -30.0))
    assert right < left


def test_the_offset_slider_moves_the_slice_and_follows_it(application, a_scan):
    import slicer

    widget = slicer.app.layoutManager().sliceWidget("Red")
    widget.sliceController().sliceOffsetSlider().value = 16.0
    assert widget.sliceLogic().GetSliceOffset() == pytest.approx(16.0)
    widget.sliceLogic().SetSliceOffset(-8.0)
    assert widget.sliceController().sliceOffsetSlider().value == pytest.approx(-8.0)


def test_the_mouse_wheel_pages_through_slices(application, a_scan):
    import slicer
    from PySide6 import QtCore, QtGui, QtWidgets

    widget = slicer.app.layoutManager().sliceWidget("Red")
    before = widget.sliceLogic().GetSliceOffset()
    middle = QtCore.QPointF(widget.sliceView().width / 2, widget.sliceView().height / 2)
    event = QtGui.QWheelEvent(
        middle, middle, QtCore.QPoint(0, 0), QtCore.QPoint(0, 120), QtCore.Qt.NoButton, QtCore.Qt.NoModifier,
        QtCore.Qt.NoScrollPhase, False,
    )  # fmt: skip
    QtWidgets.QApplication.sendEvent(widget.sliceView(), event)
    assert widget.sliceLogic().GetSliceOffset() - before == pytest.approx(4.0)


def test_another_layout_keeps_the_views_that_it_shares(application, scene):
    import slicer

    manager = slicer.app.layoutManager()
    red = manager.sliceWidget("Red")
    told = []
    manager.connect("layoutChanged(int)", told.append)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    application.process_events()
    assert (manager.sliceViewNames(), manager.threeDViewCount) == (("Red",), 0)
    assert manager.sliceWidget("Red") is red
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    application.process_events()
    assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
    assert told == [
        slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView,
        slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView,
    ]
    manager.layoutChanged.disconnect(told.append)


def test_a_layout_of_ones_own_with_new_slice_views_and_a_plot(application, a_scan):
    import slicer

    manager = slicer.app.layoutManager()
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(
        901,
        """<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="Real">
        <property name="orientation" action="default">Axial</property>
        <property name="viewlabel" action="default">1</property>
        </view></item><item><view class="vtkMRMLPlotViewNode" singletontag="Histogram"/></item></layout>""",
    )
    manager.setLayout(901)
    application.process_events()
    assert manager.sliceViewNames() == ("Real",)
    manager.sliceWidget("Real").mrmlSliceCompositeNode().SetBackgroundVolumeID(a_scan.GetID())
    manager.sliceWidget("Real").fitSliceToBackground()
    values = np.stack([np.linspace(0, 10, 50), np.linspace(0, 10, 50) ** 2], axis=1)
    chart = slicer.util.plot(values, 0, show=False)
    chart.GetNthPlotSeriesNode(0).SetColor(*RED)
    chart.GetNthPlotSeriesNode(0).SetLineWidth(6)
    manager.plotWidget(0).mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
    application.process_events()
    assert reddish(pixels(manager.plotWidget(0).plotView())).sum() > 50
    assert pixels(manager.sliceWidget("Real").sliceView()).max() > 200
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    application.process_events()


def test_a_segmentation_is_drawn_in_slices_in_its_colour(application, a_scan):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Labels")
    node.SetReferenceImageGeometryParameterFromVolumeNode(a_scan)
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().AddEmptySegment("lv", "LV", RED)
    inside = (slicer.util.arrayFromVolume(a_scan) > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(inside, node, "lv", a_scan)
    node.GetDisplayNode().SetOpacity2DFill(1.0)
    application.process_events()
    share = reddish(pixels(slicer.app.layoutManager().sliceWidget("Red").sliceView())).mean()
    assert 0.15 < share < 0.6


def test_the_picture_of_the_whole_window_holds_panel_and_views(application, a_ball):
    import slicer

    slicer.app.layoutManager().resetThreeDViews()
    application.process_events()
    window, view = application.window, slicer.app.layoutManager().threeDWidget(0).threeDView()
    whole = pixels(window)
    corner = view.mapTo(window, view.rect.topLeft())
    part = whole[corner.y() // 2 : (corner.y() + view.height) // 2, corner.x() // 2 : (corner.x() + view.width) // 2]
    assert reddish(part).mean() > 0.01
    assert reddish(whole[:, :180]).mean() == 0


def test_a_paused_application_does_not_render(application, a_ball):
    import slicer

    from Testing.host.pythonqt import private

    application.process_events()
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    before = private(view).frames
    with slicer.util.RenderBlocker():
        a_ball.GetDisplayNode().SetColor(*GREEN)
        application.process_events()
        assert private(view).frames == before
    application.process_events()
    assert private(view).frames == before + 1


def test_a_widgets_picture_becomes_vtk_image_data_with_rows_going_up(application):
    import ctk
    import qt
    import slicer
    import vtk

    label = qt.QLabel()
    label.setStyleSheet("background: qlineargradient(y1:0, y2:1, stop:0 #ff0000, stop:0.5 #ff0000, stop:0.51 #00ff00)")
    label.resize(40, 30)
    image = vtk.vtkImageData()
    assert slicer.qMRMLUtils().qImageToVtkImageData(ctk.ctkWidgetsUtils.grabWidget(label), image)
    assert image.GetDimensions() == (40, 30, 1)
    assert [image.GetScalarComponentAsDouble(20, row, 0, 0) for row in (2, 27)] == [0.0, 255.0]
