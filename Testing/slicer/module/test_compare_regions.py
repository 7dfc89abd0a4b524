"""HU of the heart's regions in a real scan and in a simulation, against NumPy on the same arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403
from Testing.slicer.module.two_scans import LABELS, put_real, put_simulated, smooth_scan


@pytest.fixture
def panel(shared_module, session):
    """The panel "Compare"."""
    shared_module.panel.show_tab("ComparePanel")
    return next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "ComparePanel")


@pytest.fixture
def messages(session):
    told = []
    session.message.connect(told.append)
    return told


def grid_about(center, shape, spacing, turn_degrees=0.0, flip=False):
    """A grid with its middle at a point, turned about an oblique axis."""
    from scipy.spatial.transform import Rotation

    from FedSimCore.volumes import Grid

    axes = Rotation.from_rotvec(np.radians(turn_degrees) * np.array([2, -1, 2]) / 3).as_matrix() * spacing
    if flip:
        axes = axes * (-1, -1, 1)  # L, P, S: as DICOM has it
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = np.asarray(center) - axes @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def values_under(volume, labels_volume):
    """The volume's values at its own voxels, by the label of the nearest voxel of the label map."""
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    labels, labels_grid = array_of(labels_volume), grid_of(labels_volume)
    array, grid = array_of(volume), grid_of(volume)
    index = np.stack(np.meshgrid(*map(np.arange, array.shape), indexing="ij"), axis=-1)
    nearest = np.floor(labels_grid.to_index(grid.to_world(index)) + 0.5).astype(int)
    within = ((nearest >= 0) & (nearest < labels.shape)).all(axis=-1)
    found = np.zeros(array.shape, dtype=int)
    found[within] = labels[tuple(nearest[within].T)]
    return {label: array[found == label].astype(float) for label in range(1, 8)}


