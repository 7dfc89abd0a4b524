"""The panel "Federate" with real studies, one of them in real processes of NVFlare."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403
from Testing.slicer.module.small_federations import *  # noqa: F403


@pytest.fixture
def messages(session):
    told = []
    ends = session.message.connect(told.append)
    yield told
    ends()


@pytest.fixture
def ended(federate, finished_study, studies_folder, wait_for):
    """A finished study in the panel's folder, chosen."""
    path = Path(shutil.copytree(finished_study, studies_folder / "ended"))
    federate.watch.look()
    wait_for(lambda: federate.details is not None and federate.details.sites)
    return path


def choose(panel, study, wait_for):
    panel.setup.choose(str(study))
    wait_for(lambda: panel.setup.name == study.stem)


def cell(table, row, column):
    return table.item(row, column).text()


def test_an_empty_folder_says_what_to_do(federate):
    assert "No study in this folder yet" in federate.ui.emptyLabel.text
    assert not federate.ui.stopButton.enabled
    assert not federate.ui.exploreButton.enabled
    assert "Choose a study" in federate.ui.stateLabel.text


def test_a_study_needs_the_data_of_every_site(federate, messages, wait_for, ct_cohort, tmp_path):
    rows = federate.setup.sites.rows
    assert [row.given()["name"] for row in rows] == ["site-1", "site-2", "site-3"]
    rows[0].folder.currentPath = str(ct_cohort)
    rows[1].folder.currentPath = str(tmp_path / "nowhere")
    federate.ui.startButton.click()
    wait_for(lambda: messages and "Not started" in messages[-1])
    assert rows[0].reason.text == ""
    assert "does not exist" in rows[1].reason.text
    assert "Choose the folder" in rows[2].reason.text
    assert federate.table.keys == ()


def test_what_cannot_be_is_told_where_it_is(federate, messages):
    from FedSimCore.errors import InputError

    form = federate.setup.form
    with pytest.raises(InputError, match="local_steps must be 1"):
        form.set("local_steps", 5)
    form.set("method", "fedavg")
    form.set("local_steps", 5)
    assert form.given()["local_steps"] == 5
    form.set("local_steps", 1)
    form.set("method", "exact")
    federate.setup.sites.rows[0].name.text = "no name"
    federate.ui.startButton.click()
    assert "Not started" in messages[-1]
    assert "can only have letters" in federate.setup.sites.rows[0].reason.text
    federate.setup.sites.show([{"name": f"site-{number}"} for number in (1, 2, 3)])


def test_the_epsilon_of_noise_is_told_before(federate, wait_for, ct_cohort, messages):
    setup, ui = federate.setup, federate.ui
    setup.choose("new")
    setup.sites.show([{"name": name, "cohort": str(ct_cohort), "cohort_site": name} for name in "ab"])
    setup.form.set("rounds", 5)
    ui.noiseBox.checked = True
    setup.noise.set("noise", 2.0)
    wait_for(lambda: "Epsilon at the end: a " in ui.noiseLabel.text, seconds=400)
    assert "(3 cases), b " in ui.noiseLabel.text
    ui.noiseBox.checked = False
    setup.sites.show([{"name": f"site-{number}"} for number in (1, 2, 3)])


def test_a_study_file_fills_the_form_and_is_saved_as_it_was(
    federate, study_file, wait_for, monkeypatch, tmp_path, messages
):
    import qt

    path = study_file("kept", rounds=7, min_sites=1, privacy={"clip": 0.5, "noise": 3.0})
    choose(federate, path, wait_for)
    assert [row.given()["name"] for row in federate.setup.sites.rows] == ["a", "b"]
    assert federate.ui.noiseBox.checked
    saved = tmp_path / "saved.json"
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *_args: str(saved)))
    federate.ui.saveButton.click()
    wait_for(lambda: saved.exists())
    assert json.loads(saved.read_text()) == json.loads(path.read_text())
    federate.ui.noiseBox.checked = False


def test_sites_are_told_with_their_ledger_and_their_privacy(federate, ended, wait_for):
    ui = federate.ui
    assert [cell(ui.siteTable, row, 0) for row in range(2)] == ["a", "b"]
    assert [cell(ui.siteTable, 0, column) for column in (1, 2, 3)] == ["finished", "3", "5"]
    assert "8 messages (agreement 1, updates 5, of the latents 1, “done” 1)" in ui.totalsLabel.text
    assert ui.ledgerTable.rowCount == 8
    federate.ledger.table.choose(6)
    assert ui.entryLabel.text.startswith("Round 5, ")
    assert "of gradients of the shape generator, with the number of cases in it (2); nothing else. Before: each case"
    federate.progress.table.choose("b")
    assert ui.totalsLabel.text.startswith("b: ")
    wait_for(lambda: "at the end" in ui.privacyLabel.text, seconds=400)  # its accountant has a process of its own
    assert "epsilon" in ui.privacyLabel.text
    assert ui.privacyBar.value == 1000


