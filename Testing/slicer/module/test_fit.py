"""Fitting the heart to a patient, from the Explore panel."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403

LIMIT_S = 240


@pytest.fixture(scope="module")
def patient():
    """A patient's heart with a known shape and place, and its label map on a grid with voxels of its own."""
    import torch

    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.parameters import HeartParameters, Pose
    from FedSimCore.shape.voxelizer import label_map
    from FedSimCore.volumes import Grid

    weights = tuple(np.random.default_rng(3).uniform(-1.2, 1.2, 14).tolist())
    pose = Pose(rotation_rad=(0.1, 0.2, -0.1), translation_mm=(12.0, -8.0, 20.0), scale=1.08)
    heart = HeartParameters(weights=weights, pose=pose)
    model = builtin_model()
    center = model.mesh(heart).vertices.mean(axis=0).round()
    grid = Grid.centered(96, 1.6, center)
    labels = label_map(torch.tensor(model.mesh(heart).vertices), model.topology, grid)[0].numpy()
    return heart, labels, grid


@pytest.fixture
def fit(explore):
    """The section, with its usual choices."""
    section = explore.fit
    section.ui.fitModesBox.currentIndex = section.ui.fitLimitBox.currentIndex = 0
    section.ui.distanceBox.checked = True
    return section


def put_patient(patient, without=(), name="Patient 17"):
    from FedSimSlicerLib.scene_segmentations import put_segmentation

    _heart, labels, grid = patient
    labels = labels.copy()
    labels[np.isin(labels, without)] = 0
    return put_segmentation(labels, grid, name)


def run(fit, node, wait_for, pose_only=False):
    if pose_only:  # quicker, where the result does not matter
        fit.ui.fitModesBox.currentIndex = fit.ui.fitModesBox.count - 1
    fit.ui.patientBox.setCurrentNode(node)
    fit.ui.fitButton.click()
    assert fit.ui.fitButton.text == "Cancel"
    wait_for(lambda: not fit.fit.running, LIMIT_S)


def table(fit):
    rows = range(fit.ui.fitTable.rowCount)
    return {fit.ui.fitTable.item(r, 0).text(): tuple(fit.ui.fitTable.item(r, c).text() for c in (1, 2)) for r in rows}


def message(shared_module):
    label = shared_module.panel.ui.messageLabel
    return label.text if not label.isHidden() else ""


def scalars_shown(session):
    return {part.region.key: bool(n.GetDisplayNode().GetScalarVisibility()) for part, n in session.display.nodes()}


def legends():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")


def test_the_sliders_go_to_the_patients_heart_in_one_step(session, explore, fit, patient, wait_for):
    import SimpleITK
    import torch

    from FedSimCore import anatomy
    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.voxelizer import label_map

    heart, labels, grid = patient
    explore.ui.randomButton.click()
    before = session.editor.heart
    run(fit, put_patient(patient), wait_for)
    found = session.editor.heart
    assert np.array(found.weights) == pytest.approx(heart.weights, abs=0.2)
    assert found.pose.translation_mm == pytest.approx(heart.pose.translation_mm, abs=0.5)
    assert explore.modes.sliders[3].slider.value == pytest.approx(found.weights[3], abs=0.0051)
    model = builtin_model()
    fitted = label_map(torch.tensor(model.mesh(found).vertices), model.topology, grid)[0].numpy()
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(SimpleITK.GetImageFromArray(labels), SimpleITK.GetImageFromArray(fitted))
    for region in anatomy.regions():
        dice, distance = table(fit)[region.name]
        assert float(dice) == pytest.approx(overlap.GetDiceCoefficient(region.label), abs=0.01)
        assert float(distance.split()[0]) < 0.5
    explore.ui.undoButton.click()
    assert session.editor.heart == before


def test_the_pose_alone_is_found_for_the_shape_there_is(session, explore, fit, patient, wait_for):
    heart, _labels, _grid = patient
    session.editor.set(session.surface.mean_heart().model_copy(update={"weights": heart.weights}))
    fit.ui.fitModesBox.currentIndex = fit.ui.fitModesBox.count - 1
    assert not fit.ui.fitLimitBox.enabled
    run(fit, put_patient(patient), wait_for)
    assert session.editor.heart.weights == pytest.approx(heart.weights)
    assert session.editor.heart.pose.translation_mm == pytest.approx(heart.pose.translation_mm, abs=0.5)
    assert session.editor.heart.pose.scale == pytest.approx(heart.pose.scale, abs=0.01)


