"""The table of tissues: typed into, looked at, saved and loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("slicer")

from FedSimCore.anatomy import regions  # after the check that there is a Slicer
from FedSimCore.ct.scanners import scanners
from Testing.slicer.module.conftest import ROOT
from Testing.slicer.module.typing_in_panels import choose_in, click, open_panel, type_into


@pytest.fixture
def opened(scene):
    panel, session = open_panel()
    yield panel, session
    panel.widget.deleteLater()


@pytest.fixture
def panel(opened):
    return opened[0]


@pytest.fixture
def state(opened):
    return opened[1].state


@pytest.fixture
def rows(panel):
    return panel.tissues.rows


def shown(row):
    return row.base.currentData, row.density.edit.text, row.iodine.edit.text, row.hounsfield.text


def printed_by_the_command(phase, kvp):
    command = [sys.executable, "-m", "FedSimCore.cli.main", "tissues", "--phase", phase, "--kvp", str(kvp), "--json"]
    printed = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return {each["key"]: each for each in printed["tissues"]}


def hounsfield_of_blood(kvp, density, iodine):
    """Blood (ICRU 44) behind 20 cm of water for a detector of energies; attenuation by xraylib, spectrum as shipped."""
    xraylib = pytest.importorskip("xraylib")
    table = np.genfromtxt(ROOT / "Resources/ct/spectra.csv", delimiter=",", names=True)
    energies, photons = (table["from_kev"] + table["to_kev"]) / 2, table[f"{kvp}kVp"]
    composition = {"H": 0.102, "C": 0.11, "N": 0.033, "O": 0.745, "Na": 0.001, "P": 0.001, "S": 0.002, "Cl": 0.003,
                   "K": 0.002, "Fe": 0.001}  # fmt: skip

    def per_gram(symbol):
        return np.array([xraylib.CS_Total(xraylib.SymbolToAtomicNumber(symbol), float(e)) for e in energies])

    water = 0.111898 * per_gram("H") + 0.888102 * per_gram("O")
    blood = density * sum(share * per_gram(symbol) for symbol, share in composition.items())
    blood = blood + 1e-3 * iodine * per_gram("I")
    weights = energies * photons * np.exp(-20 * water)
    return 1000 * ((weights @ blood) / (weights @ water) - 1)


@pytest.mark.parametrize(("kvp", "phase"), [(120, "arterial"), (80, "venous"), (100, "none")])
def test_the_hu_are_those_that_the_command_prints(panel, state, rows, kvp, phase):
    choose_in(panel.ui.phaseBox, phase)
    choose_in(panel.scanner.rows["kvp"].widget, kvp)
    printed = printed_by_the_command(phase, kvp)
    for region in regions():
        tissue = printed[region.tissue]
        numbers = (f"{tissue['density_g_cm3']:g}", f"{tissue['iodine_mg_ml']:g}", f"{tissue['hu']:.0f}")
        assert shown(rows[region.key]) == (region.tissue, *numbers)
    assert str(kvp) in panel.ui.beamLabel.text


def test_the_hu_of_typed_numbers_are_xraylibs(panel, rows):
    choose_in(panel.scanner.rows["kvp"].widget, 80)
    type_into(rows["lv"].density.edit, "1.10")
    type_into(rows["lv"].iodine.edit, "7,25")
    assert float(rows["lv"].hounsfield.text) == pytest.approx(hounsfield_of_blood(80, 1.10, 7.25), abs=2.0)


def test_the_hu_follow_every_key(rows, state):
    from PySide6.QtTest import QTest

    edit = rows["lv"].iodine.edit
    edit.selectAll()
    seen = []
    for key in "12.5":
        QTest.keyClicks(edit, key)
        seen.append((edit.text, json.loads(state.materials)["1"]["iodine_mg_ml"], int(rows["lv"].hounsfield.text)))
    assert [text for text, _, _ in seen] == ["1", "12", "12.", "12.5"]
    assert [value for _, value, _ in seen] == [1, 12, 12, 12.5]
    assert seen[0][2] < seen[1][2] == seen[2][2] < seen[3][2]


def test_only_what_differs_from_the_default_is_kept_and_marked(rows, state):
    default = shown(rows["lv"])
    type_into(rows["lv"].density.edit, "1.2")
    assert json.loads(state.materials) == {"1": {"base": "blood_left", "density_g_cm3": 1.2}}
    assert rows["lv"].density.edit.font.italic()
    assert not rows["lv"].iodine.edit.font.italic()
    assert rows["lv"].reset.enabled
    assert not rows["myo"].reset.enabled
    type_into(rows["lv"].density.edit, default[1])
    assert json.loads(state.materials) == {}
    assert shown(rows["lv"]) == default
    assert not rows["lv"].density.edit.font.italic()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dense", "is 'dense', which is no number; give 0 to 25 g/cm³"),
        ("nan", "cannot be nan"),
        ("-1", "cannot be -1 g/cm³"),
        ("26", "cannot be 26 g/cm³; give 0 to 25 g/cm³ (water has 1"),
        ("1e9", "cannot be 1e+09 g/cm³"),
        ("", "is '', which is no number"),
    ],
)
def test_a_wrong_density_is_refused_at_the_cell_and_the_old_one_stays(rows, state, text, told):
    cell = rows["rv"].density
    type_into(cell.edit, "1.3")
    before, sent = shown(rows["rv"]), state.materials
    type_into(cell.edit, text, leave=False)
    if text:
        assert told in cell.reason.text
        assert cell.reason.visible
        assert "right ventricle" in cell.reason.text
        assert cell.edit.text == text
        assert "#c62828" in cell.edit.styleSheet
    assert state.materials == sent
    type_into(cell.edit, text)
    assert shown(rows["rv"]) == before
    assert state.materials == sent
    assert told in cell.reason.text
    assert told in cell.edit.toolTip
    assert not cell.edit.styleSheet
    type_into(cell.edit, "1.31")
    assert not cell.reason.visible
    assert told not in cell.edit.toolTip
    assert json.loads(state.materials)["3"]["density_g_cm3"] == 1.31


def test_a_number_that_begins_well_and_ends_badly_leaves_the_old_one(rows, state):
    type_into(rows["la"].iodine.edit, "900")
    assert rows["la"].iodine.edit.text == "18"
    assert json.loads(state.materials) == {}
    assert "cannot be 900 mg/ml; give 0 to 400" in rows["la"].iodine.reason.text


def test_what_is_typed_stays_while_the_heart_moves(rows, state):
    type_into(rows["ra"].iodine.edit, "x", leave=False)
    state.weights = [0.5, -0.5]
    state.body_seed = 3
    assert rows["ra"].iodine.edit.text == "x"
    assert rows["ra"].iodine.reason.visible
    type_into(rows["ra"].iodine.edit, "12.", leave=False)
    state.body_seed = 4
    assert rows["ra"].iodine.edit.text == "12."


def test_another_base_tissue_comes_with_its_own_density_and_iodine(rows, state):
    type_into(rows["ao"].density.edit, "1.2")
    choose_in(rows["ao"].base, "calcification")
    assert json.loads(state.materials) == {"6": {"base": "calcification"}}
    assert shown(rows["ao"])[:3] == ("calcification", "1.313", "0")
    assert rows["ao"].base.font.italic()
    choose_in(rows["ao"].base, "blood_left")
    assert json.loads(state.materials) == {}


def test_a_phase_sets_the_iodine_of_all_rows_and_leaves_density_and_base(panel, rows, state):
    type_into(rows["lv"].density.edit, "1.2")
    type_into(rows["lv"].iodine.edit, "3")
    choose_in(rows["pa"].base, "thrombus")
    choose_in(panel.ui.phaseBox, "none")
    assert state.phase == "none"
    assert json.loads(state.materials) == {"1": {"base": "blood_left", "density_g_cm3": 1.2}, "7": {"base": "thrombus"}}
    assert {row.iodine.edit.text for row in rows.values()} == {"0"}


def test_the_phases_are_told_in_words_and_the_first_is_the_scanners(panel, rows, state):
    box = panel.ui.phaseBox
    assert next(box.itemData(row) for row in range(box.count)) == ""
    assert "Arterial, whole heart" in box.currentText
    choose_in(panel.ui.presetBox, "chest-venous")
    assert "Venous" in box.currentText
    assert state.phase == ""
    assert rows["lv"].iodine.edit.text == "2.1"


def test_one_row_and_all_rows_are_reset(panel, rows, state):
    defaults = {key: shown(row) for key, row in rows.items()}
    for key in ("lv", "rv"):
        type_into(rows[key].density.edit, "1.2")
    choose_in(panel.ui.phaseBox, "venous")
    choose_in(panel.ui.phaseBox, "arterial")
    type_into(rows["lv"].iodine.edit, "wrong")
    click(rows["lv"].reset)
    assert list(json.loads(state.materials)) == ["3"]
    assert shown(rows["lv"]) == defaults["lv"]
    assert not rows["lv"].iodine.reason.visible
    click(panel.ui.resetTissuesButton)
    assert {key: shown(row) for key, row in rows.items()} == defaults
    assert state.phase == ""
    assert json.loads(state.materials) == {}
    assert not panel.ui.resetTissuesButton.enabled


def test_a_saved_set_of_tissues_comes_back_under_another_scanner(panel, rows, state, dialogs, tmp_path):
    type_into(rows["lv"].iodine.edit, "11.5")
    choose_in(rows["myo"].base, "adipose")
    wanted = {key: shown(row) for key, row in rows.items()}
    dialogs.answer(str(tmp_path / "mine"))
    click(panel.ui.saveTissuesButton)
    saved = json.loads((tmp_path / "mine.json").read_text())
    assert saved["schema"] == "fedsim/materials/1"
    assert saved["phase"] == "arterial"
    assert saved["regions"]["lv"] == {"base": "blood_left", "density_g_cm3": 1.06, "iodine_mg_ml": 11.5}
    assert list(saved["regions"]) == [region.key for region in regions()]
    click(panel.ui.resetTissuesButton)
    choose_in(panel.ui.presetBox, "chest-venous")
    choose_in(panel.scanner.rows["kvp"].widget, 120)
    dialogs.answer(str(tmp_path / "mine.json"))
    click(panel.ui.loadTissuesButton)
    assert {key: shown(row) for key, row in rows.items()} == wanted
    assert state.phase == "arterial"
    assert json.loads(state.materials) == {
        "1": {"base": "blood_left", "iodine_mg_ml": 11.5},
        "2": {"base": "adipose"},
    }


GOOD = {"schema": "fedsim/materials/1", "phase": "venous", "regions": {"lv": {"base": "blood_left"}}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not a readable JSON file"),
        ("[]", "says schema None where 'fedsim/materials/1' is needed"),
        (json.dumps({**GOOD, "schema": "fedsim/scanners/1"}), "says schema 'fedsim/scanners/1'"),
        (json.dumps({**GOOD, "phase": "portal"}), "phase = 'portal' cannot be used"),
        (json.dumps({**GOOD, "regions": {"spleen": {"base": "blood_left"}}}), "there is no region 'spleen'"),
        (json.dumps({**GOOD, "regions": {"lv": {"base": "wine"}}}), "There is no tissue 'wine'"),
        (json.dumps({**GOOD, "regions": {"lv": {"base": "water", "density_g_cm3": -1}}}), "cannot be -1 g/cm³"),
        (json.dumps({**GOOD, "regions": {"lv": {"base": "water", "iodine_mg_ml": "much"}}}), "iodine_mg_ml = 'much'"),
        (json.dumps({**GOOD, "regions": {"lv": {"base": "water", "iodine": 3}}}), "regions.lv.iodine"),
        (json.dumps(GOOD).replace('"blood_left"', '"water", "density_g_cm3": NaN'), "finite number"),
    ],
)
def test_a_bad_file_of_tissues_is_told_and_changes_nothing(opened, dialogs, tmp_path, content, told):
    panel, session = opened
    type_into(panel.tissues.rows["lv"].iodine.edit, "11.5")
    before = (session.state.materials, session.state.phase)
    path = tmp_path / "bad.json"
    path.write_text(content)
    dialogs.answer(str(path))
    click(panel.ui.loadTissuesButton)
    (sentence,) = session.messages
    assert told in sentence
    assert str(path) in sentence
    assert (session.state.materials, session.state.phase) == before


def test_a_folder_that_cannot_be_written_is_told(opened, dialogs, tmp_path):
    panel, session = opened
    (tmp_path / "file").write_text("no folder")
    dialogs.answer(str(tmp_path / "file" / "tissues.json"))
    click(panel.ui.saveTissuesButton)
    assert "cannot be written" in session.messages[-1]


def test_a_scene_with_unreadable_settings_is_mended_and_told(opened):
    panel, session = opened
    session.state.materials = '{"1": {"base": "wine"}}'
    assert "There is no tissue 'wine'" in session.messages[-1]
    assert "defaults again" in session.messages[-1]
    assert session.state.materials == "{}"
    session.state.scanner_changes = "[1"
    assert "cannot be read" in session.messages[-1]
    assert session.state.scanner == "adult"
    assert panel.widget.enabled


def test_the_table_needs_no_torch():
    program = (
        "import sys; sys.path[:0] = ['FedSimSlicer']\n"
        "import FedSimSlicerLib.material_set, FedSimSlicerLib.scan_setup\n"
        "from FedSimCore.ct.spectra import hounsfield, tube_spectrum\n"
        "from FedSimCore.ct.materials import tissue\n"
        "assert hounsfield(tissue('adipose'), tube_spectrum(120)) < -90\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(("factor", "widest"), [(1.0, 300), (1.5, 372)])
def test_the_panel_is_narrow_enough_for_400_pixels(application, panel, rows, factor, widest):
    font = panel.widget.font
    font.setPointSizeF(font.pointSizeF() * factor)
    panel.widget.font = font
    panel.ui.machineSection.collapsed = False
    type_into(rows["lv"].iodine.edit, "wrong")
    application.process_events()
    assert panel.widget.minimumSizeHint.width() <= widest


def test_tissues_and_scanner_come_back_with_a_saved_scene_and_change_the_quick_ct(module, session, wait_for, tmp_path):
    import slicer

    panel = next(each for each in module.panel.panels if hasattr(each, "tissues"))
    module.panel.ui.tabs.setCurrentWidget(panel.widget)
    lv = panel.tissues.rows["lv"]
    session.state.live_preview = True
    type_into(panel.person.noise_seed.edit, "5")
    click(panel.ui.noiseBox)

    def blood():
        wait_for(lambda: not session.worker.busy("preview") and session.state.preview is not None)
        hu, labels = (slicer.util.arrayFromVolume(n) for n in (session.state.preview, session.state.live_labels))
        inside = np.argwhere(labels == 1).mean(axis=0) * (np.array(hu.shape) / labels.shape)
        return float(np.median(hu[tuple(slice(int(at) - 2, int(at) + 3) for at in inside)]))

    with_contrast, expected = blood(), int(lv.hounsfield.text)
    type_into(lv.iodine.edit, "0")
    without, expected_without = blood(), int(lv.hounsfield.text)
    assert with_contrast - without == pytest.approx(expected - expected_without, rel=0.3)  # harder behind blood

    type_into(panel.scanner.rows["mas"].widget, "60")
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    assert lv.iodine.edit.text == "18"
    assert panel.scanner.rows["mas"].widget.text == "140"
    assert panel.ui.noiseBox.checked
    slicer.util.loadScene(path)
    assert lv.iodine.edit.text == "0"
    assert int(lv.hounsfield.text) == expected_without
    assert panel.scanner.rows["mas"].widget.text == "60"
    assert not panel.ui.noiseBox.checked
    assert session.state.noise_seed == 5
    assert next(iter(scanners())) == session.state.scanner