def test_the_ledger_is_exported_to_the_file_that_was_named(federate, ended, wait_for, monkeypatch, tmp_path, messages):
    import qt

    target = tmp_path / "a.csv"
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *_args: str(target)))
    federate.ui.exportButton.click()
    wait_for(lambda: target.exists() and messages and "was written" in messages[-1])
    assert len(target.read_text().splitlines()) == 1 + 8


def test_hearts_of_the_shared_population_open_in_explore(federate, ended, session):
    wanted = []
    ends = session.model_wanted.connect(wanted.append)
    federate.ui.exploreButton.click()
    federate.ui.siteHeartsButton.click()
    ends()
    assert wanted == [str(ended / "server"), str(ended / "sites" / "a" / "ended")]


def test_curves_of_server_and_sites_are_drawn_and_leave_with_the_scene(federate, ended):
    import slicer

    layout = slicer.app.layoutManager()
    before = layout.layout
    box = federate.ui.metricBox
    box.currentIndex = box.findData("norm")
    federate.ui.chartButton.click()
    chart = federate.progress.chart.chart
    names = {chart.GetNthPlotSeriesNode(number).GetName() for number in range(chart.GetNumberOfPlotSeriesNodes())}
    assert names == {"a: norm", "b: norm"}
    assert chart.GetXAxisTitle() == "Round"
    slicer.mrmlScene.Clear(False)
    assert layout.layout == before
    assert not federate.ui.chartButton.checked


def test_a_kit_is_read_and_tells_its_rules_and_its_server(federate, wait_for, tmp_path, messages):
    kit = tmp_path / "kit"
    (kit / "local").mkdir(parents=True)
    (kit / "startup").mkdir()
    own = {"name": "north", "cohort": "/change/me", "runs": "/change/me", "policy": {"least_cases": 7}}
    (kit / "local" / "site.json").write_text(json.dumps(own))
    told = {"servers": [{"service": {"target": "server.hospital.org:8002"}}]}
    (kit / "startup" / "fed_client.json").write_text(json.dumps(told))
    ui = federate.ui
    ui.kitEdit.currentPath = str(tmp_path)
    wait_for(lambda: "is no start-up kit" in ui.kitLabel.text)
    assert not ui.connectButton.enabled
    ui.kitEdit.currentPath = str(kit)
    wait_for(lambda: ui.connectButton.enabled)
    assert "Site “north”; it will speak to server.hospital.org:8002 and to nobody else." in ui.kitLabel.text
    assert "takes part with 7 cases or more" in ui.kitLabel.text
    assert "without noise is made of 4 cases or more" in ui.kitLabel.text
    ui.connectButton.click()
    assert "Choose the folder of this site’s data" in messages[-1]


def test_packages_are_asked_for_before_the_first_study(federate, study_file, wait_for, monkeypatch):
    from FedSimSlicerLib.dependencies import Missing

    monkeypatch.setattr(federate.libraries._installer, "missing", lambda: [Missing("nvflare<2.10,>=2.9", "nvflare")])
    choose(federate, study_file("lacking"), wait_for)
    federate.ui.startButton.click()
    wait_for(lambda: federate.libraries.widget.isVisible())
    assert "nvflare" in federate.libraries.ui.missingLabel.text
    assert federate.table.keys == ()
    federate._wanted = None
    federate.libraries.widget.hide()


def test_a_study_that_cannot_begin_says_why(federate, study_file, wait_for, messages, tmp_path):
    empty = tmp_path / "no-hearts"
    empty.mkdir()
    sites = [{"name": name, "cohort": str(empty)} for name in "ab"]
    recipe = {"shape_model": str(tmp_path / "nowhere.safetensors")}
    choose(federate, study_file("bad", sites=sites, recipe=recipe), wait_for)
    federate.ui.startButton.click()
    wait_for(lambda: any("did not start" in told for told in messages), seconds=400)
    assert "nowhere.safetensors" in next(told for told in messages if "did not start" in told)


@pytest.mark.slow
def test_a_study_in_real_processes_is_started_stopped_and_resumed_to_its_end(federate, study_file, wait_for):
    pytest.importorskip("nvflare")
    choose(federate, study_file("real", rounds=60, checkpoint_every=50), wait_for)
    federate.ui.keepNewBox.checked = True
    federate.ui.startButton.click()
    path = federate.folder / "real"
    wait_for(lambda: federate.row is not None and federate.row.state == "starting")
    assert "starting" in federate.ui.stateLabel.text
    wait_for(lambda: federate.row.state == "running" and federate.row.step > 3, seconds=500)
    assert federate.ui.keepBox.checked
    doing = {site.state.doing for site in federate.details.sites}
    assert doing <= {"computing", "sent"}
    federate.ui.stopButton.click()
    wait_for(lambda: federate.row.state == "stopped")
    done = federate.row.step
    assert 3 < done < 60
    federate.ui.resumeButton.click()
    wait_for(lambda: federate.row.state == "finished", seconds=500)
    assert federate.details.model == path / "server"
    for site in federate.details.sites:
        rounds = [entry.round for entry in site.entries if entry.message == "update"]
        assert rounds == list(range(60))