GRIDS = {
    "along the axes": {"shape": (90, 80, 60), "spacing": (1.9, 1.9, 2.7)},
    "flipped": {"shape": (90, 80, 60), "spacing": (1.9, 1.9, 2.7), "flip": True},
    "oblique, flipped and anisotropic": {
        "shape": (150, 140, 40), "spacing": (1.1, 1.2, 4.0), "turn_degrees": 25.0, "flip": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", GRIDS)
def test_mean_spread_and_histogram_are_those_of_the_voxels_under_the_labels(panel, session, wait_for, kind):
    import slicer

    from FedSimSlicerLib.region_comparison import EDGES_HU

    simulated = put_simulated(session)
    grid = grid_about((3.13, -4.37, 5.71), **GRIDS[kind])  # no voxel midway between two labels
    real = put_real(grid, smooth_scan(grid))
    session.state.real_scan = real
    panel.ui.measureButton.click()
    assert not panel.ui.measureButton.enabled
    wait_for(lambda: panel.histograms.pairs)
    assert panel.ui.measureButton.enabled
    for volume, of in ((real, lambda pair: pair.real), (simulated, lambda pair: pair.simulated)):
        truth = values_under(volume, slicer.util.getNode(LABELS))
        for pair in panel.histograms.pairs:
            row, values = of(pair), truth[pair.real.label]
            assert row.voxels == len(values)
            assert row.mean_hu == pytest.approx(values.mean())
            assert row.sd_hu == pytest.approx(values.std())
            assert row.counts == tuple(np.histogram(values, EDGES_HU)[0])
    # What the panel and the chart show is what was measured.
    pair = panel.histograms.pairs[0]
    table = panel.ui.regionTable
    assert table.rowCount == 7
    assert table.item(0, 1).text() == f"{pair.real.mean_hu:.0f} ± {pair.real.sd_hu:.0f}"
    assert table.item(0, 3).text() == f"{pair.simulated.mean_hu - pair.real.mean_hu:+.0f}"
    chart = panel.histograms.plot.chart
    series = chart.GetNthPlotSeriesNode(0)
    column = slicer.util.arrayFromTableColumn(series.GetTableNode(), series.GetYColumnName())
    assert column.sum() == pytest.approx(100 * sum(pair.real.counts) / pair.real.voxels)


@pytest.mark.real_data
def test_a_real_chest_ct_is_measured_where_the_heart_was_placed(panel, session, wait_for):
    import slicer

    scan = Path(__file__).resolve().parents[4] / "shared/data/ct_cptac/chest_heart_crop_native.nii.gz"
    if not scan.exists():
        pytest.skip("needs shared/data/ct_cptac beside the project")
    real = slicer.util.loadVolume(str(scan))
    session.state.real_scan = real
    panel.ui.placeButton.click()
    put_simulated(session)
    panel.ui.measureButton.click()
    wait_for(lambda: panel.histograms.pairs)
    truth = values_under(real, slicer.util.getNode(LABELS))
    for pair in panel.histograms.pairs:
        values = truth[pair.real.label]
        assert pair.real.voxels == pytest.approx(len(values), rel=0.01)
        assert pair.real.mean_hu == pytest.approx(values.mean(), abs=2.0)
    # Without contrast blood and muscle are soft tissue, and lung is in reach of a heart that is only put there.
    by_region = {pair.real.region: pair.real for pair in panel.histograms.pairs}
    assert 0 < by_region["lv"].median_hu < 150


def test_the_chart_follows_the_chosen_region(panel, session, wait_for):
    put_simulated(session)
    grid = grid_about((0.0, 0.0, 0.0), (60, 60, 60), (3.0, 3.0, 3.0))
    session.state.real_scan = put_real(grid, smooth_scan(grid))
    panel.ui.measureButton.click()
    wait_for(lambda: panel.histograms.pairs)
    chart = panel.histograms.plot.chart
    for row, key in ((2, "rv"), (5, "ao")):
        panel.ui.regionBox.currentIndex = row
        assert panel.histograms.chosen.real.region == key
        assert [chart.GetNthPlotSeriesNode(n).GetYColumnName() for n in range(2)] == [
            f"{key} real %", f"{key} simulated %",
        ]  # fmt: skip
        assert panel.ui.regionTable.currentRow() == row
    panel.ui.regionTable.cellClicked.emit(0, 0)
    assert panel.ui.regionBox.currentData == "lv"
    # With other scans the numbers are no longer true, and gone.
    session.state.real_scan = None
    assert panel.histograms.pairs == ()
    assert not panel.ui.regionTable.isVisible()


def test_a_real_scan_alone_is_measured_under_the_heart_that_is_shown(panel, session, wait_for):
    wait_for(lambda: session.state.live_labels is not None)
    grid = grid_about((0.0, 0.0, 0.0), (60, 60, 60), (3.0, 3.0, 3.0))
    session.state.real_scan = put_real(grid, smooth_scan(grid))
    panel.ui.measureButton.click()
    wait_for(lambda: panel.histograms.pairs)
    assert all(pair.simulated is None for pair in panel.histograms.pairs)
    assert panel.ui.regionTable.item(0, 2).text() == "–"


def test_scans_that_cannot_be_measured_are_told_with_the_way_out(panel, session, wait_for, messages):
    import slicer

    put_simulated(session)
    panel.ui.measureButton.click()
    assert messages[-1] == "No volume is chosen; load one and choose it."
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    session.state.real_scan = empty
    assert "Empty has no voxels" in panel.ui.hintLabel.text
    panel.ui.measureButton.click()
    assert "Empty has no voxels" in messages[-1]
    color = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    slicer.util.updateVolumeFromArray(color, np.zeros((5, 6, 7, 3), dtype=np.uint8))
    session.state.real_scan = color
    assert "Photo has several values a voxel" in panel.ui.hintLabel.text
    far = grid_about((900.0, 0.0, 0.0), (20, 20, 20), (3.0, 3.0, 3.0))
    session.state.real_scan = put_real(far, smooth_scan(far), "Elsewhere")
    assert "outside this scan" in panel.ui.hintLabel.text
    panel.ui.measureButton.click()
    wait_for(lambda: "does not lie in Elsewhere" in messages[-1])
    assert panel.ui.measureButton.enabled
    assert panel.histograms.pairs == ()


def test_a_scene_closed_meanwhile_ends_the_measurement(panel, session, wait_for):
    import slicer

    put_simulated(session)
    grid = grid_about((0.0, 0.0, 0.0), (60, 60, 60), (3.0, 3.0, 3.0))
    session.state.real_scan = put_real(grid, smooth_scan(grid))
    panel.ui.measureButton.click()
    slicer.mrmlScene.Clear(False)
    assert not panel.regions.busy
    wait_for(lambda: not session.worker.busy("histogram of the real scan"))
    assert panel.histograms.pairs == ()
