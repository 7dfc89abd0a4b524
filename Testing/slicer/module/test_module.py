"""The module as a whole: how it starts, follows the scene, is reloaded and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
import vtk

pytest.importorskip("slicer")

from Testing.slicer.module.conftest import MODULE, ROOT  # after the check that there is a Slicer


def test_the_entry_imports_nothing_heavy():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from Testing.host import start_application
start_application(testing=True)
before = set(sys.modules)
import importlib.util
spec = importlib.util.spec_from_file_location("FedSimSlicer", {str(MODULE)!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(sorted(new & {{"FedSimCore", "FedSimSlicerLib", "pydantic", "safetensors", "scipy", "torch", "nibabel"}}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "[]"


def test_torch_is_never_imported_in_slicers_process(module, wait_for):
    code = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from Testing.host import start_application
host = start_application(testing=True)
host.load_module({str(MODULE)!r})
host.window.show()
host.window.moduleSelector().selectModule("FedSimSlicer")
import slicer
session = slicer.modules.FedSimSlicerWidget.panel.session
session.editor.set_weight(0, 1.0)
end = time.monotonic() + 60
while session.state.live_labels is None and time.monotonic() < end:
    host.process_events()
print(session.state.live_labels is not None, "torch" in sys.modules)
session.worker.close(wait_s=10)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "True False"


@pytest.fixture
def own_imports():
    """FedSim's modules as they were: reloading makes new classes, which other tests' modules do not know."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("FedSim")}
    yield
    for name in [name for name in sys.modules if name.startswith("FedSim")]:
        del sys.modules[name]
    sys.modules.update(before)


def test_reloading_keeps_the_heart(own_imports, module, wait_for):
    import slicer

    module.panel.session.editor.set_weight(2, 0.75)
    module.onReload()
    widget = slicer.modules.FedSimSlicerWidget
    session = widget.panel.session
    try:
        assert session.editor.heart.weights[2] == 0.75
        session.editor.set_weight(2, -0.5)
        wait_for(lambda: session.state.live_labels is not None and not session.worker.busy("labels"))
        models = slicer.util.getNodesByClass("vtkMRMLModelNode")
        assert sum(not slicer.vtkMRMLSliceLogic.IsSliceModelNode(model) for model in models) == 7
    finally:
        session.worker.close(wait_s=10)


def test_closing_the_scene_leaves_an_empty_scene_and_a_usable_panel(module, session, wait_for):
    import slicer

    session.editor.set_weight(0, 1.0)
    slicer.mrmlScene.Clear(False)
    slicer.app.processEvents()
    assert not session.display.shown
    assert session.editor.heart == session.surface.mean_heart()
    module.panel.panels[0].modes.sliders[1].slider.value = 0.5
    assert session.display.shown
    assert session.state.weights[1] == 0.5


def test_folders_of_hearts_and_volumes_come_back_again_and_again(module, session, tmp_path, wait_for):
    import slicer

    from FedSimSlicerLib.subject_hierarchy import put_into_folder

    def tree():
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        items = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
        found = [items.GetId(index) for index in range(items.GetNumberOfIds())]
        return sorted(
            (hierarchy.GetItemName(hierarchy.GetItemParent(item)), hierarchy.GetItemName(item)) for item in found
        )

    put_into_folder(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT"), "Heart 1")
    session.editor.set_weight(0, 1.0)
    wait_for(lambda: not session.worker.busy("labels"))
    wanted, path = tree(), str(tmp_path / "heart.mrb")
    assert ("Heart 1", "CT") in wanted
    assert sum(folder == "FedSim heart" for folder, _ in wanted) == 7
    for _ in range(3):
        assert slicer.util.saveScene(path)
        slicer.mrmlScene.Clear(False)
        slicer.util.loadScene(path)
        wait_for(lambda: not session.worker.busy("labels"))
        assert tree() == wanted


def test_a_saved_scene_brings_the_heart_back(module, session, tmp_path, wait_for):
    import slicer

    session.editor.set_random(7, 1.5)
    heart = session.editor.heart
    wait_for(lambda: not session.worker.busy("labels"))
    path = str(tmp_path / "heart.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(path)
    wait_for(lambda: not session.worker.busy("labels"))
    assert session.editor.heart.weights == pytest.approx(heart.weights, abs=1e-12)
    assert len(list(session.display.nodes())) == 7
    assert len(slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode")) == 1
