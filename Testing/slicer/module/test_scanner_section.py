"""Scanner, person and noise: typed into, saved, loaded, and what the worker is told."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("slicer")

from FedSimCore.ct.scanners import scanner, scanners  # after the check that there is a Slicer
from FedSimCore.worker.protocol import PreviewTask
from Testing.slicer.module.typing_in_panels import choose_in, click, open_panel, type_into


@pytest.fixture
def opened(scene):
    panel, session = open_panel()
    panel.ui.machineSection.collapsed = False
    yield panel, session
    panel.widget.deleteLater()


@pytest.fixture
def panel(opened):
    return opened[0]


@pytest.fixture
def state(opened):
    return opened[1].state


def shown(panel):
    """What stands in the fields, by name."""
    rows = panel.scanner.rows
    return {
        name: row.widget.currentData if row.field.items else row.field.parse(row.widget.text)
        for name, row in rows.items()
    }


def told_to_the_worker(state):
    """The scanner as the worker builds it from a task (FedSimCore.worker.imaging)."""
    from FedSimCore.shape.parameters import HeartParameters
    from FedSimSlicerLib.scan_setup import preview_settings

    task = PreviewTask(parameters=HeartParameters(weights=(0.0,)), **preview_settings(state))
    choice = PreviewTask.model_validate_json(task.model_dump_json()).scanner
    return scanner(choice.key).with_changes(**choice.changes)


@pytest.mark.parametrize("key", list(scanners()))
def test_a_preset_fills_all_fields(panel, state, key):
    choose_in(panel.ui.presetBox, key)
    preset = scanners()[key]
    assert shown(panel) == {name: getattr(preset, name) for name in panel.scanner.rows}
    assert not any(row.widget.font.italic() for row in panel.scanner.rows.values())
    assert told_to_the_worker(state) == preset
    assert panel.ui.presetBox.currentText == preset.name


def test_every_setting_of_a_scanner_has_a_field(panel):
    from FedSimCore.ct.scanners import Scanner

    assert set(panel.scanner.rows) == set(Scanner.model_fields) - {"key", "name", "phase"}


CHANGES = {
    "kvp": 80, "mas": 60.0, "views": 180, "kernel": "sharp", "slice_thickness_mm": 2.5, "scan_field_mm": 400.0,
    "source_isocenter_mm": 570.0, "source_detector_mm": 1040.0, "detector_element_mm": 1.25,
    "angular_range_deg": "short", "detective_efficiency": 0.7, "electronic_noise_kev": 500.0,
}  # fmt: skip


def test_every_field_changes_the_scanner_is_marked_and_is_reset(panel, state):
    for name, value in CHANGES.items():
        row = panel.scanner.rows[name]
        choose_in(row.widget, value) if row.field.items else type_into(row.widget, f"{value:g}")
        assert row.widget.font.italic()
    assert json.loads(state.scanner_changes) == CHANGES
    assert told_to_the_worker(state) == scanners()["adult"].with_changes(**CHANGES)
    assert panel.ui.presetBox.font.italic()
    click(panel.ui.resetScannerButton)
    assert told_to_the_worker(state) == scanners()["adult"]
    assert json.loads(state.scanner_changes) == {}
    assert not panel.ui.resetScannerButton.enabled


def test_a_value_typed_back_to_the_presets_is_no_change(panel, state):
    type_into(panel.scanner.rows["mas"].widget, "60")
    type_into(panel.scanner.rows["mas"].widget, "140")
    assert json.loads(state.scanner_changes) == {}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("mas", "much", "Dose cannot be 'much', which is no number."),
        ("mas", "0", "Dose cannot be 0: input should be greater than 0."),
        ("mas", "nan", "Dose cannot be nan: input should be a finite number."),
        ("mas", "", "Dose cannot be '', which is no number."),
        ("views", "5", "Views cannot be 5: input should be greater than or equal to 8."),
        ("views", "99.5", "Views cannot be 99.5: input should be a valid integer"),
        ("slice_thickness_mm", "-1", "Slice thickness cannot be -1"),
        (
            "scan_field_mm",
            "1200",
            "Field of view 1200 does not fit between tube and patient; it must be below 1.9 times",
        ),
        ("source_detector_mm", "500", "Tube to detector 500 must be larger than tube to axis 595."),
        ("monochromatic_kev", "500", "Single energy 500 is not within 10 to 150 keV."),
        ("detective_efficiency", "1.5", "Efficiency cannot be 1.5"),
    ],
)
def test_an_impossible_setting_is_refused_at_the_field(panel, state, name, text, told):
    row = panel.scanner.rows[name]
    before = row.widget.text
    type_into(row.widget, text)
    assert row.cell.reason.visible
    assert row.cell.reason.text.startswith(told)
    assert row.widget.toolTip == row.cell.reason.text
    assert row.widget.text == before
    assert json.loads(state.scanner_changes) == {}


def test_a_single_energy_takes_the_place_of_the_voltage(panel, state):
    blood = panel.tissues.rows["lv"].hounsfield
    at_120_kvp = int(blood.text)
    type_into(panel.scanner.rows["monochromatic_kev"].widget, "70")
    at_70_kev = int(blood.text)
    assert not panel.scanner.rows["kvp"].widget.enabled
    assert "70 keV" in panel.ui.beamLabel.text
    choose_in(panel.ui.presetBox, "monochromatic")
    assert int(blood.text) == at_70_kev != at_120_kvp
    type_into(panel.scanner.rows["monochromatic_kev"].widget, "")
    assert told_to_the_worker(state).monochromatic_kev is None
    assert int(blood.text) == at_120_kvp
    assert panel.scanner.rows["kvp"].widget.enabled


def test_a_saved_scanner_is_read_by_fedsim_and_comes_back_without_its_file(panel, state, scene, dialogs, tmp_path):
    import slicer

    type_into(panel.scanner.rows["mas"].widget, "77")
    choose_in(panel.scanner.rows["kernel"].widget, "sharp")
    wanted = scanners()["adult"].with_changes(key="clinic", mas=77, kernel="sharp")
    path = tmp_path / "files" / "clinic.json"
    dialogs.answer(str(path), str(path))
    click(panel.ui.saveScannerButton)
    assert scanner(path) == wanted

    choose_in(panel.ui.presetBox, "chest-venous")
    click(panel.ui.loadScannerButton)
    shutil.rmtree(path.parent)
    assert told_to_the_worker(state) == wanted
    assert panel.ui.presetBox.currentText == f"From a file: {wanted.name}"
    assert not panel.scanner.rows["mas"].widget.font.italic()
    type_into(panel.scanner.rows["mas"].widget, "78")

    scene_file = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(scene_file)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(scene_file)
    from FedSimSlicerLib.state import ModuleState

    loaded = ModuleState(slicer.util.getNode("State of the panel"))
    assert told_to_the_worker(loaded) == wanted.with_changes(mas=78)


def entry(**fields):
    return json.dumps({"schema": "fedsim/scanners/1", "scanners": [{"key": "mine", **fields}]})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "is not a readable JSON file"),
        (json.dumps({"schema": "fedsim/tissues/1", "tissues": []}), "'fedsim/scanners/1' is needed"),
        (json.dumps({"schema": "fedsim/scanners/1", "scanners": []}), "describes 0 scanners"),
        (entry(kvp=125), "kvp 125 is none of"),
        (entry(mas="strong"), "mas = 'strong' cannot be used"),
        (entry(pitch=1.2), "pitch = 1.2 cannot be used"),
    ],
)
def test_a_bad_file_of_a_scanner_is_told_and_changes_nothing(opened, dialogs, tmp_path, content, told):
    panel, session = opened
    path = tmp_path / "bad.json"
    path.write_text(content)
    dialogs.answer(str(path))
    click(panel.ui.loadScannerButton)
    (sentence,) = session.messages
    assert told in sentence
    assert str(path) in sentence
    assert told_to_the_worker(session.state) == scanners()["adult"]


def test_person_and_noise_are_told_to_the_worker(panel, state):
    from FedSimSlicerLib.scan_setup import scan_settings

    choose_in(panel.ui.surroundingsBox, "none")
    type_into(panel.person.body_seed.edit, "12")
    type_into(panel.person.noise_seed.edit, "34")
    assert state.surroundings == "none"
    assert (scan_settings(state)["body_seed"], scan_settings(state)["noise_seed"]) == (12, 34)
    click(panel.ui.noiseBox)
    assert scan_settings(state)["noise_seed"] is None
    assert not panel.person.noise_seed.edit.enabled
    click(panel.ui.noiseBox)
    assert scan_settings(state)["noise_seed"] == 34


@pytest.mark.parametrize("text", ["-1", "1.5", "seven", "2147483648", ""])
def test_a_wrong_seed_is_refused_with_the_reason(panel, state, text):
    field = panel.person.body_seed
    type_into(field.edit, text)
    assert "give a whole number from 0 to 2147483647" in field.reason.text
    assert state.body_seed == 0
    assert field.edit.text == "0"


def test_the_wheel_of_a_scrolling_panel_changes_nothing(panel, state):
    from PySide6.QtCore import QPoint, QPointF, Qt
    from PySide6.QtGui import QWheelEvent
    from PySide6.QtWidgets import QApplication

    for box in (panel.ui.presetBox, panel.ui.phaseBox, panel.tissues.rows["lv"].base, panel.scanner.rows["kvp"].widget):
        middle = QPointF(box.rect.center())
        event = QWheelEvent(middle, box.mapToGlobal(middle), QPoint(0, -120), QPoint(0, -120), Qt.NoButton,
                            Qt.NoModifier, Qt.NoScrollPhase, False)  # fmt: skip
        QApplication.sendEvent(box, event)
    assert (state.scanner, state.phase, state.materials, state.scanner_changes) == ("adult", "", "{}", "{}")
