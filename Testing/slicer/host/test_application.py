"""The application round the scene: files, subject hierarchy, packages, dialogs, node selector, desktop window."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest


@pytest.fixture
def a_volume(scene):
    import slicer

    return slicer.util.addVolumeFromArray(np.arange(120, dtype=np.int16).reshape(4, 5, 6), name="Scan")


def test_a_nifti_file_is_loaded_where_nibabel_puts_it(application, scene, tmp_path):
    import slicer

    affine = np.array([[0, -2.0, 0, 10], [1.5, 0, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "scan.nii.gz")
    node = slicer.util.loadVolume(str(tmp_path / "scan.nii.gz"))
    assert node.GetName() == "scan"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), values.transpose(2, 1, 0))
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(node))
    np.testing.assert_allclose(matrix, affine, atol=1e-5)


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
def test_a_volume_is_saved_and_loaded_again(application, a_volume, tmp_path, ending):
    import slicer

    path = str(tmp_path / f"scan.{ending}")
    assert slicer.util.saveNode(a_volume, path)
    again = slicer.util.loadVolume(path)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(a_volume))


@pytest.mark.parametrize("ending", ["vtp", "stl", "obj", "ply", "vtk"])
def test_a_model_is_saved_and_loaded_again(application, scene, tmp_path, ending):
    import slicer
    import vtk

    cube = vtk.vtkCubeSource()
    cube.SetCenter(10, 20, 30)
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputConnection(cube.GetOutputPort())
    triangles.Update()
    model = slicer.modules.models.logic().AddModel(triangles.GetOutput())
    assert slicer.util.saveNode(model, str(tmp_path / f"cube.{ending}"))
    again = slicer.util.loadModel(str(tmp_path / f"cube.{ending}"))
    np.testing.assert_allclose(again.GetPolyData().GetBounds(), (9.5, 10.5, 19.5, 20.5, 29.5, 30.5), atol=1e-5)


def test_a_coded_segmentation_is_saved_and_loaded_again(application, a_volume, tmp_path):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(a_volume)
    node.GetSegmentation().AddEmptySegment("lv", "Left ventricle", (1, 0, 0))
    code = "Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^87878005^LV~^^~Anatomic codes~^^~^^"
    node.GetSegmentation().GetSegment("lv").SetTag("TerminologyEntry", code)
    labels = (slicer.util.arrayFromVolume(a_volume) > 60).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(labels, node, "lv", a_volume)
    assert slicer.util.saveNode(node, str(tmp_path / "heart.seg.nrrd"))
    again = slicer.util.loadSegmentation(str(tmp_path / "heart.seg.nrrd"))
    assert again.GetSegmentation().GetSegment("lv").GetName() == "Left ventricle"
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(again, "lv", a_volume), labels)


def test_a_file_that_is_not_there_is_an_error_with_its_name(application, scene):
    import slicer

    with pytest.raises(RuntimeError, match=r"nowhere\.nrrd"):
        slicer.util.loadVolume("/nowhere.nrrd")


def test_nodes_get_items_in_the_subject_hierarchy_and_lose_them(application, a_volume):
    import slicer

    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(a_volume)
    assert hierarchy.GetItemName(item) == "Scan"
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Generated")
    hierarchy.SetItemParent(item, study)
    slicer.mrmlScene.RemoveNode(a_volume)
    assert hierarchy.GetItemByDataNode(a_volume) == hierarchy.GetInvalidItemID()


def test_the_hierarchy_comes_back_with_the_scene(application, a_volume, tmp_path):
    import slicer

    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Generated")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(a_volume), study)
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(slicer.util.getNode("Scan"))
    assert hierarchy.GetItemName(hierarchy.GetItemParent(item)) == "Generated"


class TestNodeComboBox:
    @pytest.fixture
    def box(self, application, scene):
        import slicer

        box = slicer.qMRMLNodeComboBox()
        box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        box.setMRMLScene(scene)
        yield box
        box.setMRMLScene(None)
        box.delete()

    def test_it_lists_nodes_of_its_types_and_chooses_none_by_itself(self, box, a_volume):
        import slicer

        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
        assert (box.nodeCount(), box.currentNode(), box.currentNodeID) == (1, None, "")

    def test_it_tells_of_a_choice_in_three_ways(self, box, a_volume):
        told = []
        box.connect("currentNodeChanged(vtkMRMLNode*)", told.append)
        box.connect("currentNodeChanged(bool)", told.append)
        box.connect("currentNodeIDChanged(QString)", told.append)
        box.setCurrentNode(a_volume)
        assert told == [a_volume, True, a_volume.GetID()]

    def test_when_its_node_goes_the_next_one_takes_its_place(self, box, a_volume, scene):
        other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Other")
        box.setCurrentNode(a_volume)
        scene.RemoveNode(a_volume)
        assert box.currentNode() is other
        scene.Clear(0)
        assert box.currentNode() is None

    def test_a_person_makes_a_node_in_it(self, box, scene):
        made = []
        box.connect("nodeAddedByUser(vtkMRMLNode*)", made.append)
        from Testing.host.pythonqt import private

        inner = private(box).box
        row = next(i for i in range(inner.count) if "Create new" in inner.itemText(i))
        inner.activated(row)
        assert [n.GetClassName() for n in made] == ["vtkMRMLScalarVolumeNode"]
        assert box.currentNode() is made[0]

    def test_it_shows_a_new_name(self, box, a_volume):
        from Testing.host.pythonqt import private

        box.setCurrentNode(a_volume)
        a_volume.SetName("Renamed")
        assert private(box).box.currentText == "Renamed"

    def test_attributes_narrow_the_choice(self, box, a_volume, scene):
        box.addAttribute("vtkMRMLScalarVolumeNode", "FedSim.Role", "preview")
        assert box.nodeCount() == 0
        other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        other.SetAttribute("FedSim.Role", "preview")
        box.setMRMLScene(None)
        box.setMRMLScene(scene)
        assert box.nodeCount() == 1


class TestPackaging:
    @pytest.fixture
    def packaging(self, application):
        import slicer.packaging

        if not hasattr(slicer.packaging, "recorded_installs"):
            pytest.skip("Slicer's own packaging is in place of the stand-in")
        slicer.packaging.recorded_installs.clear()
        return slicer.packaging

    def test_what_is_installed_is_not_asked_for(self, packaging):
        assert packaging.pip_ensure(["numpy>=1.0"]) is None
        assert packaging.recorded_installs == []

    def test_what_is_missing_is_recorded_and_not_installed(self, packaging, tmp_path):
        (tmp_path / "requirements.txt").write_text("# needed\nnot-a-package-of-ours>=2\nnumpy>=1\n")
        requirements = packaging.load_requirements(tmp_path / "requirements.txt")
        packaging.pip_ensure(requirements, requester="FedSim", skip_packages=["torch"])
        assert packaging.recorded_installs == [
            packaging.RecordedInstall(("not-a-package-of-ours>=2",), ("torch",), None, "FedSim", None)
        ]

    def test_a_person_can_decline(self, packaging, application, monkeypatch):
        import slicer

        monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda _self: False)
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_a, **_k: False)
        with pytest.raises(RuntimeError, match="User declined package installation"):
            packaging.pip_ensure("not-a-package-of-ours")
        assert packaging.recorded_installs[0].consent is False


def test_a_dialog_without_an_answer_fails_and_does_not_wait(application, dialogs):
    import qt

    from Testing.host.dialogs import UnansweredDialogError

    with pytest.raises(UnansweredDialogError, match="Sure"):
        qt.QMessageBox.question(None, "Delete", "Sure?")
    dialogs.answer(qt.QMessageBox.Yes)
    assert qt.QMessageBox.question(None, "Delete", "Sure?") == qt.QMessageBox.Yes


def test_names_of_qt_6_are_refused(application):
    import qt

    box = qt.QCheckBox()
    with pytest.raises(ValueError, match="checkStateChanged"):
        box.connect("checkStateChanged(Qt::CheckState)", print)
    with pytest.raises(AttributeError, match=r"not in Slicer's Qt 5\.15"):
        qt.QTimer().remainingTimeAsDuration()
    assert not hasattr(qt, "QVersionNumber")


def test_the_desktop_window_says_what_it_is_and_loads_files(application, scene, dialogs, tmp_path):
    import qt

    from Testing.host.desktop import Desktop

    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)), tmp_path / "scan.nii.gz")
    desktop = Desktop(application)
    try:
        assert "stand-in for 3D Slicer" in application.window.windowTitle
        notice = application.window.statusBar().findChild(qt.QLabel)
        assert "Not 3D Slicer" in notice.text
        assert "https://download.slicer.org" in notice.text
        dialogs.answer((str(tmp_path / "scan.nii.gz"), ""))
        desktop.load_with_dialog("Volume")
        assert scene.GetFirstNodeByName("scan") is not None
        dialogs.answer(("scan", True), (str(tmp_path / "copy.nrrd"), ""))
        desktop.save_node()
        assert (tmp_path / "copy.nrrd").exists()
        dialogs.answer((str(tmp_path / "all"), ""))
        desktop.save_scene()
        assert (tmp_path / "all.mrb").exists()
        dialogs.answer(0)
        desktop.show_about()
        assert "This is not 3D Slicer" in dialogs.asked[-1]
    finally:
        application.window.menuBar().clear()
        application.window.statusBar().removeWidget(notice)
        notice.delete()
