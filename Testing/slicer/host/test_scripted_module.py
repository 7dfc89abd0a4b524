"""A scripted module with a .ui panel and a parameter node runs in the host as in Slicer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from Testing.host.application.start import SOURCE_VARIABLE

HERE = Path(__file__).parent
MODULE = HERE / "example_module" / "ExamplePanel.py"
SOURCE = os.environ.get(SOURCE_VARIABLE)
needs_source = pytest.mark.skipif(not SOURCE, reason=f"set {SOURCE_VARIABLE} to a checkout of Slicer's source")


@pytest.fixture
def panel(load_panel):
    return load_panel(MODULE)


@pytest.fixture
def a_volume(scene):
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="Scan")


def test_widgets_have_their_true_classes(panel):
    import ctk
    import qt
    import slicer

    assert type(panel.ui.radiusSlider) is ctk.ctkSliderWidget
    assert type(panel.ui.volumeSelector) is slicer.qMRMLNodeComboBox
    assert type(panel.ui.roundsBox) is qt.QSpinBox
    assert panel.ui.folderEdit.filters == ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Writable


def test_widgets_show_the_defaults_of_the_parameters(panel):
    ui = panel.ui
    shown = (ui.radiusSlider.value, ui.roundsBox.value, ui.siteBox.currentText, ui.qualityBox.currentText)
    assert shown == (20.0, 3, "A", "PREVIEW")
    assert (ui.titleEdit.text, ui.shownBox.checked, ui.radiusSlider.maximum) == ("ball", True, 100.0)


def test_the_mouse_and_the_keyboard_write_the_parameters(panel, application):
    from PySide6 import QtTest
    from PySide6.QtCore import Qt

    panel.ui.titleEdit.clear()
    QtTest.QTest.keyClicks(panel.ui.titleEdit, "heart")
    QtTest.QTest.mouseClick(panel.ui.shownBox, Qt.LeftButton, Qt.NoModifier, panel.ui.shownBox.rect.center() * 0.1)
    assert (panel.state.title, panel.state.shown) == ("heart", False)


def test_a_parameter_that_changes_moves_its_widget(panel):
    panel.state.radius = 42.5
    panel.state.parameterNode.SetParameter("rounds", "7")
    assert (panel.ui.radiusSlider.value, panel.ui.roundsBox.value) == (42.5, 7)


def test_a_value_out_of_range_is_refused_and_nothing_changes(panel):
    with pytest.raises(ValueError, match=r"within range \[1, 100\], is 500"):
        panel.state.radius = 500.0
    assert panel.state.radius == 20


def test_the_button_waits_for_a_volume_and_then_makes_the_ball(panel, a_volume, application):
    import slicer

    assert panel.ui.applyButton.enabled is False
    panel.ui.volumeSelector.setCurrentNode(a_volume)
    assert panel.state.volume is a_volume
    panel.ui.applyButton.click()
    assert panel.state.ball is slicer.util.getNode("Ball")


def test_an_error_in_a_slot_fails_the_test(panel, a_volume, expected_slot_errors):
    panel.logic.add_ball = lambda _radius: 1 / 0
    panel.ui.volumeSelector.setCurrentNode(a_volume)
    panel.ui.applyButton.disconnect("clicked(bool)", panel.on_apply)
    panel.ui.applyButton.connect("clicked(bool)", lambda: panel.logic.add_ball(1))
    panel.ui.applyButton.click()
    assert [type(e.exception) for e in expected_slot_errors] == [ZeroDivisionError]
    expected_slot_errors.clear()


def test_parameters_are_kept_in_slicers_own_words(panel, a_volume):
    state, node = panel.state, panel.state.parameterNode
    state.weights, state.corner, state.limit, state.volume = [1.5, -2.0], (3, "x"), 0.25, a_volume
    state.folder = Path("/data")
    written = {name: node.GetParameter(name) for name in node.GetParameterNames()}
    assert written == {
        "radius": "20", "rounds": "3", "shown": "True", "title": "ball", "site": "A", "quality": "PREVIEW",
        "folder": "/data", "volume": "", "ball.0": "" , "weights.len": "2", "weights.0": "1.5", "weights.1": "-2.0",
        "corner.0": "3", "corner.1": "x", "limit.0": "0.25",
    } or written == {**written, "ball.1": "True"}  # fmt: skip
    assert node.GetNodeReferenceID("volume") == a_volume.GetID()


def test_a_list_writes_itself_when_it_is_changed(panel):
    panel.state.weights = [1.0]
    panel.state.weights.append(2.0)
    assert panel.state.weights == [1.0, 2.0]
    assert panel.state.parameterNode.GetParameter("weights.len") == "2"


def test_the_state_is_saved_with_the_scene_and_comes_back(panel, a_volume, tmp_path, application):
    import slicer

    panel.state.radius, panel.state.volume, panel.state.quality = 33.0, a_volume, type(panel.state.quality).FULL
    scene_file = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(scene_file)
    slicer.mrmlScene.Clear(0)
    assert (panel.state.radius, panel.state.volume) == (20.0, None)
    slicer.util.loadScene(scene_file)
    application.process_events()
    assert (panel.state.radius, panel.state.quality.name, panel.state.volume.GetName()) == (33.0, "FULL", "Scan")
    assert panel.ui.radiusSlider.value == 33.0


def test_closing_the_scene_fifty_times_leaves_no_error_and_no_observer(panel, a_volume, application):
    import slicer

    application.window.hide()  # nothing to render: this is about observers
    for _ in range(50):
        slicer.mrmlScene.Clear(0)
        application.process_events()
    application.window.show()
    assert panel.ui.volumeSelector.nodeCount() == 0
    assert panel.state.radius == 20


def test_a_module_is_entered_and_left(panel, application):
    assert panel.log == ["enter"]
    assert panel.parent.isEntered
    application.window.moduleSelector().selectModule("")
    assert panel.log == ["enter", "exit"]
    application.window.moduleSelector().selectModule("ExamplePanel")


def test_reload_makes_the_panel_anew_over_the_same_state(panel, application):
    import slicer

    panel.state.radius = 55.0
    panel.onReload()
    application.process_events()
    again = slicer.modules.ExamplePanelWidget
    assert again is not panel
    assert (again.state.radius, again.ui.radiusSlider.value) == (55.0, 55.0)
    again.ui.radiusSlider.value = 12.0
    assert again.state.radius == 12.0


def test_the_panel_fits_400_pixels_also_with_a_font_half_as_large_again(panel, application):
    import qt

    small = qt.QApplication.font()
    try:
        for factor in (1.0, 1.5):
            font = qt.QFont(small)
            font.setPointSizeF(small.pointSizeF() * factor)
            qt.QApplication.setFont(font)
            application.process_events()
            assert panel.parent.minimumSizeHint.width() <= 400
    finally:
        qt.QApplication.setFont(small)
        application.process_events()


def test_sample_data_is_made_by_the_modules_own_function(panel, scene, application):
    import SampleData
    import slicer

    slicer.app.startupCompleted.emit()
    source = SampleData.SampleDataLogic().sourceForSampleName("ExampleBall")
    assert source.customDownloader(source).GetName() == "Ball"


def test_the_modules_own_test_runs(panel, application):
    import slicer

    slicer.selfTests["ExamplePanel"](msec=1)


def test_a_ui_file_with_a_wrong_property_class_or_signal_is_refused(application, tmp_path):
    import slicer

    from Testing.host.pythonqt.ui_loader import UiError

    sideways = '<property name="layoutDirection"><enum>Qt::Sideways</enum></property>'
    right = (MODULE.parent / "Resources" / "UI" / "ExamplePanel.ui").read_text()
    for wrong, text in (
        (right.replace('"noneEnabled"', '"nonEnabled"'), "no property 'nonEnabled'"),
        (right.replace("ctkSliderWidget", "ctkSlidrWidget"), "no widget class ctkSlidrWidget"),
        (right.replace("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)"), "No such signal"),
        (right.replace("ctkPathLineEdit::Dirs", "ctkPathLineEdit::Dir"), "no enum value"),
        (right.replace('name="shownBox">', f'name="shownBox">{sideways}'), "no value 'Qt::Sideways'"),
    ):
        path = tmp_path / "Wrong.ui"
        path.write_text(wrong)
        with pytest.raises(UiError, match=re.escape(text)):
            slicer.util.loadUI(str(path))


@needs_source
def test_these_tests_pass_with_slicers_own_python_files_too():
    """In a process of its own, where Slicer's own Python files take the stand-ins' place."""
    if os.environ.get("FEDSIM_HOST_INNER"):
        pytest.skip("already inside")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            str(HERE / "test_scripted_module.py"),
            str(HERE / "test_slicer_source.py"),
        ],
        env={**os.environ, "FEDSIM_HOST_INNER": "1"},
        capture_output=True,
        text=True,
        cwd=HERE.parents[2],
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_ui_file_sets_an_enum_of_qt_on_a_widget_of_ctk(application, tmp_path):
    import qt
    import slicer

    path = tmp_path / "Elided.ui"
    path.write_text(
        """<ui version="4.0"><widget class="QWidget" name="panel"><layout class="QVBoxLayout"><item>
        <widget class="ctkComboBox" name="box">
        <property name="sizeAdjustPolicy"><enum>QComboBox::AdjustToContents</enum></property>
        <property name="elideMode"><enum>Qt::ElideRight</enum></property>
        </widget></item></layout></widget></ui>"""
    )
    panel = slicer.util.loadUI(str(path))
    box = slicer.util.childWidgetVariables(panel).box
    assert box.elideMode == qt.Qt.ElideRight
    assert box.sizeAdjustPolicy == qt.QComboBox.AdjustToContents
