"""A layout of one's own whose slice views are linked, as for comparing two scans."""

from __future__ import annotations

import numpy as np
import pytest

LAYOUT, FOUR_VIEWS = 902, 3
VIEW = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
<property name="orientation" action="default">{orientation}</property>
<property name="viewlabel" action="default">{name}</property>
<property name="viewgroup" action="default">7</property></view></item>"""
NAMES = ("Patient", "Simulated", "Side")


@pytest.fixture
def views(application, scene):
    """Two axial views of two scans, and a sagittal one, by name."""
    import slicer

    manager = slicer.app.layoutManager()
    orientations = ("Axial", "Axial", "Sagittal")
    items = [VIEW.format(name=name, orientation=o) for name, o in zip(NAMES, orientations, strict=True)]
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(LAYOUT, f'<layout type="horizontal">{"".join(items)}</layout>')
    manager.setLayout(LAYOUT)
    application.process_events()
    found = {name: manager.sliceWidget(name) for name in NAMES}
    for name, widget in found.items():
        scan = slicer.util.addVolumeFromArray(
            np.zeros((30, 40, 50), np.int16), np.diag([2.0, 2.0, 2.0, 1.0]) + _shift(-40.0), name=name
        )
        widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(scan.GetID())
        widget.sliceLogic().FitSliceToBackground(True)
    application.process_events()
    yield found
    manager.setLayout(FOUR_VIEWS)
    application.process_events()


def _shift(mm: float) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[:3, 3] = mm
    return matrix


def offsets(views) -> dict[str, float]:
    return {name: widget.sliceLogic().GetSliceOffset() for name, widget in views.items()}


def test_linked_views_of_the_same_orientation_move_together(views):
    before = offsets(views)["Side"]
    views["Patient"].sliceController().setSliceLink(True)
    views["Patient"].sliceController().setSliceOffsetValue(-6.0)
    assert offsets(views) == pytest.approx({"Patient": -6.0, "Simulated": -6.0, "Side": before})


def test_views_that_are_not_linked_stay(views):
    before = offsets(views)
    views["Patient"].sliceController().setSliceLink(False)
    views["Patient"].sliceController().setSliceOffsetValue(-6.0)
    assert offsets(views) == pytest.approx({**before, "Patient": -6.0})


def test_one_link_button_links_them_all(views):
    views["Side"].sliceController().setSliceLink(True)
    assert all(widget.mrmlSliceCompositeNode().GetLinkedControl() for widget in views.values())


@pytest.mark.parametrize(("hot", "while_held"), [(True, -9.0), (False, 0.0)])
def test_hot_linked_views_follow_while_the_slider_is_held_and_others_at_the_end(views, hot, while_held):
    import qt

    controller = views["Patient"].sliceController()
    controller.setSliceLink(True)
    controller.setHotLinked(hot)
    controller.setSliceOffsetValue(0.0)
    slider = controller.sliceOffsetSlider()
    handle = slider.findChild(qt.QSlider)
    handle.setSliderDown(True)
    handle.setValue(round((-9.0 - slider.minimum) / slider.singleStep))
    assert offsets(views)["Patient"] == pytest.approx(-9.0)
    assert offsets(views)["Simulated"] == pytest.approx(while_held)
    handle.setSliderDown(False)
    assert offsets(views)["Simulated"] == pytest.approx(-9.0)


def test_a_linked_view_shows_the_same_field_of_view(views):
    patient = views["Patient"]
    patient.sliceController().setSliceLink(True)
    logic, node = patient.sliceLogic(), patient.mrmlSliceNode()
    logic.StartSliceNodeInteraction(node.FieldOfViewFlag)
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(width / 2, height / 2, depth)
    logic.EndSliceNodeInteraction()
    assert views["Simulated"].mrmlSliceNode().GetFieldOfView()[0] == pytest.approx(width / 2)


def test_fitting_one_view_fits_the_linked_ones(views):
    node = views["Simulated"].mrmlSliceNode()
    fitted = node.GetFieldOfView()
    node.SetFieldOfView(10.0, 10.0, 1.0)
    views["Patient"].sliceController().setSliceLink(True)
    views["Patient"].fitSliceToBackground()
    assert node.GetFieldOfView() == pytest.approx(fitted)


def test_foreground_and_its_opacity_are_shared_through_slicer_util(views):
    import slicer

    patient, simulated = slicer.util.getNode("Patient"), slicer.util.getNode("Simulated")
    slicer.util.setSliceViewerLayers(background=patient, foreground=simulated, foregroundOpacity=0.25)
    layers = views["Simulated"].mrmlSliceCompositeNode()
    assert layers.GetForegroundVolumeID() == simulated.GetID()
    assert layers.GetForegroundOpacity() == 0.25
