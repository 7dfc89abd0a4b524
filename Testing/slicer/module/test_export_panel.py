"""The Export panel with its real widgets, the module's session and the real worker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FedSimCore import anatomy
from FedSimCore.ct.recipe import read_recipe
from FedSimCore.shape.mesh_io import read_mesh
from FedSimCore.shape.parameters import read_parameters
from FedSimCore.volumes import Grid
from FedSimCore.volumes.io import read_label_map, read_volume
from FedSimCore.worker.protocol import GridSpec, Material, RenderTask, ScannerChoice
from FedSimCore.worker.recipes import recipe_of
from Testing.slicer.module.known_shapes import rotation

RESOURCES = Path(__file__).resolve().parents[3] / "FedSimSlicer" / "Resources"
SHAPE, SPACING_MM = (90, 80, 70), np.array([1.8, 2.0, 2.5])


class Panel:
    """The panel as a person handles it."""

    def __init__(self, session: Any, resource_path: Callable[[str], str], wait_for: Callable[..., None]) -> None:
        import qt

        from FedSimSlicerLib.background import Background
        from FedSimSlicerLib.export_panel import ExportPanel
        from FedSimSlicerLib.export_source import SessionSource
        from FedSimSlicerLib.exporter import Exporter

        source = SessionSource(session)
        self.exporter = Exporter(source, session.worker, Background(), lambda f: qt.QTimer.singleShot(0, f))
        self.panel = ExportPanel(source, self.exporter, resource_path)
        self.ui, self.widget = self.panel.ui, self.panel.widget
        self._wait_for = wait_for
        self.widget.resize(400, 640)
        self.widget.show()

    def tick(self, *names: str) -> None:
        for name in ("segmentation", "labelMap", "models", "ct", "parameters"):
            getattr(self.ui, f"{name}Box").checked = name in names

    def export(self) -> str:
        self.ui.exportButton.click()
        self._wait_for(lambda: not self.exporter.busy)
        return str(self.ui.resultLabel.text)


@pytest.fixture(scope="module")
def one_session(application: Any) -> Any:
    """What is behind the module's panels, without them: one worker serves all these tests."""
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    from FedSimSlicerLib.interpreter import worker_launch
    from FedSimSlicerLib.session import Session

    logic = ScriptedLoadableModuleLogic()
    logic.moduleName = "FedSimSlicer"
    session = Session(worker_launch("cpu"), logic.getParameterNode)
    yield session
    session.worker.close(wait_s=10)
    session.close()


@pytest.fixture
def session(one_session: Any, scene: Any) -> Any:
    """The session over an empty scene, with the mean heart."""
    one_session.use_scene()
    return one_session


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


def resource_path(name: str) -> str:
    return str(RESOURCES / name)


@pytest.fixture
def export(session: Any, wait_for: Any, tmp_path: Path) -> Any:
    panel = Panel(session, resource_path, wait_for)
    panel.ui.folderEdit.currentPath = str(tmp_path / "out")
    yield panel
    panel.panel.close()
    panel.widget.close()


def oblique_grid(session: Any) -> Grid:
    """A mirrored, oblique, anisotropic grid round the heart."""
    vertices = session.surface.vertices(session.editor.heart)
    affine = np.eye(4)
    affine[:3, :3] = rotation((1, 2, -0.5), 28) @ np.diag([1, -1, 1]) * SPACING_MM
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return Grid(SHAPE, affine)


def scan(slicer: Any, session: Any) -> Any:
    """A patient's scan in a study, chosen as the real scan."""
    from FedSimSlicerLib.scene_volumes import put_volume
    from FedSimSlicerLib.subject_hierarchy import put_into_folder

    grid = oblique_grid(session)
    node = put_volume(np.zeros(grid.shape, np.float32), grid, "CT of Jane")
    put_into_folder(node, "Study of Jane")
    session.state.real_scan = node
    return node


