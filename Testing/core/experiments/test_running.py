from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cohorts import read_table
from FedSimCore.errors import DiskError, ExitCode, InputError
from FedSimCore.evaluation.segmentation import compare
from FedSimCore.experiments import workshop
from FedSimCore.experiments.artifact import BEGUN_NAME, Bench
from FedSimCore.experiments.hearts import RenderedCases
from FedSimCore.experiments.processes import _message_in, checked_devices, run_processes
from FedSimCore.experiments.results import read_results
from FedSimCore.experiments.segmenters import read_scores
from FedSimCore.experiments.tables import main_table
from FedSimCore.experiments.workshop import Workshop, state_of
from FedSimCore.progress import silent
from FedSimCore.runs.events import Started, read_events
from FedSimCore.volumes.io import read_label_map, read_volume
from Testing.core.experiments.tiny import FULL, LOWER, SITE

CELL = f"{SITE}/2/0/lower-bound"


def command(tiny, verb: str, out: Path, *more: str) -> list[str]:
    cohort = ["--cohort", f"{SITE}={tiny.cohort}"]
    return ["experiment", verb, str(tiny.experiment), "-o", str(out), "--scale", str(tiny.scale), *cohort, *more]


def call(*arguments: str):
    from FedSimCore.cli.main import app

    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """Folder in which the command line has run the whole experiment, and what it printed."""
    out = tmp_path_factory.mktemp("finished")
    result = call(*command(tiny, "run", out, "--threads", "1", "--json"))
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_the_command_line_runs_every_method_and_reports_it(finished):
    out, told = finished
    assert told["holes"] == {}
    assert list(told["dice"]) == ["lower-bound", "full", "true-shapes", "random-intensities", "upper-bound"]
    for columns in told["dice"].values():
        assert 0 <= columns["A/2"]["mean"] <= 1
        assert (columns["A/2"]["folds"], columns["A/2"]["cases"]) == (1, 3)
    folder = out / "experiment-scale"
    page = (folder / "report.md").read_text()
    assert "Tiny scale, for tests." in page
    assert "87.65 ± 2.20" in page
    assert "89.81 ± 2.50" in page
    html = (folder / "report.html").read_text()
    assert html.count("<img") == 2
    assert "http" not in html


