"""The panel "Segment": scans in, segmentations out, by the real worker with a segmenter that was trained for it."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.conftest import ROOT
from Testing.slicer.module.segment_scene import *  # noqa: F403
from Testing.slicer.module.segment_scene import (
    GRID,
    begin,
    finish,
    press,
    put_scan,
    segmentations,
    states,
    use_segmenter,
)
from Testing.slicer.module.shared_module import *  # noqa: F403


def put_array(array, name="Strange scan", grid=None):
    """Put any voxels (i, j, k) into the scene as a scan."""
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.scene_volumes import put_volume

    return put_volume(array, grid or Grid(array.shape, Grid.centered(array.shape, 3.0).affine), name)


def shown_nodes():
    """Names of the nodes that a user sees in the Data module."""
    import slicer

    kinds = ("vtkMRMLSegmentationNode", "vtkMRMLVolumeNode", "vtkMRMLModelNode", "vtkMRMLTextNode")
    return sorted(node.GetName() for kind in kinds for node in slicer.util.getNodesByClass(kind))


def test_a_press_of_the_button_makes_a_coded_segmentation_with_surfaces_on_the_scan(panel, wait_for, segmenter_file):
    import slicer

    from FedSimCore.segmentation.model_file import Segmenter
    from FedSimCore.segmentation.predict import segment
    from FedSimCore.volumes import Volume
    from FedSimSlicerLib.scene_segmentations import label_source_of
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    scan, _labels = put_scan()
    wait_for(lambda: panel.table.ticked == [scan.GetID()])
    ui = panel.ui
    assert "balls in air" in ui.segmenterLabel.text
    assert "Not for clinical use" in ui.segmenterLabel.text
    assert ui.cardLabel.text.startswith("# A segmenter of the heart's seven regions")
    ui.segmentButton.click()
    assert ui.segmentButton.text == "Cancel"
    assert ui.segmentProgressBar.isVisible()
    assert not ui.segmenterBox.enabled
    finish(panel, wait_for)
    assert ui.segmentButton.text == "Segment"
    assert not ui.segmentProgressBar.isVisible()
    (node,) = segmentations()
    segmentation = node.GetSegmentation()
    assert tuple(segmentation.GetSegmentIDs()) == ("lv", "myo", "rv", "la", "ra", "ao", "pa")
    assert "87878005" in segmentation.GetSegment("lv").GetTerminology()
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    assert segmentation.GetConversionParameter(geometry)
    # Voxel for voxel what the command line finds.
    expected = segment(Volume(array_of(scan).copy(), grid_of(scan)), Segmenter.load(segmenter_file))
    found = label_source_of(node).read()
    start = np.rint(GRID.to_index(found.grid.affine[:3, 3])).astype(int)
    part = tuple(slice(low, low + size) for low, size in zip(start, found.labels.shape, strict=True))
    assert np.array_equal(expected.labels.array[part], found.labels)
    assert np.count_nonzero(expected.labels.array) == np.count_nonzero(found.labels)
    # The surface lies where the voxels are.
    wait_for(lambda: segmentation.GetSegment("pa").GetRepresentation("Closed surface") is not None)
    surface = segmentation.GetSegment("pa").GetRepresentation("Closed surface")
    index = np.argwhere(found.labels == 7)
    low, high = found.grid.to_world(index.min(axis=0)), found.grid.to_world(index.max(axis=0))
    bounds = np.array(surface.GetBounds()).reshape(3, 2)
    assert bounds[:, 0] == pytest.approx(low, abs=3.5)
    assert bounds[:, 1] == pytest.approx(high, abs=3.5)
    total = sum(expected.volumes_ml.values())
    assert f"a heart of {total:.0f} ml" in ui.resultLabel.text
    assert states(panel) == {"Patient 3": "done"}
    assert ui.scanTable.item(0, 2).text() == f"{total:.0f} ml"


def test_several_scans_are_segmented_one_after_the_other_and_one_that_fails_stops_none(panel, wait_for, tmp_path):
    scans = [
        put_scan("First")[0],
        put_array(np.zeros((40, 40, 1), np.int16), "Slice"),
        put_scan("Third", (6.0, 0.0, 3.0))[0],
    ]
    panel.ui.saveBox.checked = True
    panel.ui.saveFolderEdit.currentPath = str(tmp_path / "results")
    panel.refresh()
    panel.table.tick([scan.GetID() for scan in scans])
    assert panel.ui.segmentButton.text == "Segment 3 scans"
    panel.ui.segmentButton.click()
    assert states(panel)["Third"] == "waiting"
    finish(panel, wait_for)
    assert states(panel) == {"First": "done", "Slice": "failed", "Third": "done"}
    assert len(segmentations()) == 2
    panel.table.choose(scans[1].GetID())
    assert "1 voxels" in panel.ui.resultLabel.text or "thin" in panel.ui.resultLabel.text
    assert not panel.ui.resultControls.isVisible()
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {f"{stem}_{what}" for stem in ("First", "Third") for what in ("label.nii.gz", "segmentation.json")}
    told = json.loads((tmp_path / "results" / "Third_segmentation.json").read_text())
    assert told["found"] is True
    assert told["files"] == {"labels": "Third_label.nii.gz"}
    assert told["not_for_clinical_use"] is True
    from FedSimCore.volumes.io import read_volume

    saved = read_volume(tmp_path / "results" / "First_label.nii.gz")
    assert saved.grid.same_as(GRID, tolerance_mm=1e-3)
    lv_ml = np.count_nonzero(saved.array == 1) * GRID.voxel_volume_mm3 / 1000
    assert lv_ml == pytest.approx(panel.segmenting.jobs[0].result.regions[0].volume_ml, abs=0.01)


def test_what_cannot_be_saved_is_in_the_scene_all_the_same(panel, wait_for, tmp_path):
    (tmp_path / "file").write_text("no folder")
    scan, _labels = put_scan()
    panel.ui.saveBox.checked = True
    panel.ui.saveFolderEdit.currentPath = str(tmp_path / "file")
    press(panel, wait_for, scan)
    assert states(panel) == {"Patient 3": "not saved"}
    assert "cannot be written" in panel.ui.resultLabel.text
    assert len(segmentations()) == 1


def test_cancelled_it_leaves_the_scene_as_it_was(panel, session, wait_for):
    scans = [put_array(np.tile(np.arange(-1000, -840, dtype=np.int16), (160, 160, 1)), f"Large {n}") for n in (1, 2)]
    before = shown_nodes()
    begin(panel, wait_for, *scans)
    wait_for(lambda: panel.ui.segmentProgressBar.value > 20)
    assert "(1 of 2)" in panel.ui.segmentStageLabel.text
    panel.ui.segmentButton.click()
    assert not panel.segmenting.running
    assert set(states(panel).values()) == {"cancelled"}
    assert panel.ui.segmentButton.text == "Segment 2 scans"
    wait_for(lambda: not session.worker.busy("segmentation"))
    assert shown_nodes() == before


def flat(_name):
    return put_array(np.zeros((40, 40, 1), np.int16))


def colour(name):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6, 3), dtype=np.uint8))
    return node


def with_nan(_name):
    array = np.random.default_rng(0).normal(0, 100, (20, 20, 20)).astype(np.float32)
    array[3, 4, 5] = np.nan
    return put_array(array)


def constant(_name):
    return put_array(np.full((20, 20, 20), -1000, np.int16))


def narrow(_name):
    return put_array(np.random.default_rng(0).integers(-1000, 500, (4, 60, 60)).astype(np.int16))


def voxelless(name):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (flat, "40 x 40 x 1 voxels"),
        (colour, "several values a voxel"),
        (with_nan, "NaN"),
        (constant, "Every voxel of the scan is -1000"),
        (narrow, "4 x 60 x 60 voxels, 12 mm thin"),
        (voxelless, "has no voxels"),
    ],
)
def test_what_is_no_scan_is_told_in_one_sentence_and_leaves_no_trace(panel, wait_for, make, said):
    scan = make("Strange scan")
    before = shown_nodes()
    press(panel, wait_for, scan)
    assert states(panel) == {"Strange scan": "failed"}
    text = panel.ui.resultLabel.text
    assert said in text
    assert "Strange scan" in text
    assert "\n" not in text
    assert shown_nodes() == before


def test_a_scan_without_a_heart_is_told_so_and_gets_no_segmentation(panel, wait_for):
    empty = np.random.default_rng(0).normal(-1200, 10, (30, 30, 30)).astype(np.int16)
    press(panel, wait_for, put_array(empty, "Air"))
    assert states(panel) == {"Air": "no heart"}
    assert "no heart was found" in panel.ui.resultLabel.text
    assert segmentations() == []


def test_a_segmenter_of_the_whole_heart_gives_one_segment(panel, wait_for, heart_segmenter_file):
    use_segmenter(panel, heart_segmenter_file, wait_for)
    scan, labels = put_scan()
    press(panel, wait_for, scan)
    (node,) = segmentations()
    segment = node.GetSegmentation().GetSegment("heart")
    assert tuple(node.GetSegmentation().GetSegmentIDs()) == ("heart",)
    assert "80891009" in segment.GetTerminology()
    assert segment.GetName() == "Heart"
    found_ml = panel.result.shown.result.regions[0].volume_ml
    assert found_ml == pytest.approx(np.count_nonzero(labels) * GRID.voxel_volume_mm3 / 1000, rel=0.5)
    assert panel.ui.volumeTable.rowCount == 1
    assert not panel.ui.fitResultButton.enabled
    assert "does not tell the regions apart" in panel.ui.fitResultButton.toolTip


def test_a_worker_that_dies_over_a_scan_costs_that_scan_only(panel, session, wait_for):
    large = put_array(np.tile(np.arange(-1000, -840, dtype=np.int16), (160, 160, 1)), "Large")
    scan, _labels = put_scan()
    begin(panel, wait_for, large, scan)
    wait_for(lambda: panel.ui.segmentProgressBar.value > 20)
    os.kill(session.worker.client.pid, signal.SIGKILL)
    finish(panel, wait_for)
    assert states(panel) == {"Large": "failed", "Patient 3": "done"}
    panel.table.choose(large.GetID())
    assert "segment it again" in panel.ui.resultLabel.text


def test_a_scene_that_is_closed_ends_it_with_a_sentence(application, panel, session, messages, wait_for):
    begin(panel, wait_for, put_scan()[0])
    application.slicer.mrmlScene.Clear(False)
    assert not panel.segmenting.running
    assert "The scene was closed or read during segmenting" in messages[-1]
    wait_for(lambda: not session.worker.busy("segmentation"))
    application.process_events()
    assert segmentations() == []
    assert panel.widget.isEnabled()
    assert panel.ui.scanTable.rowCount == 0


def test_results_and_choices_come_back_with_the_scene(application, panel, session, wait_for, tmp_path, segmenter_file):
    scan, _labels = put_scan()
    panel.ui.uncertaintyBox.click()
    press(panel, wait_for, scan)
    text = panel.ui.resultLabel.text
    path = tmp_path / "scene.mrb"
    assert application.slicer.util.saveScene(str(path))
    application.slicer.mrmlScene.Clear(False)
    wait_for(lambda: states(panel) == {})
    assert session.state.segmenter == ""
    application.slicer.util.loadScene(str(path))
    wait_for(lambda: states(panel) == {"Patient 3": "done"})
    assert session.state.segmenter == str(segmenter_file)
    assert panel.ui.uncertaintyBox.checked
    panel.table.choose(application.slicer.util.getNode("Patient 3").GetID())
    assert panel.ui.resultLabel.text == text
    assert panel.result.shown.uncertainty.GetName() == "Patient 3 uncertainty"


def test_the_segmenter_is_opened_when_the_panel_comes_into_sight(shared_module, panel, wait_for):
    shared_module.panel.show_tab("ExplorePanel")
    panel.ui.segmenterBox.currentIndex = 0
    panel.segmenter._asked = None
    panel.ui.segmenterLabel.text = ""
    shared_module.panel.show_tab("SegmentPanel")
    wait_for(lambda: panel.ui.segmenterLabel.text not in ("", "The segmenter is being read..."))
    shipped = (ROOT / "Resources" / "models" / "segmenter.safetensors").is_file()
    assert (panel.segmenter.model is not None) == shipped


def test_a_segmenter_that_cannot_be_used_is_told_and_nothing_can_be_started(panel, wait_for, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no weights")
    put_scan()
    panel.ui.segmenterEdit.currentPath = str(path)
    wait_for(lambda: "broken.safetensors" in panel.ui.segmenterLabel.text)
    assert panel.segmenter.model is None
    assert not panel.ui.segmentButton.enabled
    assert "segmenter" in panel.ui.segmentButton.toolTip