def test_what_is_ticked_is_written_and_the_folder_can_be_opened(export: Panel, tmp_path: Path) -> None:
    export.tick("segmentation", "models", "parameters")
    export.ui.objBox.checked = True
    export.ui.nameEdit.text = "Heart 7"
    said = export.export()
    assert said.startswith("4 files written to <a href=")
    assert (tmp_path / "out").as_uri() in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "Heart 7.json",
        "Heart 7.obj",
        "Heart 7.seg.nrrd",
        "Heart 7.vtp",
    ]


def test_models_and_parameters_are_the_hearts(export: Panel, session: Any, tmp_path: Path) -> None:
    session.editor.set(
        session.editor.heart.model_copy(update={"weights": (1.0, -0.5, *session.editor.heart.weights[2:])})
    )
    export.tick("models", "parameters")
    export.export()
    assert read_parameters(tmp_path / "out" / "heart.json", None, session.surface.checksum) == session.editor.heart
    vertices = read_mesh(tmp_path / "out" / "heart.vtp").vertices
    there = session.surface.vertices(session.editor.heart)
    np.testing.assert_allclose(np.sort(vertices, axis=0), np.sort(there, axis=0), atol=1e-4)
    told = json.loads((tmp_path / "out" / "heart.json").read_text())["provenance"]
    assert told["settings"]["scanner"]["key"] == "adult"
    assert told["date"].startswith("20")


def test_labels_lie_on_the_scans_own_voxels_and_where_the_heart_is(
    export: Panel, session: Any, slicer: Any, tmp_path: Path
) -> None:
    scan(slicer, session)
    export.panel.follow_scene()
    export.tick("labelMap")
    export.ui.gridBox.setCurrentIndex(export.ui.gridBox.findData("reference"))
    export.export()
    labels = read_label_map(tmp_path / "out" / "heart-labels.nrrd")
    assert labels.grid.same_as(oblique_grid(session), 1e-3)
    mesh = session.surface.vertices(session.editor.heart)
    for part in session.surface.parts:
        if part.region.key == "myo":
            continue  # its surface encloses the blood pool too
        surface = labels.grid.to_world(np.argwhere(labels.array == part.region.label)).mean(axis=0)
        points, faces = mesh[part.vertices], part.faces
        corners = points[faces]
        volumes = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
        middle = (corners.mean(axis=1) * 0.75 * volumes[:, None]).sum(axis=0) / volumes.sum()
        # Regions that overlap yield to one another, so their middles differ by a part of a voxel.
        assert np.linalg.norm(surface - middle) < labels.grid.spacing_mm.max() / 2


def test_a_scan_that_is_moved_by_a_transform_has_labels_where_it_is_seen(
    export: Panel, session: Any, slicer: Any, tmp_path: Path
) -> None:
    node, matrix = scan(slicer, session), np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((0, 1, 0), 20), (10, -5, 30)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    export.panel.follow_scene()
    export.tick("labelMap")
    export.ui.gridBox.setCurrentIndex(export.ui.gridBox.findData("reference"))
    export.export()
    found = read_label_map(tmp_path / "out" / "heart-labels.nrrd").grid
    assert found.same_as(Grid(SHAPE, matrix @ oblique_grid(session).affine), 1e-3)


def test_nodes_go_into_a_folder_beside_the_scan(export: Panel, session: Any, slicer: Any, wait_for: Any) -> None:
    node = scan(slicer, session)
    export.panel.follow_scene()
    assert "beside CT of Jane" in export.ui.sceneHintLabel.text
    export.tick("segmentation", "labelMap", "models", "parameters")
    export.ui.sceneButton.checked = True
    for number, folder in ((1, "heart"), (2, "heart 2")):
        assert export.export() == f"10 nodes added to the folder “{folder}” of the Data module; they are hidden."
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByName(folder)
        assert hierarchy.GetItemParent(item) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        children: list[int] = []
        hierarchy.GetItemChildren(item, children)
        assert len(children) == 10, number
    segmentation = slicer.util.getNode("heart segmentation")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 7
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is node
    assert not segmentation.GetDisplayNode().GetVisibility()
    assert json.loads(slicer.util.getNode("heart parameters").GetText())["provenance"]["reference"] == "CT of Jane"


