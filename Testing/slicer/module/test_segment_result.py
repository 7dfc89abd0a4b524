"""What is made of a segmentation: figures beside norms, a reference, its uncertainty, and the heart fitted to it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.segment_scene import *  # noqa: F403
from Testing.slicer.module.segment_scene import GRID, press, put_scan, segmentations
from Testing.slicer.module.shared_module import *  # noqa: F403

MEASURE = "segmentation's measurements"


@pytest.fixture
def segmented(panel, wait_for):
    """A segmented scan, its surfaces and figures there; and the scan's true labels."""
    scan, labels = put_scan()
    panel.ui.uncertaintyBox.checked = True
    press(panel, wait_for, scan)
    wait_for(
        lambda: panel.result.shown is not None and not panel.result.measures.waits_for("segmentation's measurements")
    )
    yield panel.result.shown, labels
    panel.ui.uncertaintyBox.checked = panel.ui.overlayBox.checked = False


def models():
    import slicer

    return [
        n for n in slicer.util.getNodesByClass("vtkMRMLModelNode") if n.GetAttribute("FedSim.SegmentationDistances")
    ]


def legend_titles():
    import slicer

    return [node.GetTitleText() for node in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")]


def column(table, number):
    return {table.item(row, 0).text(): table.item(row, number).text() for row in range(table.rowCount)}


def test_volumes_stand_beside_norms_and_follow_the_sex_that_the_scene_wants(panel, session, segmented, wait_for):
    found, _labels = segmented
    values = column(panel.ui.volumeTable, 1)
    for region in found.result.regions:
        assert float(values[f"{region.name} (ml)"]) == pytest.approx(region.volume_ml, abs=0.51)
    norm = column(panel.ui.volumeTable, 2)["Left ventricle blood pool (ml)"]
    assert norm
    session.state.sex = "female"
    wait_for(lambda: column(panel.ui.volumeTable, 2)["Left ventricle blood pool (ml)"] != norm)


def test_a_reference_gives_dice_distances_and_a_coloured_surface(panel, segmented, wait_for):
    import SimpleITK
    from vtk.util.numpy_support import vtk_to_numpy

    from FedSimCore import anatomy
    from FedSimCore.volumes import Volume
    from FedSimCore.volumes.resample import resample_labels
    from FedSimSlicerLib.scene_segmentations import label_source_of
    from FedSimSlicerLib.scene_volumes import put_label_map

    found, labels = segmented
    reference = put_label_map(labels, GRID, "Truth")
    panel.ui.referenceBox.setCurrentNode(reference)
    wait_for(lambda: panel.ui.scoreTable.isVisible())
    read = label_source_of(found.node).read()
    mine = resample_labels(Volume(read.labels, read.grid), GRID).array
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(SimpleITK.GetImageFromArray(labels), SimpleITK.GetImageFromArray(mine))
    dice = column(panel.ui.scoreTable, 1)
    for region in anatomy.regions():
        assert float(dice[region.name]) == pytest.approx(overlap.GetDiceCoefficient(region.label), abs=0.002)
    assert "MONAI" in panel.ui.scoreTable.horizontalHeaderItem(2).toolTip()
    (model,) = models()
    distance = vtk_to_numpy(model.GetPolyData().GetPointData().GetArray("Distance to reference (mm)"))
    assert np.isfinite(distance).all()
    assert legend_titles() == ["Distance (mm)"]
    assert not found.node.GetDisplayNode().GetVisibility3D()
    panel.ui.segmentDistanceBox.checked = False
    assert models() == []
    assert legend_titles() == []
    assert found.node.GetDisplayNode().GetVisibility3D()
    panel.ui.segmentDistanceBox.checked = True
    assert len(models()) == 1
    panel.ui.referenceBox.setCurrentNode(None)
    assert not panel.ui.scoreTable.isVisible()
    assert models() == []


def test_a_segmentation_that_is_edited_is_measured_again(panel, segmented, wait_for):
    from FedSimSlicerLib.scene_volumes import array_of_image

    found, _labels = segmented
    row = "Right atrium (ml)"
    assert row in column(panel.ui.volumeTable, 1)
    segmentation = found.node.GetSegmentation()
    layer = segmentation.GetSegment("ra").GetRepresentation("Binary labelmap")
    voxels = array_of_image(layer)
    voxels[voxels == 5] = 0
    layer.GetPointData().GetScalars().Modified()
    layer.Modified()
    wait_for(lambda: row not in column(panel.ui.volumeTable, 1))


def test_a_reference_without_a_heart_is_told(panel, segmented, messages, wait_for):
    from FedSimSlicerLib.scene_volumes import put_label_map

    panel.ui.referenceBox.setCurrentNode(put_label_map(np.zeros(GRID.shape, np.uint8), GRID, "Nothing"))
    wait_for(lambda: any("Nothing is empty" in told for told in messages))
    assert not panel.ui.scoreTable.isVisible()


def test_uncertainty_is_laid_over_the_scan_and_taken_away_again(panel, segmented):
    import slicer

    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    found, _labels = segmented
    volume = found.uncertainty
    assert grid_of(volume).same_as(GRID)
    percent = array_of(volume)
    assert 20 < percent.max() <= 100
    composite = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    before = composite.GetForegroundVolumeID()
    panel.ui.overlayBox.checked = True
    assert composite.GetForegroundVolumeID() == volume.GetID()
    assert composite.GetBackgroundVolumeID() == found.scan.GetID()
    assert legend_titles() == ["Uncertainty (%)"]
    assert panel.ui.scanTable.rowCount == 1, "an overlay is no scan"
    panel.ui.overlayBox.checked = False
    assert composite.GetForegroundVolumeID() == before
    assert legend_titles() == []


def test_the_heart_is_fitted_to_it_in_explore(shared_module, panel, session, explore, segmented, wait_for):
    found, _labels = segmented
    panel.ui.fitResultButton.click()
    assert shared_module.panel.ui.tabs.currentWidget() is explore.widget
    assert session.state.patient is found.node
    assert explore.fit.ui.patientBox.currentNode() is found.node
    assert explore.fit.fit.running
    wait_for(lambda: explore.fit.ui.fitProgressBar.value > 50)
    explore.fit.fit.cancel()


def test_without_a_segment_editor_that_is_told(panel, segmented, messages):
    panel.ui.editButton.click()
    assert "no Segment Editor" in messages[-1]


def test_a_second_result_of_a_scan_hides_the_first_and_is_shown(panel, segmented, wait_for):
    first, _labels = segmented
    press(panel, wait_for, first.scan)
    assert len(segmentations()) == 2
    assert not first.node.GetDisplayNode().GetVisibility()
    assert panel.result.shown.node is segmentations()[1]
    assert panel.ui.scanTable.rowCount == 1