def test_the_values_of_every_case_are_those_of_its_segmentation(finished, tiny):
    out, _ = finished
    with (out / "experiment-scale" / "cases.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "lower-bound" and row["metric"] == "dice"]
    cell = tiny.order(out).plan().chosen([CELL])[0]
    found = cell.scores.found
    truth = read_table(cell.scores.tested.folder(out / "artifacts") / "cohort.csv")
    assert len(rows) == 3
    for row in rows:
        made = read_label_map(found.file(found.folder(out / "artifacts"), row["case"]))
        score = compare(made, read_label_map(truth.case(row["case"]).label), regions="heart").of("heart")
        assert float(row["value"]) == pytest.approx(score.dice, abs=1e-6)


def test_hearts_with_their_shapes_exchanged_for_the_truth_have_the_patients_labels(finished, tiny):
    out, _ = finished
    root = out / "artifacts"
    plan = tiny.order(out).plan()
    cell = plan.chosen(["*/*/*/true-shapes"])[0]
    rendered = next(one for one in cell.scores.with_needs() if isinstance(one, RenderedCases))
    hearts, crops = (read_table(one.folder(root) / "cohort/cohort.csv") for one in (rendered, rendered.crops))
    assert [case.id for case in hearts.cases] == list(plan.sites[SITE].split.folds[0].train)
    for case in hearts.cases:
        made, true = (read_label_map(one.label) for one in (case, crops.case(case.id)))
        np.testing.assert_array_equal(made.array, true.array)
        assert made.grid.same_as(true.grid)
        images = [read_volume(one.image).array for one in (case, crops.case(case.id))]
        assert np.abs(images[0] - images[1]).mean() > 1  # An enhancer of one step made the one.
    assert rendered.facts(root)["iou_of_shapes"] == 1


def test_run_again_it_makes_nothing_anew(finished, tiny):
    out, told = finished
    before = {path: path.stat().st_mtime_ns for path in out.glob("artifacts/*/artifact.json")}
    result = call(*command(tiny, "run", out, "--no-pictures", "--json"))
    assert json.loads(result.stdout)["dice"] == told["dice"]
    assert {path: path.stat().st_mtime_ns for path in out.glob("artifacts/*/artifact.json")} == before


def test_show_tells_what_is_done_and_what_waits(finished, tiny, tmp_path):
    done = json.loads(call(*command(tiny, "show", finished[0], "--json")).stdout)
    assert {row["state"] for row in done["cells"]} == {"done"}
    waiting = json.loads(call(*command(tiny, "show", tmp_path, "--json", "--only", "A/2/0/full")).stdout)
    assert waiting["cells"] == [{"cell": "A/2/0/full", "state": "waiting", "reason": ""}]


def test_a_report_of_nothing_shows_holes(tiny, tmp_path):
    result = call(*command(tiny, "report", tmp_path))
    assert result.exit_code == 0
    assert result.stdout.count("– (not run)") == 5


def start(tiny, out: Path, *more: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "FedSimCore.cli.main", *command(tiny, "run", out, "--threads", "1", *more)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def made_here(order) -> dict:
    """Return the scores of the cell, made by this process."""
    (cell,) = order.plan().chosen([CELL])
    Workshop(Bench(order.root, "cpu", 1, silent), "here", lambda sentence: None).run([cell])
    return read_scores(cell.scores.folder(order.root))["cases"]


def wait_for(condition, seconds: float = 600.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signals")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_killed_it_goes_on_from_the_checkpoint_and_ends_with_the_same_numbers(tiny, tmp_path):
    unbroken = made_here(tiny.order(tmp_path / "unbroken"))
    out = tmp_path / "killed"
    first = start(tiny, out, "--only", CELL)
    checkpoint = wait_for(lambda: next(iter(out.glob("artifacts/segmenter-*/run/checkpoints/*.json")), None))
    maker = json.loads((checkpoint.parents[2] / BEGUN_NAME).read_text())["pid"]
    first.kill()
    first.wait()
    wait_for(lambda: not alive(maker))  # The process that trains ends with the one that watches.
    assert made_here(tiny.order(out)) == unbroken
    events = read_events(checkpoint.parents[1] / "events.jsonl")[0]
    sessions = [event for event in events if isinstance(event, Started)]
    assert len(sessions) == 1 or sessions[-1].step > 0


def in_background(order):
    from threading import Thread

    thread = Thread(target=run_processes, args=(order,))
    thread.start()
    return thread


def test_a_process_that_was_killed_has_told_nothing_and_one_that_told_is_heard():
    for sent in (None, (ExitCode.DISK, "The disk is full.")):
        ours, theirs = Pipe(duplex=False)
        if sent is not None:
            theirs.send(sent)
        theirs.close()
        assert _message_in(ours) == sent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signals")
def test_a_cell_whose_process_dies_is_recorded_and_the_others_go_on(finished, tiny, tmp_path):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    order = tiny.order(tmp_path)
    cell = order.plan().chosen([CELL])[0]
    lost = cell.scores.found.segmenter.folder(order.root)
    for one in (cell.scores, cell.scores.found):
        shutil.rmtree(one.folder(order.root))
    shutil.rmtree(lost)
    upper = order.plan().chosen(["*/*/*/upper-bound"])[0].scores
    shutil.rmtree(upper.folder(order.root))
    running = in_background(order)
    wait_for((lost / "run" / "config.json").exists)
    os.kill(json.loads((lost / BEGUN_NAME).read_text())["pid"], signal.SIGKILL)
    running.join()
    state, failure = state_of(cell, order.root)
    assert (state, failure.reason) == (
        "failed",
        "Its process ended by signal 9; if the system killed it, memory ran out.",
    )
    assert upper.is_done(order.root)
    results = read_results(order.plan(), order.root)
    assert results.holes == {CELL: failure.reason}
    assert main_table(results)[1][1] == "– (failed)"


def test_a_cell_that_cannot_be_made_is_a_hole_and_is_tried_again_by_the_next_call(tiny, changed, tmp_path):
    # All training cases show their labels, so nothing is left for the semi-supervised stage.
    experiment = changed("experiment", methods=[FULL, LOWER])
    scale = changed("scale", labelled=[3])
    order = tiny.order(tmp_path, experiment=experiment, scale=scale, attempt="first")
    told: list[str] = []
    cells = order.plan().cells
    Workshop(Bench(order.root, "cpu", 1, silent), "first", told.append).run(cells)
    states = {cell.method: state_of(cell, order.root)[0] for cell in cells}
    assert states == {"full": "failed", "lower-bound": "done"}
    results = read_results(order.plan(), order.root)
    assert [row[0] for row in main_table(results) if row[1] == "– (failed)"] == ["Ours-Full"]
    made = len([line for line in told if line.startswith("Making model-full")])
    Workshop(Bench(order.root, "cpu", 1, silent), "first", told.append).run(cells)
    assert len([line for line in told if line.startswith("Making model-full")]) == made == 1
    Workshop(Bench(order.root, "cpu", 1, silent), "second", told.append).run(cells)
    assert len([line for line in told if line.startswith("Making model-full")]) == 2


def test_a_bug_in_one_artifact_is_recorded_with_its_traceback(tiny, tmp_path, monkeypatch):
    order = tiny.order(tmp_path)
    cell = order.plan().chosen([CELL])[0]
    table = next(one for one in cell.scores.with_needs() if one.title.startswith("table"))

    def broken(self, bench, folder):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(type(table), "make", broken)
    Workshop(Bench(order.root, "cpu", 1, silent), "first", lambda sentence: None).run([cell])
    state, failure = state_of(cell, order.root)
    assert state == "failed"
    assert failure.reason == "A bug of FedSim: ZeroDivisionError: on purpose"
    assert "in broken" in failure.details


def test_a_full_disk_ends_everything_in_one_sentence_and_what_is_done_stays(tiny, tmp_path, monkeypatch):
    order = tiny.order(tmp_path)
    cell = order.plan().chosen([CELL])[0]
    artifacts = list(cell.scores.with_needs())
    bench = Bench(order.root, "cpu", 1, silent)
    maker = Workshop(bench, "first", lambda sentence: None)
    usage = shutil.disk_usage(tmp_path)
    full = usage._replace(free=10 * 2**20)
    monkeypatch.setattr(workshop.shutil, "disk_usage", lambda path: full if "crops" in str(path) else usage)
    with pytest.raises(DiskError, match=r"nearly full \(10 MB left .* it goes on where it was"):
        maker.run([cell])
    assert artifacts[0].is_done(order.root)
    assert state_of(cell, order.root) == ("begun", None)


def test_two_workshops_never_make_the_same_thing_at_once(tiny, tmp_path):
    order = tiny.order(tmp_path)
    cells = order.plan().chosen([CELL])
    told: list[str] = []
    makers = [Workshop(Bench(order.root, "cpu", 1, silent), "first", told.append) for _ in range(2)]
    with workshop._held(cells[0].scores.with_needs().__next__(), order.root) as held:
        assert held
        assert makers[0]._cell(cells[0]) == "busy"
    makers[1].run(cells)
    makers[0].run(cells)
    begun = [line for line in told if line.startswith("Making")]
    assert len(begun) == len(set(begun))


def test_devices_are_checked_before_anything_is_made():
    assert checked_devices(["cuda:0", "cuda:1", "cpu"]) == ("cuda:0", "cuda:1", "cpu")
    for name in ("gpu", "cpu:1", "cuda:x"):
        with pytest.raises(InputError, match=f"'{name}' is not known"):
            checked_devices([name])
    with pytest.raises(InputError, match="names no device"):
        checked_devices([])


def test_a_cohort_option_without_a_site_is_refused(tiny, tmp_path):
    from FedSimCore.cli.main import app

    line = ["experiment", "run", "table3", "-o", str(tmp_path), "--cohort", str(tiny.cohort)]
    with pytest.raises(InputError, match="is not SITE=FOLDER"):
        CliRunner().invoke(app, line, catch_exceptions=False)