def test_segmentation_and_label_map_in_the_scene_are_the_same_heart(export: Panel, slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    export.tick("segmentation", "labelMap")
    export.ui.sceneButton.checked = True
    export.export()
    one, other = (labels_of(slicer.util.getNode(name)) for name in ("heart segmentation", "heart labels"))
    assert one.missing == ()
    assert one.grid.same_as(other.grid)
    np.testing.assert_array_equal(one.labels, other.labels)


def simulated(session: Any) -> tuple[Any, RenderTask]:
    """What the Simulate panel leaves in the scene, with a worker's recipe beside the volume, and the task it was."""
    from FedSimSlicerLib.scene_segmentations import new_layer
    from FedSimSlicerLib.scene_volumes import new_image
    from FedSimSlicerLib.simulation_output import Scan, SimulationOutput

    task = RenderTask(
        parameters=session.editor.heart,
        scanners=(ScannerChoice(key="adult", changes={"views": 24}),),
        grid=GridSpec.centered(20, 8.0),
        materials={1: Material(base="blood_left", iodine_mg_ml=12.0)},
    )
    image = np.random.default_rng(0).normal(0, 50, task.grid.shape).round().astype(np.float32)
    recipe = recipe_of(task, 0, session.surface.checksum).content()
    grid = task.grid.grid()
    output = SimulationOutput(task.parameters, grid, new_layer(np.zeros(grid.shape, np.uint8), grid))
    output.add(Scan("Adult", new_image(image), recipe))
    return output.volumes[0], task


def test_a_simulated_ct_is_written_with_the_recipe_that_repeats_it(export: Panel, session: Any, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_volumes import array_of

    node, task = simulated(session)
    export.panel.follow_scene()
    assert export.ui.ctHintLabel.text == node.GetName()
    export.tick("ct", "parameters")
    assert export.export().startswith("3 files written")
    image = read_volume(tmp_path / "out" / "heart-ct-adult.nrrd")
    np.testing.assert_array_equal(image.array, array_of(node))
    recipe = read_recipe(tmp_path / "out" / "heart-ct-adult.json")
    assert recipe.scanner.views == 24
    assert recipe.materials[1].iodine_mg_ml == 12.0
    assert recipe.parameters == task.parameters
    assert recipe.grid.grid().same_as(task.grid.grid())
    assert recipe.model_sha256 == session.surface.checksum


def test_a_ct_of_another_heart_is_told(export: Panel, session: Any) -> None:
    simulated(session)
    session.editor.set_weight(0, 1.0)
    export.panel.follow_scene()
    assert "another heart than the one you see now" in export.ui.ctHintLabel.text


def test_replacing_is_asked_for_with_the_names(
    export: Panel, slicer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    answers = [False, True]

    def ask(text: str, **_: Any) -> bool:
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", ask)
    export.tick("parameters")
    export.export()
    before = (tmp_path / "out" / "heart.json").stat().st_mtime_ns
    export.ui.exportButton.click()
    assert not export.exporter.busy
    assert "heart.json" in asked[0]
    assert (tmp_path / "out" / "heart.json").stat().st_mtime_ns == before
    assert export.export().startswith("1 file written to")
    assert (tmp_path / "out" / "heart.json").stat().st_mtime_ns > before


def test_a_folder_that_refuses_is_told_in_a_sentence(export: Panel, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I am a file")
    export.tick("segmentation", "parameters")
    assert "cannot be written" in export.export()
    assert export.ui.exportButton.text == "Export"
    assert export.ui.exportButton.enabled
    assert (tmp_path / "out").read_text() == "I am a file"


def test_wrong_choices_switch_the_button_off_and_tell_why(export: Panel) -> None:
    export.tick()
    assert not export.ui.exportButton.enabled
    assert "tick at least one" in export.ui.exportButton.toolTip
    export.tick("parameters")
    assert export.ui.exportButton.enabled
    export.ui.nameEdit.text = "a/b"
    assert "cannot be the name" in export.ui.exportButton.toolTip
    export.ui.nameEdit.text = "a"
    export.ui.folderEdit.currentPath = " "
    assert export.ui.exportButton.toolTip == "Choose a folder."
    export.ui.sceneButton.checked = True
    assert export.ui.exportButton.enabled


def test_only_what_there_is_can_be_chosen(export: Panel) -> None:
    assert not export.ui.ctBox.enabled
    assert "None yet" in export.ui.ctHintLabel.text
    assert export.ui.gridBox.count == 1
    assert not export.ui.vtpBox.enabled
    export.ui.modelsBox.checked = True
    assert export.ui.vtpBox.enabled
    assert not export.ui.volumeFormatBox.enabled
    export.ui.labelMapBox.checked = True
    assert export.ui.volumeFormatBox.enabled


def test_a_scan_of_colours_is_refused_where_labels_need_its_voxels(export: Panel, session: Any, slicer: Any) -> None:
    import vtk

    node, image = scan(slicer, session), vtk.vtkImageData()
    image.SetDimensions(3, 4, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(image)
    export.panel.follow_scene()
    export.ui.gridBox.setCurrentIndex(export.ui.gridBox.findData("reference"))
    assert "CT of Jane has several values a voxel" in export.export()


def test_cancel_ends_the_export_and_leaves_nothing(export: Panel, tmp_path: Path, wait_for: Any) -> None:
    export.tick("segmentation")
    export.ui.exportButton.click()
    assert export.ui.exportButton.text == "Cancel"
    assert not export.ui.whatSection.enabled
    export.ui.exportButton.click()
    assert not export.exporter.busy
    assert export.ui.resultLabel.text == "The export was cancelled."
    assert export.ui.whatSection.enabled
    end = time.monotonic() + 1
    wait_for(lambda: time.monotonic() > end)
    assert not (tmp_path / "out").exists()


def test_the_end_of_the_worker_ends_the_export_with_a_sentence(export: Panel, session: Any, wait_for: Any) -> None:
    import os
    import signal

    client = session.worker.client
    client.start()
    wait_for(lambda: client.pid is not None and client.state.name == "READY")
    export.tick("segmentation")
    os.kill(client.pid, signal.SIGSTOP)  # so that it cannot have answered before it is killed
    export.ui.exportButton.click()
    os.killpg(client.pid, signal.SIGKILL)
    wait_for(lambda: not export.exporter.busy)
    assert export.ui.resultLabel.text
    assert export.ui.exportButton.text == "Export"


def test_a_scene_that_is_closed_ends_an_export_into_it(export: Panel, slicer: Any) -> None:
    export.ui.sceneButton.checked = True
    export.ui.exportButton.click()
    export.panel.scene_is_closing()
    assert not export.exporter.busy
    assert "closed during the export" in export.ui.resultLabel.text


def test_files_are_written_by_a_thread(export: Panel, application: Any, tmp_path: Path) -> None:
    export.tick("segmentation", "labelMap", "models", "parameters")
    export.ui.stlBox.checked = export.ui.objBox.checked = True
    export.ui.exportButton.click()
    threads: set[str] = set()
    while export.exporter.busy:
        application.process_events()
        threads |= {thread.name for thread in threading.enumerate()}
    assert any(name.startswith("fedsim-background") for name in threads)
    assert len(list((tmp_path / "out").iterdir())) == 12


def test_the_regions_of_a_file_are_those_of_the_scene(export: Panel, slicer: Any, tmp_path: Path) -> None:
    export.tick("segmentation")
    export.export()
    segmentation = slicer.util.loadSegmentation(str(tmp_path / "out" / "heart.seg.nrrd")).GetSegmentation()
    assert [segmentation.GetNthSegment(i).GetName() for i in range(7)] == [r.name for r in anatomy.regions()]


def test_the_last_folder_is_offered_again(export: Panel, session: Any, wait_for: Any) -> None:
    export.tick("parameters")
    export.export()
    again = Panel(session, resource_path, wait_for)
    assert again.ui.folderEdit.comboBox().itemText(0) == export.ui.folderEdit.currentPath
    again.panel.close()
    again.widget.close()