def test_distances_colour_the_surface_until_the_heart_is_moved(application, session, explore, fit, patient, wait_for):
    run(fit, put_patient(patient), wait_for, pose_only=True)
    wait_for(lambda: all(scalars_shown(session).values()))
    (legend,) = legends()
    display = next(node for _part, node in session.display.nodes()).GetDisplayNode()
    low, high = display.GetScalarRange()
    assert -low == high >= 2.0
    assert display.GetScalarRangeFlag() == application.slicer.vtkMRMLDisplayNode.UseManualScalarRange
    assert legend.GetTitleText() == "Distance (mm)"
    explore.modes.sliders[0].slider.value = 0.5
    assert not any(scalars_shown(session).values())
    assert not legends()
    assert "moved since" in fit.ui.fitSummaryLabel.text
    explore.ui.undoButton.click()
    wait_for(lambda: all(scalars_shown(session).values()))
    fit.ui.distanceBox.click()
    assert not any(scalars_shown(session).values())
    assert "moved since" not in fit.ui.fitSummaryLabel.text


def test_the_coloured_distance_is_that_to_the_patients_surface(application, session, fit, patient, wait_for):
    """Against the label map's own distance transform, by SciPy, far enough from edges between regions."""
    from scipy import ndimage

    _heart, labels, grid = patient
    fit.ui.fitModesBox.currentIndex = fit.ui.fitModesBox.count - 1  # the mean shape: it differs by millimetres
    run(fit, put_patient(patient), wait_for)
    wait_for(lambda: all(scalars_shown(session).values()))
    part, node = next((p, n) for p, n in session.display.nodes() if p.region.key == "ra")
    colored = application.slicer.util.arrayFromModelPointData(node, "Distance to patient (mm)")
    points = application.slicer.util.arrayFromModelPoints(node)
    inside = labels == part.region.label
    voxel = grid.affine[0, 0]
    signed = voxel * (ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside))
    expected = ndimage.map_coordinates(signed, grid.to_index(points).T, order=1)
    assert np.abs(colored).max() > 2.0
    assert np.median(np.abs(colored - expected)) < 0.5 * voxel
    assert np.corrcoef(colored, expected)[0, 1] > 0.95


def test_a_region_that_the_patient_lacks_is_named_and_left_plain(session, fit, patient, wait_for):
    run(fit, put_patient(patient, without=(7,)), wait_for, pose_only=True)
    assert "Pulmonary artery" in fit.ui.fitSummaryLabel.text
    assert table(fit)["Pulmonary artery"] == ("–", "–")
    wait_for(lambda: scalars_shown(session)["lv"])
    assert not scalars_shown(session)["pa"]


def test_a_label_map_volume_fits_as_a_segmentation_does(session, fit, patient, wait_for):
    from FedSimSlicerLib.scene_volumes import put_label_map

    heart, labels, grid = patient
    run(fit, put_label_map(labels, grid, "Labels"), wait_for)
    assert np.array(session.editor.heart.weights) == pytest.approx(heart.weights, abs=0.2)


def test_a_cancelled_fit_leaves_the_heart_as_it_was(application, session, explore, fit, patient, wait_for):
    explore.ui.randomButton.click()
    before = session.editor.heart
    fit.ui.patientBox.setCurrentNode(put_patient(patient))
    fit.ui.fitButton.click()
    wait_for(lambda: fit.ui.fitProgressBar.value > 100)
    assert not fit.ui.patientBox.enabled
    assert fit.ui.fitStageLabel.text
    fit.ui.fitButton.click()
    assert_ready(fit)
    wait_for(lambda: not session.worker.busy("fit"))
    application.process_events()
    assert session.editor.heart == before
    assert fit.ui.fitResult.isHidden()


def assert_ready(fit):
    assert not fit.fit.running
    assert fit.ui.fitButton.text == "Fit the heart to the patient"
    assert fit.ui.fitButton.enabled
    assert fit.ui.patientBox.enabled
    assert fit.ui.fitProgressBar.isHidden()


def nothing(_patient):
    return None


def no_heart(patient):
    node = put_patient(patient)
    for number, name in enumerate(node.GetSegmentation().GetSegmentIDs()):
        segment = node.GetSegmentation().GetSegment(name)
        segment.SetName(["Liver", "Spleen", "Left kidney", "Right kidney", "Aortic arch", "Stomach", "Colon"][number])
        segment.SetTerminology("")
    return node


def no_segments(_patient):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing in it")


def no_voxels(patient):
    return put_patient(patient, without=range(1, 8))


def colour_picture(_patient):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photograph")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6, 3), dtype=np.uint8))
    return node


def time_series(_patient):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Beating heart, 4D")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6, 10), dtype=np.int16))
    return node