def test_the_gui_is_not_held_while_a_long_ledger_is_read(federate, ended, wait_for, application):
    """5,000 messages at once: they are read in the thread, in portions, and the newest are listed."""
    from FedSimCore.federated.ledger import LedgerEntry, read_ledger

    path = ended / "sites" / "a" / "ledger.jsonl"
    newest = read_ledger(path)[-1]
    ledger = path.read_bytes().splitlines()
    before = ledger[-1]
    shapes = {f"material.{number}.weight": (8, 8, 3, 3, 3) for number in range(30)}
    for number in range(newest.number + 1, newest.number + 5_001):
        entry = LedgerEntry(
            number=number,
            time=time.time(),
            study="ended",
            study_sha256="",
            message="update",
            round=number,
            shapes=shapes,
            bytes=10,
            before=hashlib.sha256(before).hexdigest(),
        )
        before = entry.model_dump_json().encode()
        ledger.append(before)
    path.write_bytes(b"\n".join(ledger) + b"\n")
    longest, end = 0.0, time.monotonic() + 300.0
    while "5008 messages" not in federate.ui.totalsLabel.text and time.monotonic() < end:
        began = time.thread_time()
        application.process_events()
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.002)
    assert "5008 messages" in federate.ui.totalsLabel.text
    assert longest < 0.1, "of processor time; generous, half of it is meant"
    assert federate.ui.ledgerTable.rowCount <= 200


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_panel_fits_into_400_pixels_with_letters_half_as_large_again(federate, ended, application, scale):
    import qt

    for name in ("newSection", "kitSection", "logSection", "moreBox"):
        getattr(federate.ui, name).collapsed = False
    federate.ui.noiseBox.checked = True
    font = qt.QFont(federate.widget.font)
    try:
        larger = qt.QFont(font)
        larger.setPointSizeF(font.pointSizeF() * scale)
        federate.widget.setFont(larger)
        application.process_events()
        assert federate.widget.minimumSizeHint.width() <= 400
    finally:
        federate.widget.setFont(font)
        federate.ui.noiseBox.checked = False
        for name in ("kitSection", "logSection", "moreBox"):
            getattr(federate.ui, name).collapsed = True


def test_neither_torch_nor_nvflare_comes_into_slicers_process():
    """In a process of its own: the tests beside this one train in theirs."""
    code = (
        "import sys, FedSimCore.federated.study, FedSimCore.federated.following, FedSimCore.federated.local_sites;"
        "from FedSimCore.federated.study import checked_study;"
        "checked_study({'name': 's', 'recipe': {'recipe': 'generator'}, 'sites': [{'name': 'a'}], 'rounds': 1}, 'x');"
        "print(sorted({'torch', 'nvflare', 'opacus', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_this_computer_takes_part_with_a_kit_leaves_and_comes_back(federate, ct_cohort, wait_for, tmp_path):
    """The server and the site a by the command line, the site b by the panel, with mutual TLS between them."""
    pytest.importorskip("nvflare")
    import socket

    from FedSimCore.federated.engine.kits import make_kits
    from Testing.core.federated.small_studies import shapes_study

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    study = shapes_study(ct_cohort, name="kits", rounds=400, checkpoint_every=5, deadline_s=600)
    server, a, b = make_kits(study, tmp_path / "kits", "localhost", port)
    for kit, name in ((a, "a"), (b, "b")):
        file = kit / "local" / "site.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "cohort_site": name}))
    command = [sys.executable, "-m", "FedSimCore.cli.main", "federate"]
    runs = tmp_path / "runs-b"
    elsewhere = [
        subprocess.Popen([*command, "server", str(server), "-o", str(tmp_path / "lead")]),
        subprocess.Popen([*command, "site", str(a), "--cohort", str(ct_cohort), "--runs", str(tmp_path / "runs-a")]),
    ]
    ui = federate.ui
    try:
        ui.kitEdit.currentPath = str(b)
        wait_for(lambda: ui.connectButton.enabled)
        assert f"it will speak to localhost:{port}" in ui.kitLabel.text
        ui.cohortEdit.currentPath, ui.kitRunsEdit.currentPath = str(ct_cohort), str(runs)
        ui.connectButton.click()
        wait_for(lambda: federate.row is not None and federate.row.state == "waiting", seconds=300)
        wait_for(lambda: federate.row.state == "running" and federate.row.step > 3, seconds=900)
        (site,) = federate.details.sites
        assert site.cases == "3"
        assert site.state.doing in ("computing", "sent")
        ui.stopButton.click()
        wait_for(lambda: federate.row.state not in ("running", "waiting", "stopping"), seconds=300)
        done = len(federate.details.sites[0].entries)
        ui.resumeButton.click()
        wait_for(lambda: len(federate.details.sites[0].entries) > done + 3, seconds=900)
        ui.stopButton.click()
        wait_for(lambda: federate.row.state not in ("running", "waiting", "stopping"), seconds=300)
    finally:
        federate.runs.leave(runs)
        for process in reversed(elsewhere):
            process.terminate()
        for process in elsewhere:
            process.wait(400)
