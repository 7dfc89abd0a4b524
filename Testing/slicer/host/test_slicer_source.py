"""With a checkout of Slicer (SLICER_SOURCE): its own template module and its own Python tests run in the host.

Run as `SLICER_SOURCE=... FEDSIM_HOST_INNER=1 pytest Testing/slicer/host/test_slicer_source.py`, or through
test_scripted_module.py, which starts a process of its own for it: a process is either with the source or without.
"""

from __future__ import annotations

import os
import sys
import unittest
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SOURCE = os.environ.get("SLICER_SOURCE")
pytestmark = pytest.mark.skipif(
    not (SOURCE and os.environ.get("FEDSIM_HOST_INNER")), reason="runs in a process of its own with SLICER_SOURCE"
)

# Slicer's own tests, and those among them that can't pass here, each with the reason.
NEEDS = {
    "test_saveNode": "sample data from the network",
    "test_saveScene": "sample data from the network",
    "test_saveSceneAsDirectory": "sample data from the network",
    "test_blocking_mode_unchanged": "the executable PythonSlicer",
    "test_nonblocking_returns_immediately": "the executable PythonSlicer",
    "test_nonblocking_with_nonexistent_package": "the executable PythonSlicer",
    "test_get_installed_versions_sees_newly_installed_package": "the executable PythonSlicer",
    "test_reinstalled_package_flagged": "the package certifi",
    "test_version_changed_and_imported": "the package certifi",
    "test_qMRMLSubjectHierarchyComboBox": "connectors that the SubjectHierarchy module registers",
    "test_qMRMLSubjectHierarchyTreeViewToNode": "connectors that the SubjectHierarchy module registers",
    "test_slicer_parameter_node_wrapper_gui_creation": "modules of a build (MRMLCorePython)",
}
FILES = [
    "parameter_node_wrapper",
    "parameter_node_wrapper_guis",
    "parameter_node_wrapper_gui_creation",
    "parameter_pack",
    "packaging",
    "util_VTKObservationMixin",
    "util_chdir",
    "util_childWidgetVariables",
    "util_getNodes",
    "util_save",
    "util_without_modules",
]


def test_the_official_template_module_runs_unmodified(load_panel, scene, monkeypatch):
    import slicer

    template = Path(SOURCE) / "Utilities" / "Templates" / "Modules" / "Scripted" / "TemplateKey.py"
    panel = load_panel(template)
    volume = slicer.util.addVolumeFromArray(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), name="Scan")
    panel.ui.inputSelector.setCurrentNode(volume)
    output = panel.ui.outputSelector.addNode()
    panel.ui.imageThresholdSliderWidget.value = 33.3
    state = panel._parameterNode
    assert (state.inputVolume, state.thresholdedVolume, state.imageThreshold) == (volume, output, 33.3)
    runs = []

    def run(_module, _node, parameters, **_options):  # the host has no command line modules
        runs.append(parameters)
        return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")

    monkeypatch.setattr(slicer, "cli", SimpleNamespace(run=run), raising=False)
    monkeypatch.setattr(slicer.modules, "thresholdscalarvolume", None, raising=False)
    panel.ui.applyButton.click()
    expected = {
        "InputVolume": volume.GetID(), "OutputVolume": output.GetID(), "ThresholdValue": 33.3, "ThresholdType": "Below",
    }  # fmt: skip
    assert runs == [expected]


@pytest.mark.parametrize("name", FILES)
def test_slicers_own_tests_pass(application, name, scene, monkeypatch):
    import slicer

    monkeypatch.syspath_prepend(str(Path(SOURCE) / "Base" / "Python" / "slicer" / "tests"))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)  # some provoke errors
    suite = unittest.defaultTestLoader.loadTestsFromName(f"test_slicer_{name}")
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # they are not written for warnings as errors
        suite.run(result)
    slicer.mrmlScene.Clear(0)
    broken = {case.id().split(".")[-1] for case, _trace in result.failures + result.errors}
    assert broken <= NEEDS.keys(), [trace for _case, trace in result.failures + result.errors]
    assert result.testsRun > 0


@pytest.fixture(autouse=True)
def forget_slot_errors_of_slicers_tests(request, expected_slot_errors):
    yield
    if "slicers_own" in request.node.name:
        expected_slot_errors.clear()