def computed_tomogram(_patient):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Chest CT")
    values = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20))
    slicer.util.updateVolumeFromArray(node, values.astype(np.int16))
    return node


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (nothing, ("No segmentation is chosen", "load one")),
        (no_heart, ("Patient 17", "Liver", "Left ventricle blood pool")),
        (no_segments, ("Nothing in it", "no segments")),
        (no_voxels, ("Patient 17", "segment")),
        (colour_picture, ("Photograph", "colour")),
        (time_series, ("Beating heart, 4D", "time points")),
        (computed_tomogram, ("Chest CT", "label values")),
    ],
)
def test_what_cannot_be_fitted_is_told_with_the_way_out(
    session, explore, fit, patient, wait_for, shared_module, make, said
):
    explore.ui.randomButton.click()
    before = session.editor.heart
    fit.ui.patientBox.setCurrentNode(make(patient))
    fit.ui.fitButton.click()
    wait_for(lambda: message(shared_module))
    for words in said:
        assert words in message(shared_module)
    assert_ready(fit)
    assert session.editor.heart == before


def test_a_scene_that_is_closed_ends_its_fit(application, session, fit, patient, wait_for, shared_module):
    fit.ui.patientBox.setCurrentNode(put_patient(patient))
    fit.ui.fitButton.click()
    wait_for(lambda: fit.ui.fitProgressBar.value > 50)
    application.slicer.mrmlScene.Clear(False)
    assert_ready(fit)
    wait_for(lambda: not session.worker.busy("fit"))
    application.process_events()
    assert session.editor.heart == session.surface.mean_heart()
    assert not session.display.shown
    assert fit.ui.patientBox.currentNode() is None


def test_a_worker_that_is_lost_in_mid_fit_is_told_and_the_next_fit_works(
    session, explore, fit, patient, wait_for, shared_module
):
    import os
    import signal

    explore.ui.randomButton.click()
    before = session.editor.heart
    node = put_patient(patient)
    fit.ui.patientBox.setCurrentNode(node)
    fit.ui.fitButton.click()
    wait_for(lambda: fit.ui.fitProgressBar.value > 50)
    os.kill(session.worker.client.pid, signal.SIGKILL)
    wait_for(lambda: not fit.fit.running)
    assert message(shared_module)
    assert_ready(fit)
    assert session.editor.heart == before
    run(fit, node, wait_for, pose_only=True)
    assert not fit.ui.fitResult.isHidden()
    assert message(shared_module) == ""


def test_the_patient_is_kept_with_the_scene(application, session, fit, patient, tmp_path):
    fit.ui.patientBox.setCurrentNode(put_patient(patient))
    assert session.state.patient.GetName() == "Patient 17"
    path = tmp_path / "scene.mrb"
    assert application.slicer.util.saveScene(str(path))
    application.slicer.mrmlScene.Clear(False)
    assert session.state.patient is None
    application.slicer.util.loadScene(str(path))
    application.process_events()
    assert fit.ui.patientBox.currentNode().GetName() == "Patient 17"


def test_colours_that_were_saved_with_a_scene_do_not_outlive_it(application, session, fit, patient, wait_for, tmp_path):
    run(fit, put_patient(patient), wait_for, pose_only=True)
    wait_for(lambda: all(scalars_shown(session).values()))
    path = tmp_path / "scene.mrb"
    assert application.slicer.util.saveScene(str(path))
    application.slicer.mrmlScene.Clear(False)
    application.slicer.util.loadScene(str(path))
    application.process_events()
    assert session.display.shown
    assert not any(scalars_shown(session).values())
    assert not legends()
    assert fit.ui.fitResult.isHidden()


def test_fine_label_maps_are_thinned_without_moving(session):
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.patient_fit import thinned
    from FedSimSlicerLib.patient_labels import FoundLabels

    affine = np.array([[0.0, -0.4, 0.0, 5.0], [0.62, 0.0, 0.0, -7.0], [0.0, 0.0, 1.0, 9.0], [0, 0, 0, 1]])
    labels = np.random.default_rng(0).integers(0, 8, (11, 10, 9)).astype(np.uint8)
    found = thinned(FoundLabels(labels, Grid(labels.shape, affine), {}))
    assert found.labels.shape == (6, 4, 9)
    for index in ((0, 0, 0), (3, 2, 5), (5, 3, 8)):
        (at,) = np.rint(Grid(labels.shape, affine).to_index(found.grid.to_world(np.array([index])))).astype(int)
        assert found.labels[index] == labels[tuple(at)]
        assert Grid(labels.shape, affine).to_world(at[None]) == pytest.approx(found.grid.to_world(np.array([index])))
