"""Full simulations by the panel "Simulate", with the real worker on small grids."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403

SIZE = 32


@pytest.fixture
def panel(shared_module, session):
    """The panel "Simulate"; the heart lies in air, which is quick."""
    shared_module.panel.show_tab("SimulatePanel")
    session.state.surroundings = "none"
    return next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "SimulatePanel")


@pytest.fixture
def messages(session):
    told = []
    session.message.connect(told.append)
    return told


def volumes():
    import slicer

    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in nodes if node.GetAttribute("FedSim.Simulation")]


def ended(panel):
    return panel.simulation.run is None


def labels_in(segmentation):
    from FedSimSlicerLib.scene_segmentations import label_source_of

    return label_source_of(segmentation).read()


def test_a_press_of_the_button_makes_a_ct_with_its_segmentation_and_how_it_was_made(panel, session, wait_for):
    import slicer

    from FedSimCore.volumes import Grid, Volume
    from FedSimCore.volumes.resample import resample
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    ui = panel.ui
    session.editor.set_random(5, 1.5)
    ui.gridBox.currentIndex = ui.gridBox.findData(64)
    ui.simulateButton.click()
    assert ui.simulateButton.text == "Cancel"
    assert ui.progressBar.isVisible()
    assert not ui.gridBox.enabled
    wait_for(lambda: ended(panel))
    assert ui.simulateButton.text == "Simulate"
    assert not ui.progressBar.isVisible()
    (volume,) = volumes()
    assert session.state.simulated is volume
    vertices = session.surface.vertices(session.editor.heart)
    middle = np.round((vertices.min(axis=0) + vertices.max(axis=0)) / 2)
    assert grid_of(volume).same_as(Grid.centered(64, 2.5, middle))
    display = volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (800.0, 200.0, 0)
    assert slicer.util.getNode("vtkMRMLSliceCompositeNodeRed").GetBackgroundVolumeID() == volume.GetID()
    # The segmentation fits: on the volume's voxels, its blood is bright and its muscle is not.
    found = labels_in(session.state.simulated_labels)
    labels = resample(Volume(found.labels, found.grid), grid_of(volume), "nearest").array
    hounsfield = array_of(volume)
    assert np.median(hounsfield[labels == 1]) > np.median(hounsfield[labels == 2]) + 150
    assert np.median(hounsfield[labels == 0]) < -900
    assert " s a scanner and 0.9 GB" in ui.costLabel.text
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    nodes = (volume, session.state.simulated_labels, session.state.provenance)
    folders = {hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))) for node in nodes}
    assert folders == {"Heart 1"}


def test_the_text_beside_a_volume_repeats_it_from_the_command_line(panel, session, wait_for, tmp_path):
    from FedSimCore.ct.recipe import read_recipe, simulate
    from FedSimCore.shape.model import builtin_model
    from FedSimSlicerLib.scene_volumes import array_of

    session.editor.set_random(1, 1.0)
    panel.simulation.start(SIZE)
    wait_for(lambda: ended(panel))
    path = tmp_path / "scan.json"
    path.write_text(session.state.provenance.GetText())
    again = simulate(read_recipe(path), builtin_model(None)).image
    assert np.abs(again.array - array_of(session.state.simulated)).max() < 1.0


def test_cancelled_it_leaves_the_scene_as_it_was(panel, session, wait_for):
    session.state.surroundings = "thorax"
    panel.ui.simulateButton.click()
    wait_for(lambda: panel.ui.progressBar.value > 0)
    panel.ui.simulateButton.click()
    assert ended(panel)
    assert panel.ui.simulateButton.text == "Simulate"
    wait_for(lambda: not session.worker.busy("simulation"))
    assert volumes() == []
    panel.simulation.start(SIZE)
    wait_for(lambda: ended(panel))
    assert len(volumes()) == 1


def test_a_round_of_all_scanners_that_is_cancelled_keeps_what_has_come(panel, session, wait_for):
    panel.simulation.start_all(SIZE)
    assert panel.ui.simulateButton.text == "Cancel"
    wait_for(lambda: len(volumes()) == 1)
    wait_for(lambda: "(2 of 5)" in panel.ui.stageLabel.text or len(volumes()) > 1)
    panel.ui.simulateButton.click()
    came = volumes()
    assert ended(panel)
    wait_for(lambda: not session.worker.busy("simulation"))
    assert volumes() == came
    assert len(came) < 5
    assert session.state.simulated is came[0]


def test_each_simulation_is_a_new_one_unless_it_is_to_replace_the_last(panel, session, wait_for):
    from FedSimSlicerLib.scene_volumes import array_of

    for _run in range(2):
        panel.simulation.start(SIZE)
        wait_for(lambda: ended(panel))
    assert [node.GetName() for node in volumes()] == ["Heart 1 CT, adult", "Heart 2 CT, adult"]
    first, last = volumes()
    nodes = last, session.state.simulated_labels, session.state.provenance
    before = array_of(last).copy()
    session.editor.set_weight(0, 1.5)
    panel.ui.replaceBox.checked = True
    panel.simulation.start(SIZE, replace=panel.ui.replaceBox.checked)
    wait_for(lambda: ended(panel))
    assert volumes() == [first, last]
    assert (session.state.simulated, session.state.simulated_labels, session.state.provenance) == nodes
    assert np.abs(array_of(last) - before).max() > 100
    assert json.loads(session.state.provenance.GetText())["parameters"]["weights"][0] == 1.5


def test_a_scene_closed_during_a_run_ends_it_with_a_sentence(panel, session, messages, wait_for):
    import slicer

    panel.simulation.start(SIZE)
    slicer.mrmlScene.Clear(False)
    assert ended(panel)
    assert "The scene was closed during a simulation" in messages[-1]
    assert panel.widget.isEnabled()
    wait_for(lambda: not session.worker.busy("simulation"))
    assert volumes() == []


def test_a_worker_that_dies_over_it_is_told_and_the_next_run_works(panel, session, messages, wait_for):
    session.state.surroundings = "thorax"
    panel.simulation.start(SIZE)
    wait_for(lambda: panel.ui.progressBar.value > 0)
    os.kill(session.worker.client.pid, signal.SIGKILL)
    wait_for(lambda: ended(panel))
    assert "simulate again" in messages[-1]
    assert panel.ui.simulateButton.text == "Simulate"
    panel.simulation.start(SIZE)
    wait_for(lambda: ended(panel))
    assert len(volumes()) == 1


def test_an_impossible_scan_is_refused_with_the_reason(panel, session, messages, wait_for):
    session.state.scanner_changes = json.dumps({"scan_field_mm": 100.0})
    assert "with your changes" in panel.ui.scannerLabel.text
    panel.ui.simulateButton.click()
    wait_for(lambda: ended(panel))
    assert "does not fit in the scan field" in messages[-1]
    assert volumes() == []


def test_a_large_heart_gets_a_larger_cube(session):
    from FedSimSlicerLib.simulation_grids import MARGIN_MM, grid_about

    vertices = session.surface.vertices(session.editor.heart)
    assert np.allclose(grid_about(vertices, 128).grid().spacing_mm, 1.25)
    large = vertices * 1.6 + (30.0, -500.0, 7.0)
    grid = grid_about(large, 128).grid()
    index = grid.to_index(large)
    assert index.min() * grid.spacing_mm[0] > MARGIN_MM - 1.0
    assert (127 - index.max()) * grid.spacing_mm[0] > MARGIN_MM - 1.0


def test_every_scanner_gets_a_linked_view_with_the_same_window(panel, session, wait_for):
    import slicer

    from FedSimCore.ct.scanners import scanners

    layout = slicer.app.layoutManager()
    before = layout.layout
    panel.ui.gridBox.currentIndex = panel.ui.gridBox.findData(64)
    panel.ui.allScannersButton.click()
    wait_for(lambda: len(volumes()) == 2)
    assert layout.sliceViewNames() == ("FedSim1", "FedSim2"), "volumes are shown as they come"
    wait_for(lambda: ended(panel))
    widgets = [layout.sliceWidget(name) for name in layout.sliceViewNames()]
    assert [widget.sliceViewLabel for widget in widgets] == list(scanners())
    shown = [widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() for widget in widgets]
    assert shown == [node.GetID() for node in volumes()]
    assert len({node.GetNodeReferenceID("FedSim.Labels") for node in volumes()}) == 1
    # Linked: paging through one view pages through all, and the red one stays.
    red = slicer.util.getNode("vtkMRMLSliceNodeRed")
    red_before = red.GetSliceOffset()
    widgets[0].sliceController().setSliceOffsetValue(17.0)
    assert [widget.mrmlSliceNode().GetSliceOffset() for widget in widgets] == pytest.approx([17.0] * 5)
    assert red.GetSliceOffset() == red_before
    views = [widget.mrmlSliceNode() for widget in widgets]
    per_pixel = [view.GetFieldOfView()[0] / view.GetDimensions()[0] for view in views]
    assert per_pixel == pytest.approx([per_pixel[0]] * 5)
    centers = [[view.GetSliceToRAS().GetElement(row, 3) for row in range(3)] for view in views]
    assert np.allclose(centers, centers[0])
    # One window for all.
    volumes()[3].GetDisplayNode().SetWindowLevel(500.0, 50.0)
    assert {node.GetDisplayNode().GetWindow() for node in volumes()} == {500.0}
    panel.ui.backButton.click()
    assert layout.layout == before
    assert not panel.ui.backButton.enabled
    volumes()[0].GetDisplayNode().SetWindowLevel(300.0, 40.0)
    assert {node.GetDisplayNode().GetWindow() for node in volumes()} == {300.0, 500.0}
    # A scene that is closed takes the views with it.
    panel.ui.showButton.click()
    assert layout.layout != before
    slicer.mrmlScene.Clear(False)
    assert layout.layout == before


def test_a_simulation_that_runs_out_of_memory_says_what_to_do_and_can_be_tried_again(
    panel, session, messages, wait_for, monkeypatch
):
    from FedSimSlicerLib.worker_events import RequestFailed

    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(session.worker, "ask", lambda *request, **_more: asked.append(request))
        panel.simulation.start(SIZE)
    _channel, _task, reply = asked[0]
    reply.failed(RequestFailed("simulation", 1, "memory", "The memory does not suffice; choose a coarser grid."))
    assert messages[-1] == "The memory does not suffice; choose a coarser grid."
    assert panel.ui.simulateButton.text == "Simulate"
    panel.simulation.start(SIZE)
    wait_for(lambda: ended(panel))
    assert len(volumes()) == 1


def test_a_scene_saved_with_our_views_opens_in_slicers_and_has_the_simulation(panel, session, wait_for, tmp_path):
    import slicer

    panel.simulation.start(SIZE)
    wait_for(lambda: ended(panel))
    layout = slicer.app.layoutManager()
    panel.ui.showButton.click()
    ours = layout.layout
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(path)
    assert layout.layout != ours
    assert "Red" in layout.sliceViewNames()
    assert session.state.simulated is volumes()[0]
    assert session.state.simulated.GetNodeReference("FedSim.Labels") is session.state.simulated_labels
    assert json.loads(session.state.provenance.GetText())["schema"] == "fedsim/simulation/1"
    assert panel.ui.runBox.currentText == "Heart 1: adult"
    panel.ui.showButton.click()
    assert layout.sliceViewNames() == ("FedSim1",)


@pytest.mark.parametrize("name", ["SimulatePanel", "ComparePanel"])
def test_the_panels_fit_into_400_pixels_with_letters_half_as_large_again(panel, shared_module, name, application):
    import qt

    widget = next(p.widget for p in shared_module.panel.panels if type(p).__name__ == name)
    font = qt.QFont(widget.font)
    try:
        for scale in (1.0, 1.5):
            larger = qt.QFont(font)
            larger.setPointSizeF(font.pointSizeF() * scale)
            widget.setFont(larger)
            application.process_events()
            assert widget.minimumSizeHint.width() <= 400
    finally:
        widget.setFont(font)
